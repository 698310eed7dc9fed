package avatar

import (
	"bytes"
	"encoding/binary"
	"image/png"
	"strconv"

	"golang.org/x/image/webp"

	"github.com/voip-push/worker/internal/voip"
)

// What a header may announce before a decoder sees the picture.
const (
	minSourceSide   = 16
	maxSourceSide   = 4096
	maxAspect       = 8
	maxPixelsJPEG   = 16_800_000
	maxPixels       = 4_200_000
	maxDecodedBytes = 32 << 20
)

// format is a picture's type, as its first bytes tell.
type format string

const (
	formatUnknown format = ""
	formatJPEG    format = "jpeg"
	formatPNG     format = "png"
	formatWebP    format = "webp"
	formatGIF     format = "gif"
)

func (f format) contentType() string {
	if f == formatUnknown {
		return ""
	}
	return "image/" + string(f)
}

// sniff tells the type by the first bytes. What a server or a data URL
// declares is never asked.
func sniff(b []byte) format {
	switch {
	case bytes.HasPrefix(b, []byte("\xff\xd8\xff")):
		return formatJPEG
	case bytes.HasPrefix(b, []byte("\x89PNG\r\n\x1a\n")):
		return formatPNG
	case bytes.HasPrefix(b, []byte("GIF87a")), bytes.HasPrefix(b, []byte("GIF89a")):
		return formatGIF
	case len(b) >= 12 && bytes.HasPrefix(b, []byte("RIFF")) && bytes.Equal(b[8:12], []byte("WEBP")):
		return formatWebP
	default:
		return formatUnknown
	}
}

// header is what the guards know of a picture before it is decoded. Width and
// height are 0 when they cannot be told.
type header struct {
	format        format
	width, height int
	orientation   int   // as EXIF numbers them; 1: upright
	decoded       int64 // bytes that decoding it takes, estimated
	strict        int64 // the same of a JPEG's strict decoder
	quick         bool  // a JPEG that the quick decoders have right
	progressive   bool  // a JPEG of several scans of each coefficient
}

// inspect reads the header and judges it: unsupported_type, not_an_image,
// bad_dimensions or too_many_scans. What could be read comes with the error.
// It allocates next to nothing and takes time in proportion to len(b).
func inspect(b []byte) (header, error) {
	h := header{format: sniff(b), orientation: 1}
	var err error
	var jpeg jpegHeader
	switch h.format {
	case formatJPEG:
		jpeg, err = readJPEGHeader(b)
		h.width, h.height, h.orientation = jpeg.width, jpeg.height, jpeg.orientation
		h.quick, h.strict, h.progressive = jpeg.quick(), jpeg.strict(), jpeg.progressive
		h.decoded = h.strict
		if h.quick {
			h.decoded = jpeg.scaled(len(b))
		}
	case formatPNG:
		err = h.readPNG(b)
	case formatGIF:
		err = h.readGIF(b)
	case formatWebP:
		err = h.readWebP(b)
	case formatUnknown:
		err = fail(voip.AvatarUnsupportedType, "the source is no JPEG, PNG, WebP or GIF", nil)
	}
	if err != nil {
		return h, err
	}
	if err := h.checkDimensions(); err != nil {
		return h, err
	}
	return h, jpeg.checkScans()
}

func (h *header) checkDimensions() error {
	short, long := min(h.width, h.height), max(h.width, h.height)
	most := maxPixels
	if h.format == formatJPEG {
		most = maxPixelsJPEG
	}
	if short < minSourceSide || long > maxSourceSide || long > maxAspect*short || long*short > most {
		return fail(voip.AvatarBadDimensions, "the picture is "+strconv.Itoa(h.width)+" × "+strconv.Itoa(h.height)+
			" px, want sides of 16 to 4096, at most 8:1, at most 4.2 Mpx (JPEG 16.8)", nil)
	}
	if h.decoded > maxDecodedBytes {
		return fail(voip.AvatarBadDimensions, "decoding the picture would take "+bytesText(h.decoded)+", want at most "+
			bytesText(maxDecodedBytes), nil)
	}
	return nil
}

// The places of IHDR's fields: after the signature, the length and the name.
// The colour type follows the depth.
const (
	pngDepth     = 24
	pngInterlace = 28
	pngHeader    = 33
)

func (h *header) readPNG(b []byte) error {
	c, err := png.DecodeConfig(bytes.NewReader(b))
	if err != nil || len(b) < pngHeader {
		return undecodable("the PNG's header cannot be read", err)
	}
	h.width, h.height = c.Width, c.Height
	// Two rows, and the picture in blocks, of which each has a mean and a sum.
	const perPixel, perBlock = 8, 4 + 16
	n := min(c.Width, c.Height)
	k := blockSize(n, MaxSide)
	blocks := int64((n + k - 1) / k)
	h.decoded = int64(c.Width)*3*perPixel + blocks*blocks*perBlock
	return nil
}

// readGIF reads the screen's size; a frame that reaches beyond it is refused
// by the decoder before it takes memory.
func (h *header) readGIF(b []byte) error {
	if len(b) < gifScreenEnd {
		return undecodable("the GIF's header cannot be read", nil)
	}
	h.width, h.height = int(binary.LittleEndian.Uint16(b[gifScreen:])), int(binary.LittleEndian.Uint16(b[gifScreen+2:]))
	h.decoded = 2*int64(h.width)*int64(h.height) + int64(len(b)) // twice when it is interlaced, and the codes
	return nil
}

// readWebP reads the canvas of an extended file, else the only frame. That the
// two agree is checked by the decoder before it takes memory.
func (h *header) readWebP(b []byte) error {
	const chunk, flags, size, end, animation = 12, 20, 24, 30, 0x02
	h.decoded = 0
	if len(b) >= end && bytes.Equal(b[chunk:chunk+4], []byte("VP8X")) {
		h.width, h.height = 1+uint24(b[size:]), 1+uint24(b[size+3:])
		if b[flags]&animation != 0 {
			return fail(voip.AvatarUnsupportedType, "animated WebP is not supported", nil)
		}
	} else {
		c, err := webp.DecodeConfig(bytes.NewReader(b))
		if err != nil {
			return undecodable("the WebP's header cannot be read", err)
		}
		h.width, h.height = c.Width, c.Height
	}
	if len(b) > maxLosslessBytes && codedLossless(b) {
		return fail(voip.AvatarTooLarge, "the tables of so large a lossless WebP may take a gigabyte", nil)
	}
	h.decoded = int64(h.width) * int64(h.height) * 7 // lossless: twice 4 at worst, alpha beside planes: 4+1+1.5
	return nil
}

// maxLosslessBytes bounds a lossless WebP beside the general limits: each of
// its tiles may bring prefix codes that take about 400 times their coded size
// in memory, and no header tells how many there are. Lossless pictures of an
// avatar's size are a few tens of KiB.
const maxLosslessBytes = 256 << 10

// codedLossless says whether the picture or its alpha is coded losslessly.
func codedLossless(b []byte) bool {
	const first, head = 12, 8
	for at := first; at+head <= len(b); {
		switch string(b[at : at+4]) {
		case "VP8L", "ALPH":
			return true
		}
		size := int64(binary.LittleEndian.Uint32(b[at+4:]))
		next := int64(at) + head + size + size&1
		if next > int64(len(b)) {
			return false
		}
		at = int(next)
	}
	return false
}

func uint24(b []byte) int { return int(b[0]) | int(b[1])<<8 | int(b[2])<<16 }

func undecodable(detail string, cause error) error {
	return fail(voip.AvatarNotAnImage, detail, cause)
}
