package avatar

import (
	"encoding/binary"
	"image"
	"image/color"
	"image/draw"
)

// square is a square part of a picture in premultiplied RGBA. Its last column
// and row may stand for less than a whole sample: extent is how many samples
// it stands for. Each sample is the mean of block × block pixels.
type square struct {
	*image.RGBA
	extent float64
	block  int
}

// shrink averages blocks of k × k px of r, reading img a strip of k rows at a
// time, so that no second picture of the source's size is ever made. k below 2
// copies r as it is. What of r lies outside img is transparent (a GIF's frame
// may be smaller than its screen).
func shrink(img image.Image, r image.Rectangle, k int) square {
	k = max(k, 1)
	if p, ok := img.(*image.Paletted); ok && k > 1 && k <= 257 {
		return shrinkPaletted(p, r, k)
	}
	n := r.Dx()
	m := (n + k - 1) / k
	out := square{RGBA: image.NewRGBA(image.Rect(0, 0, m, m)), extent: float64(n) / float64(k), block: k}
	read := reader(img)
	strip := image.NewRGBA(image.Rect(0, 0, n, k))
	sums := make([]uint32, 4*m)
	for row := range m {
		height := min(k, n-row*k)
		part := image.Rect(r.Min.X, r.Min.Y+row*k, r.Max.X, r.Min.Y+row*k+height)
		if !part.In(img.Bounds()) {
			clear(strip.Pix)
		}
		read(strip, part)
		to := out.Pix[row*out.Stride:][:4*m]
		if k == 1 {
			copy(to, strip.Pix)
			continue
		}
		clear(sums)
		for y := range height {
			addRow(sums, strip.Pix[y*strip.Stride:][:4*n], k)
		}
		for x := range m {
			mean(to[4*x:][:4], sums[4*x:][:4], uint32(height*min(k, n-x*k)))
		}
	}
	return out
}

// reader gives the function that copies a part of img to the upper left of a strip.
func reader(img image.Image) func(strip *image.RGBA, part image.Rectangle) {
	switch m := img.(type) {
	case *image.Paletted:
		return palettedReader(m)
	case *image.NYCbCrA:
		return alphaReader(m)
	}
	return func(strip *image.RGBA, part image.Rectangle) {
		draw.Draw(strip, image.Rect(0, 0, part.Dx(), part.Dy()), img, part.Min, draw.Src)
	}
}

// palettedReader looks colours up in a table of its own: the palette is one of
// interfaces, and costs ten times as much.
func palettedReader(p *image.Paletted) func(*image.RGBA, image.Rectangle) {
	var table [256]uint32
	for i, c := range p.Palette {
		c, _ := color.RGBAModel.Convert(c).(color.RGBA)
		table[i] = uint32(c.R) | uint32(c.G)<<8 | uint32(c.B)<<16 | uint32(c.A)<<24
	}
	return func(strip *image.RGBA, part image.Rectangle) {
		inside := part.Intersect(p.Rect)
		for y := inside.Min.Y; y < inside.Max.Y; y++ {
			to := strip.Pix[(y-part.Min.Y)*strip.Stride+4*(inside.Min.X-part.Min.X):]
			for _, index := range p.Pix[p.PixOffset(inside.Min.X, y):][:inside.Dx()] {
				binary.LittleEndian.PutUint32(to, table[index])
				to = to[4:]
			}
		}
	}
}

// shrinkPaletted is shrink for a picture of a palette: the four channels of a
// colour are added at once, 16 bits apart, which holds for 257 of them.
func shrinkPaletted(p *image.Paletted, r image.Rectangle, k int) square {
	var table [256]uint64
	for i, c := range p.Palette {
		c, _ := color.RGBAModel.Convert(c).(color.RGBA)
		table[i] = uint64(c.R) | uint64(c.G)<<16 | uint64(c.B)<<32 | uint64(c.A)<<48
	}
	to := newBlocks(r, k)
	inside := r.Intersect(p.Rect)
	for y := inside.Min.Y; y < inside.Max.Y; y++ {
		row := p.Pix[p.PixOffset(inside.Min.X, y):][:inside.Dx()]
		line := to.sums[(y-r.Min.Y)/k*4*to.m:][:4*to.m]
		for x := inside.Min.X - r.Min.X; len(row) > 0; {
			part := row[:min(k-x%k, len(row))]
			var sum uint64
			for _, index := range part {
				sum += table[index]
			}
			s := line[x/k*4:][:4:4]
			s[0], s[1] = s[0]+uint32(sum&0xffff), s[1]+uint32(sum>>16&0xffff)
			s[2], s[3] = s[2]+uint32(sum>>32&0xffff), s[3]+uint32(sum>>48)
			row, x = row[len(part):], x+len(part)
		}
	}
	return to.square()
}
