package avatar

import (
	"bytes"
	"compress/zlib"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"image"
	"io"
	"math"
)

// The colour types of PNG (ISO/IEC 15948, 11.2.2).
const (
	pngGray      = 0
	pngRGB       = 2
	pngPalette   = 3
	pngGrayAlpha = 4
	pngRGBAlpha  = 6
)

// passes are where each pass of Adam7 begins, and its steps.
type pass struct{ x, y, dx, dy int }

func passes(interlaced bool) []pass {
	if !interlaced {
		return []pass{{0, 0, 1, 1}}
	}
	return []pass{{0, 0, 8, 8}, {4, 0, 8, 8}, {0, 4, 4, 8}, {2, 0, 4, 4}, {0, 2, 2, 4}, {1, 0, 2, 2}, {0, 1, 1, 2}}
}

// pngImage reads the pixels of a PNG row by row, so that the picture is never
// in memory as a whole: image/png takes 8 bytes for each pixel of 16 bits a
// channel, and half as much again to interlace. What it reads has passed
// png.DecodeConfig.
type pngImage struct {
	rest          []byte // from the next chunk on
	idat          []byte // what is left of an IDAT
	width, height int
	depth, colour int
	interlaced    bool
	palette       [256][4]byte // premultiplied
	hasPalette    bool
	key           [3]uint16 // the colour that is transparent
	hasKey        bool
}

var errPNG = errors.New("a chunk of the PNG is cut, damaged or missing")

// shrinkPNG averages blocks of k × k px of r, in any order: interlaced
// pictures come that way.
func shrinkPNG(b []byte, r image.Rectangle, k int) (square, error) {
	k = max(k, 1)
	p := pngImage{
		rest: b[pngHeader:], width: int(binary.BigEndian.Uint32(b[16:])), height: int(binary.BigEndian.Uint32(b[20:])),
		depth: int(b[pngDepth]), colour: int(b[pngDepth+1]), interlaced: b[pngInterlace] != 0,
	}
	for i := range p.palette {
		p.palette[i] = [4]byte{0, 0, 0, math.MaxUint8}
	}
	if err := p.header(); err != nil {
		return square{}, err
	}
	z, err := zlib.NewReader(&p)
	if err != nil {
		return square{}, err
	}
	to := newBlocks(r, k)
	for _, at := range passes(p.interlaced) {
		if err := p.pass(z, at, to); err != nil {
			return square{}, err
		}
	}
	if n, err := z.Read(make([]byte, 1)); n != 0 || !errors.Is(err, io.EOF) { // its checksum is read with its end
		return square{}, errPNG
	}
	return to.square(), p.trailer()
}

// chunk takes the next chunk, whose checksum has to be right.
func (p *pngImage) chunk() (kind string, data []byte, err error) {
	const frame = 12 // length, kind, checksum
	if len(p.rest) < frame {
		return "", nil, errPNG
	}
	n := uint64(binary.BigEndian.Uint32(p.rest))
	if n > uint64(len(p.rest)-frame) {
		return "", nil, errPNG
	}
	kind, data = string(p.rest[4:8]), p.rest[8:8+n]
	if crc32.ChecksumIEEE(p.rest[4:8+n]) != binary.BigEndian.Uint32(p.rest[8+n:]) {
		return "", nil, errPNG
	}
	p.rest = p.rest[frame+n:]
	return kind, data, nil
}

// header reads up to the first IDAT. Profiles and texts are not looked into.
func (p *pngImage) header() error {
	for {
		kind, data, err := p.chunk()
		if err != nil {
			return err
		}
		switch kind {
		case "PLTE":
			n := len(data) / 3
			if n < 1 || n > min(256, 1<<p.depth) || len(data) != 3*n || p.hasPalette || p.colour&pngRGB == 0 {
				return errPNG
			}
			p.hasPalette = true
			for i := range n {
				copy(p.palette[i][:3], data[3*i:])
			}
		case "tRNS":
			if err := p.transparency(data); err != nil {
				return err
			}
		case "IDAT":
			if p.colour == pngPalette && !p.hasPalette {
				return errPNG
			}
			p.idat = data
			return nil
		case "IHDR", "IEND":
			return errPNG
		}
	}
}

func (p *pngImage) transparency(data []byte) error {
	switch p.colour {
	case pngPalette:
		if !p.hasPalette || len(data) > len(p.palette) {
			return errPNG
		}
		for i, a := range data {
			c := &p.palette[i]
			*c = premultiply(c[0], c[1], c[2], a)
		}
	case pngGray, pngRGB:
		n := 1 + p.colour // 1 or 3 values
		if len(data) != 2*n {
			return errPNG
		}
		for i := range n {
			p.key[i] = binary.BigEndian.Uint16(data[2*i:])
		}
		p.hasKey = true
	default:
		return errPNG
	}
	return nil
}

func premultiply(r, g, b, a uint8) [4]byte {
	return [4]byte{premultiplied(r, uint32(a)), premultiplied(g, uint32(a)), premultiplied(b, uint32(a)), a}
}

// trailer reads up to IEND.
func (p *pngImage) trailer() error {
	if len(p.idat) > 0 {
		return errPNG
	}
	for {
		kind, _, err := p.chunk()
		switch {
		case err != nil:
			return err
		case kind == "IEND":
			return nil
		case kind == "PLTE" || kind == "IHDR": // an IDAT too many does no harm
			return errPNG
		}
	}
}

// Read reads what the IDAT chunks hold, one after the other.
func (p *pngImage) Read(b []byte) (int, error) {
	for len(p.idat) == 0 {
		if len(p.rest) < 8 || !bytes.Equal(p.rest[4:8], []byte("IDAT")) {
			return 0, io.ErrUnexpectedEOF
		}
		var err error
		if _, p.idat, err = p.chunk(); err != nil {
			return 0, err
		}
	}
	n := copy(b, p.idat)
	p.idat = p.idat[n:]
	return n, nil
}

// ReadByte keeps the decompressor from reading ahead of what it needs.
func (p *pngImage) ReadByte() (byte, error) {
	if len(p.idat) > 0 {
		c := p.idat[0]
		p.idat = p.idat[1:]
		return c, nil
	}
	var b [1]byte
	_, err := p.Read(b[:])
	return b[0], err
}
