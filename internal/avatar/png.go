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

func (p *pngImage) channels() int {
	switch p.colour {
	case pngRGB:
		return 3
	case pngGrayAlpha:
		return 2
	case pngRGBAlpha:
		return 4
	default:
		return 1
	}
}

// pass reads the rows of one pass and adds those that are shown.
func (p *pngImage) pass(z io.Reader, at pass, to *blocks) error {
	width, height := (p.width-at.x+at.dx-1)/at.dx, (p.height-at.y+at.dy-1)/at.dy
	if width <= 0 || height <= 0 {
		return nil
	}
	bits := p.channels() * p.depth
	size, pixel := (width*bits+7)/8, (bits+7)/8
	row, before := make([]byte, 1+size), make([]byte, 1+size)
	colours := make([]byte, 4*width)
	for y := range height {
		if _, err := io.ReadFull(z, row); err != nil {
			return err
		}
		if !unfilter(row[0], row[1:], before[1:], pixel) {
			return errPNG
		}
		if shown := at.y + y*at.dy; shown >= to.r.Min.Y && shown < to.r.Max.Y {
			p.convert(colours, row[1:], width)
			to.add(colours, shown, at.x, at.dx)
		}
		row, before = before, row
	}
	return nil
}

// unfilter undoes a row's filter (ISO/IEC 15948, 9.2).
func unfilter(kind byte, row, before []byte, pixel int) bool {
	switch kind {
	case 0:
	case 1:
		for i := pixel; i < len(row); i++ {
			row[i] += row[i-pixel]
		}
	case 2:
		for i, up := range before[:len(row)] {
			row[i] += up
		}
	case 3:
		for i := range row {
			left := 0
			if i >= pixel {
				left = int(row[i-pixel])
			}
			row[i] += uint8((left + int(before[i])) / 2)
		}
	case 4:
		paeth(row, before, pixel)
	default:
		return false
	}
	return true
}

func paeth(row, before []byte, pixel int) {
	for i := range min(pixel, len(row)) {
		row[i] += before[i]
	}
	for channel := range pixel {
		if channel >= len(row) {
			return
		}
		left, corner := int32(row[channel]), int32(before[channel])
		for i := channel + pixel; i < len(row); i += pixel {
			up := int32(before[i])
			fromLeft, fromUp := up-corner, left-corner
			fromCorner := max(fromLeft+fromUp, -fromLeft-fromUp)
			fromLeft, fromUp = max(fromLeft, -fromLeft), max(fromUp, -fromUp)
			guess := corner
			if fromLeft <= fromUp && fromLeft <= fromCorner {
				guess = left
			} else if fromUp <= fromCorner {
				guess = up
			}
			left, corner = int32(uint8(int32(row[i])+guess)), up
			row[i] = uint8(left)
		}
	}
}

// convert makes premultiplied RGBA of a row.
func (p *pngImage) convert(to, row []byte, width int) {
	switch {
	case p.colour == pngRGB && p.depth == 8 && !p.hasKey:
		for i := 0; i < 4*width; i += 4 {
			c := row[:3:3]
			to[i], to[i+1], to[i+2], to[i+3] = c[0], c[1], c[2], math.MaxUint8
			row = row[3:]
		}
	case p.colour == pngRGBAlpha:
		step := 4 * p.depth / 8
		channel := step / 4
		for i := 0; i < 4*width; i += 4 {
			c := row[:step:step] // of 16 bits the upper 8
			switch a := c[3*channel]; a {
			case 0:
				clear(to[i : i+4])
			case math.MaxUint8:
				to[i], to[i+1], to[i+2], to[i+3] = c[0], c[channel], c[2*channel], a
			default:
				pixel := premultiply(c[0], c[channel], c[2*channel], a)
				copy(to[i:i+4], pixel[:])
			}
			row = row[step:]
		}
	default:
		for x := range width {
			pixel := p.pixel(row, x)
			copy(to[4*x:], pixel[:])
		}
	}
}

// pixel reads any form of pixel.
func (p *pngImage) pixel(row []byte, x int) [4]byte {
	n := p.channels()
	var v [4]uint16
	for c := range n {
		v[c] = p.sample(row, x*n+c)
	}
	if p.colour == pngPalette {
		return p.palette[v[0]]
	}
	if p.hasKey && [3]uint16(v[:3]) == p.key {
		return [4]byte{}
	}
	switch p.colour {
	case pngGray:
		g := p.eight(v[0])
		return [4]byte{g, g, g, math.MaxUint8}
	case pngGrayAlpha:
		g := p.eight(v[0])
		return premultiply(g, g, g, p.eight(v[1]))
	}
	return [4]byte{p.eight(v[0]), p.eight(v[1]), p.eight(v[2]), math.MaxUint8}
}

func (p *pngImage) sample(row []byte, i int) uint16 {
	switch p.depth {
	case 16:
		return binary.BigEndian.Uint16(row[2*i:])
	case 8:
		return uint16(row[i])
	}
	per := 8 / p.depth
	return uint16(row[i/per]>>(8-p.depth*(1+i%per))) & (1<<p.depth - 1)
}

// eight stretches a sample to 8 bits.
func (p *pngImage) eight(v uint16) uint8 {
	switch p.depth {
	case 16:
		return uint8(v >> 8)
	case 8:
		return uint8(v)
	}
	return uint8(int(v) * math.MaxUint8 / (1<<p.depth - 1))
}

// blocks gathers pixels into the means of k × k blocks of r.
type blocks struct {
	r    image.Rectangle
	k, m int
	pix  *image.RGBA
	sums []uint32 // nil when each block is one pixel
}

func newBlocks(r image.Rectangle, k int) *blocks {
	m := (r.Dx() + k - 1) / k
	b := &blocks{r: r, k: k, m: m, pix: image.NewRGBA(image.Rect(0, 0, m, m))}
	if k > 1 {
		b.sums = make([]uint32, 4*m*m)
	}
	return b
}

// add adds the pixels of row y, which are at x, x+dx, and so on.
func (b *blocks) add(row []byte, y, x, dx int) {
	if dx == 1 && b.sums == nil {
		copy(b.pix.Pix[(y-b.r.Min.Y)*b.pix.Stride:][:4*b.m], row[4*(b.r.Min.X-x):])
		return
	}
	line := (y - b.r.Min.Y) / b.k * 4 * b.m
	if dx == 1 {
		addRow(b.sums[line:][:4*b.m], row[4*(b.r.Min.X-x):][:4*b.r.Dx()], b.k)
		return
	}
	for ; len(row) >= 4 && x < b.r.Max.X; row, x = row[4:], x+dx {
		if x < b.r.Min.X {
			continue
		}
		at := line + (x-b.r.Min.X)/b.k*4
		if b.sums == nil {
			copy(b.pix.Pix[at:at+4], row)
			continue
		}
		s := b.sums[at:][:4:4]
		s[0], s[1], s[2], s[3] = s[0]+uint32(row[0]), s[1]+uint32(row[1]), s[2]+uint32(row[2]), s[3]+uint32(row[3])
	}
}

func (b *blocks) square() square {
	n := b.r.Dx()
	for i := 0; i < len(b.sums); i += 4 {
		x, y := i/4%b.m, i/4/b.m
		count := uint32(min(b.k, n-x*b.k) * min(b.k, n-y*b.k))
		mean(b.pix.Pix[i:][:4], b.sums[i:][:4], count)
	}
	return square{RGBA: b.pix, extent: float64(n) / float64(b.k), block: b.k}
}
