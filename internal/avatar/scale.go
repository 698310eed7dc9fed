package avatar

import (
	"image"
	"image/color"
	"image/draw"
	"math"
)

// square is a square part of a picture in premultiplied RGBA. Its last column
// and row may stand for less than a whole sample: extent is how many samples
// it stands for.
type square struct {
	*image.RGBA
	extent float64
}

// shrink averages blocks of k × k px of r, reading img a strip of k rows at a
// time, so that no second picture of the source's size is ever made. k below 2
// copies r as it is. What of r lies outside img is transparent (a GIF's frame
// may be smaller than its screen).
func shrink(img image.Image, r image.Rectangle, k int) square {
	k = max(k, 1)
	n := r.Dx()
	m := (n + k - 1) / k
	out := square{RGBA: image.NewRGBA(image.Rect(0, 0, m, m)), extent: float64(n) / float64(k)}
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

// addRow adds each k pixels of a row to one entry of sums.
func addRow(sums []uint32, row []byte, k int) {
	for len(row) > 0 {
		part := row[:min(4*k, len(row))]
		row = row[len(part):]
		var r, g, b, a uint32
		for ; len(part) >= 4; part = part[4:] {
			r += uint32(part[0])
			g += uint32(part[1])
			b += uint32(part[2])
			a += uint32(part[3])
		}
		s := sums[:4:4]
		s[0] += r
		s[1] += g
		s[2] += b
		s[3] += a
		sums = sums[4:]
	}
}

func mean(to []byte, sums []uint32, count uint32) {
	for c := range to {
		to[c] = uint8((sums[c] + count/2) / count)
	}
}

// reader gives the function that copies a part of img to the upper left of a strip.
func reader(img image.Image) func(strip *image.RGBA, part image.Rectangle) {
	if p, ok := img.(*image.Paletted); ok {
		return palettedReader(p)
	}
	return func(strip *image.RGBA, part image.Rectangle) {
		draw.Draw(strip, image.Rect(0, 0, part.Dx(), part.Dy()), img, part.Min, draw.Src)
	}
}

// palettedReader looks colours up in a table of its own: the palette is one of
// interfaces, and costs ten times as much.
func palettedReader(p *image.Paletted) func(*image.RGBA, image.Rectangle) {
	var table [256][4]byte
	for i, c := range p.Palette {
		c, _ := color.RGBAModel.Convert(c).(color.RGBA)
		table[i] = [4]byte{c.R, c.G, c.B, c.A}
	}
	return func(strip *image.RGBA, part image.Rectangle) {
		inside := part.Intersect(p.Rect)
		for y := inside.Min.Y; y < inside.Max.Y; y++ {
			to := strip.Pix[(y-part.Min.Y)*strip.Stride+4*(inside.Min.X-part.Min.X):]
			for i, index := range p.Pix[p.PixOffset(inside.Min.X, y):][:inside.Dx()] {
				copy(to[4*i:], table[index][:])
			}
		}
	}
}

// taps are the samples that one pixel is made of.
type taps struct {
	first   int
	weights []float32
}

// kernel computes for each of side pixels the weights of Catmull and Rom's
// spline over extent samples, of which n are there. Downwards the spline is
// stretched by the scale, so that nothing aliases.
func kernel(side, n int, extent float64) []taps {
	scale := extent / float64(side)
	stretch := math.Max(scale, 1)
	out := make([]taps, side)
	for i := range out {
		centre := (float64(i)+0.5)*scale - 0.5
		first := max(0, int(math.Ceil(centre-2*stretch)))
		last := min(n-1, int(math.Floor(centre+2*stretch)))
		t := taps{first: first, weights: make([]float32, 0, last-first+1)}
		var sum float64
		for j := first; j <= last; j++ {
			w := catmullRom(math.Abs(float64(j)-centre) / stretch)
			sum += w
			t.weights = append(t.weights, float32(w))
		}
		for j := range t.weights {
			t.weights[j] = float32(float64(t.weights[j]) / sum)
		}
		out[i] = t
	}
	return out
}

// catmullRom is the cubic of Keys with B=0, C=1/2 (Mitchell and Netravali).
func catmullRom(x float64) float64 {
	switch {
	case x < 1:
		return (1.5*x-2.5)*x*x + 1
	case x < 2:
		return ((-0.5*x+2.5)*x-4)*x + 2
	default:
		return 0
	}
}

// resample scales a square to side × side px.
func resample(m square, side int) *image.RGBA {
	n := m.Rect.Dx()
	if n == side && m.extent == float64(side) {
		return m.RGBA
	}
	all := kernel(side, n, m.extent)
	wide := make([]float32, 4*side*n) // n rows of side pixels
	for y := range n {
		acrossRow(wide[4*side*y:][:4*side], m.Pix[y*m.Stride:][:4*n], all)
	}
	out := image.NewRGBA(image.Rect(0, 0, side, side))
	sums := make([]float32, 4*side)
	for y, t := range all {
		clear(sums)
		for j, w := range t.weights {
			row := wide[4*side*(t.first+j):][:4*side]
			for x, v := range row {
				sums[x] += w * v
			}
		}
		store(out.Pix[y*out.Stride:][:4*side], sums)
	}
	return out
}

func acrossRow(to []float32, row []byte, all []taps) {
	for x, t := range all {
		var r, g, b, a float32
		from := row[4*t.first:]
		for _, w := range t.weights {
			r += w * float32(from[0])
			g += w * float32(from[1])
			b += w * float32(from[2])
			a += w * float32(from[3])
			from = from[4:]
		}
		p := to[4*x:][:4]
		p[0], p[1], p[2], p[3] = r, g, b, a
	}
}

// store rounds, and keeps colours within alpha: the spline overshoots.
func store(to []byte, sums []float32) {
	for i := 0; i < len(to); i += 4 {
		a := clamp(sums[i+3], math.MaxUint8)
		to[i], to[i+1], to[i+2] = clamp(sums[i], a), clamp(sums[i+1], a), clamp(sums[i+2], a)
		to[i+3] = a
	}
}

func clamp(v float32, most uint8) uint8 {
	return uint8(min(max(v+0.5, 0), float32(most)+0.5))
}
