package avatar

import (
	"encoding/binary"
	"io"
	"math"
)

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
