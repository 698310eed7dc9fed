package avatar

import (
	"bytes"
	"encoding/binary"
	"strconv"

	"github.com/voip-push/worker/internal/voip"
)

// maxScans bounds how often a progressive JPEG may go over its coefficients:
// encoders use about 10, and each scan costs a pass over the whole picture
// however few bytes it has.
const maxScans = 64

// The markers of ITU-T T.81, table B.1, that are told apart here.
const (
	mSOF0  = 0xc0
	mSOF1  = 0xc1
	mSOF2  = 0xc2
	mDHT   = 0xc4
	mJPG   = 0xc8
	mDAC   = 0xcc
	mSOF15 = 0xcf
	mRST0  = 0xd0
	mRST7  = 0xd7
	mEOI   = 0xd9
	mSOS   = 0xda
	mDQT   = 0xdb
	mDRI   = 0xdd
	mAPP0  = 0xe0
	mAPP1  = 0xe1
	mAPP14 = 0xee
	mAPP15 = 0xef
	mCOM   = 0xfe
)

// jpegHeader is what the markers of a whole JPEG tell.
type jpegHeader struct {
	width, height int
	orientation   int
	frames, scans int
	progressive   bool
	extended      bool // SOF1
	ended         bool // has an EOI
	plain         bool // one component, or three of which the first alone is sampled more finely
	components    int
	sampled       int64 // samples of all components, padded to whole blocks
	rgb           bool  // stored as RGB: converted by way of another picture
}

// readJPEGHeader walks over all markers up to the end of the image. It sees
// the file as the decoder does: what is not a segment that both of them know
// is refused, so that nothing can hide from the count.
func readJPEGHeader(b []byte) (jpegHeader, error) {
	h := jpegHeader{orientation: 1}
	for i := 2; ; {
		marker, next := nextMarker(b, i)
		if marker == mEOI {
			h.ended = bytes.HasSuffix(b[:next], []byte{0xff, mEOI})
			break
		}
		segment, ok := segmentAt(b, next)
		if !ok {
			return h, undecodable("the JPEG has a cut segment", nil)
		}
		if err := h.read(marker, segment); err != nil {
			return h, err
		}
		i = next + 2 + len(segment)
	}
	if h.frames != 1 || h.scans == 0 {
		return h, undecodable("the JPEG has "+strconv.Itoa(h.frames)+" frames and "+strconv.Itoa(h.scans)+" scans", nil)
	}
	return h, nil
}

// nextMarker finds the first marker from i on that can begin a segment, and
// where it ends. The end of the data counts as EOI: it is often missing.
func nextMarker(b []byte, i int) (marker byte, next int) {
	for i < len(b) {
		j := bytes.IndexByte(b[i:], 0xff)
		if j < 0 {
			break
		}
		for i += j; i < len(b) && b[i] == 0xff; {
			i++
		}
		if i < len(b) && b[i] != 0 && (b[i] < mRST0 || b[i] > mRST7) {
			return b[i], i + 1
		}
		i++
	}
	return mEOI, len(b)
}

func segmentAt(b []byte, i int) (segment []byte, ok bool) {
	if i+2 > len(b) {
		return nil, false
	}
	end := i + int(binary.BigEndian.Uint16(b[i:]))
	if end < i+2 || end > len(b) {
		return nil, false
	}
	return b[i+2 : end], true
}

func (h *jpegHeader) read(marker byte, segment []byte) error {
	switch {
	case marker == mSOF0, marker == mSOF1, marker == mSOF2:
		h.extended = marker == mSOF1
		return h.readFrame(segment, marker == mSOF2)
	case marker == mSOS:
		h.scans++
	case marker == mAPP1 && h.orientation == 1:
		h.orientation = exifOrientation(segment)
	case marker == mAPP14 && len(segment) >= 12 && bytes.HasPrefix(segment, []byte("Adobe")):
		h.rgb = h.rgb || segment[11] == 0
	case marker == mDHT, marker == mDQT, marker == mDRI, marker == mCOM, marker >= mAPP0 && marker <= mAPP15:
	case marker >= mSOF0 && marker <= mSOF15 && marker != mJPG:
		return fail(voip.AvatarUnsupportedType, "the JPEG is neither baseline nor progressive Huffman", nil)
	default:
		return undecodable("the JPEG has a marker that means nothing", nil)
	}
	return nil
}

// readFrame reads a frame header (T.81, B.2.2).
func (h *jpegHeader) readFrame(s []byte, progressive bool) error {
	h.frames++
	if len(s) < 6 || len(s) != 6+3*int(s[5]) {
		return undecodable("the JPEG's frame header has a wrong length", nil)
	}
	h.height, h.width = int(binary.BigEndian.Uint16(s[1:])), int(binary.BigEndian.Uint16(s[3:]))
	h.progressive, h.components = progressive, int(s[5])
	switch {
	case h.frames > 1:
		return undecodable("the JPEG has more than one frame", nil)
	case s[0] != 8:
		return fail(voip.AvatarUnsupportedType, "the JPEG has samples of "+strconv.Itoa(int(s[0]))+" bits, want 8", nil)
	case h.components != 1 && h.components != 3 && h.components != 4:
		return fail(voip.AvatarUnsupportedType, "the JPEG has "+strconv.Itoa(h.components)+" components, want 1, 3 or 4", nil)
	case h.height == 0 || h.width == 0:
		return undecodable("the JPEG's frame header gives no size", nil)
	}
	h.rgb = h.rgb || h.components == 3 && s[6] == 'R' && s[9] == 'G' && s[12] == 'B'
	return h.sample(s[6:])
}

// sample counts the samples of all components: each is padded to whole MCUs (T.81, A.2.4).
func (h *jpegHeader) sample(components []byte) error {
	var across, down, blocks int
	h.plain = true
	for c := range h.components {
		factors := components[3*c+1]
		x, y := int(factors>>4), int(factors&0x0f)
		if x < 1 || x > 4 || y < 1 || y > 4 {
			return undecodable("the JPEG has a sampling factor out of range", nil)
		}
		across, down, blocks = max(across, x), max(down, y), blocks+x*y
		h.plain = h.plain && (c == 0 && x != 3 && y != 3 && y != 4 || c > 0 && x == 1 && y == 1)
	}
	if h.components == 1 {
		across, down, blocks = 1, 1, 1
	}
	mcus := ((h.width + 8*across - 1) / (8 * across)) * ((h.height + 8*down - 1) / (8 * down))
	h.sampled = int64(mcus) * int64(blocks) * 64
	return nil
}

// quick says whether the quick decoders have the picture right: they know no
// scans of single components of a baseline one, nothing of RGB, and a picture
// that does not end is the standard decoder's.
func (h *jpegHeader) quick() bool {
	return h.ended && !h.extended && !h.rgb && h.plain && h.components != 4 && (h.progressive || h.scans == 1)
}

// scaled is what the quick decoders take at the largest side, in bytes: the
// planes as they come out, the copy that jpegn makes of the data, and for a
// progressive picture the coefficients that are kept, and which are not 0.
func (h *jpegHeader) scaled(size int) int64 {
	const coefficientBytes, knownBytes, blockSamples = 2, 8, 64
	scale := int64(dctScale(min(h.width, h.height), MaxSide))
	planes := h.sampled / (scale * scale)
	switch {
	case h.progressive:
		return planes + coefficientBytes*planes + h.sampled/blockSamples*knownBytes
	case scale > 1:
		return planes
	}
	return planes + int64(size)
}

// strict is what image/jpeg takes for the picture, in bytes: the planes, an
// int32 for every coefficient of a progressive one, and the copy that is made
// of CMYK and RGB.
func (h *jpegHeader) strict() int64 {
	n := h.sampled
	if h.progressive {
		n += 4 * h.sampled
	}
	if h.components == 4 || h.rgb {
		n += 4 * int64(h.width) * int64(h.height)
	}
	return n
}

func (h *jpegHeader) checkScans() error {
	if h.scans > maxScans {
		return fail(voip.AvatarTooManyScans, "the JPEG has "+strconv.Itoa(h.scans)+" scans, want at most "+strconv.Itoa(maxScans), nil)
	}
	return nil
}
