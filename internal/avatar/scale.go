package avatar

import (
	"image"
	"image/color"
	"image/draw"
	"math"
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

// plane is samples of 8 bits, and the square of them that is shown. Several
// channels lie side by side.
type plane struct {
	pix           []byte
	stride        int // bytes of a row
	channels      int
	width, height int     // in samples
	x, y          float64 // where the square begins, in samples
	extentX       float64 // how many samples it stands for
	extentY       float64
	block         int // each sample is the mean of so many, across and down
}

// shrink averages blocks of k × k samples of a plane of one channel. Of the
// last blocks only what is there counts.
func (p *plane) shrink(k int) plane {
	w, h := (p.width+k-1)/k, (p.height+k-1)/k
	out := plane{
		pix: make([]byte, w*h), stride: w, channels: 1, width: w, height: h,
		x: p.x / float64(k), y: p.y / float64(k), extentX: p.extentX / float64(k), extentY: p.extentY / float64(k), block: k * p.block,
	}
	sums := make([]uint32, w)
	for row := range h {
		clear(sums)
		height := min(k, p.height-row*k)
		for y := range height {
			from := p.pix[(row*k+y)*p.stride:][:p.width]
			for x := range sums {
				var sum uint32
				for _, v := range from[x*k : min((x+1)*k, p.width)] {
					sum += uint32(v)
				}
				sums[x] += sum
			}
		}
		to := out.pix[row*w:][:w]
		for x, sum := range sums {
			count := uint32(height * min(k, p.width-x*k))
			to[x] = uint8((sum + count/2) / count)
		}
	}
	return out
}

// taps are the samples that one pixel is made of, with weights in units of 1/weightOne.
type taps struct {
	first   int
	weights []int32
}

const (
	weightBits = 14
	weightOne  = 1 << weightBits
	middleBits = 8 // kept between the two passes, below the point
)

// kernel computes for each of side pixels the weights of Lanczos' filter over
// extent samples from start on, of which n are there. Downwards the filter is
// stretched by the scale, so that nothing aliases. Samples that are means of
// block × block others have lost contrast in fine detail, which is given back.
func kernel(side, n int, start, extent float64, block int) []taps {
	scale := extent / float64(side)
	stretch := math.Max(scale, 1)
	reach := lobes*stretch + 1
	lost := blur(block)
	out := make([]taps, side)
	all := make([]int32, 0, side*int(2*reach+2))
	var floats []float64
	for i := range out {
		centre := start + (float64(i)+0.5)*scale - 0.5
		first := min(max(0, int(math.Ceil(centre-reach))), n-1)
		last := max(min(n-1, int(math.Floor(centre+reach))), first)
		floats = floats[:0]
		var sum float64
		for j := first; j <= last; j++ {
			at := float64(j) - centre
			w := lanczos3(at / stretch)
			if lost > 0 {
				w -= lost * (lanczos3((at-1)/stretch) - 2*w + lanczos3((at+1)/stretch))
			}
			sum += w
			floats = append(floats, w)
		}
		begin := len(all)
		rest, most := int32(weightOne), begin
		for j, w := range floats {
			v := int32(math.Round(w / sum * weightOne))
			all = append(all, v)
			rest -= v
			if v > all[most] {
				most = begin + j
			}
		}
		all[most] += rest // so that a flat picture stays as it is
		out[i] = taps{first: first, weights: all[begin:len(all):len(all)]}
	}
	return out
}

// blur is half the variance of a mean of so many samples, in units of its own
// width: what its second difference has to be weighed with to undo it.
func blur(block int) float64 {
	return (1 - 1/float64(block*block)) / 24
}

const lobes = 3

// lanczos3 is sinc(x)·sinc(x/3) within three lobes.
func lanczos3(x float64) float64 {
	x = math.Abs(x) * math.Pi
	if x < 1e-6 {
		return 1
	}
	if x >= lobes*math.Pi {
		return 0
	}
	// sin(x) = sin(3·x/3), of which one sine is enough: 3s - 4s³.
	third := math.Sin(x / lobes)
	return lobes * (lobes - 4*third*third) * third * third / (x * x)
}

// resample scales the square to side × side px, in fixed point. Values come
// with middleBits below the point.
func (p *plane) resample(side int) []int32 {
	rows := kernel(side, p.height, p.y, p.extentY, p.block)
	columns := kernel(side, p.width, p.x, p.extentX, p.block)
	c := p.channels
	from := c * columns[0].first
	end := columns[side-1]
	to := c * (end.first + len(end.weights))
	sums := make([]int32, to-from)
	out := make([]int32, side*side*c)
	for y, t := range rows {
		clear(sums)
		p.addRows(sums, t, from)
		for i := range sums {
			sums[i] >>= weightBits - middleBits
		}
		across(out[y*side*c:][:side*c], sums, columns, c)
	}
	return out
}

// addRows adds the weighted rows, four at a time.
func (p *plane) addRows(sums []int32, t taps, from int) {
	row := func(j int) []byte { return p.pix[(t.first+j)*p.stride+from:][:len(sums)] }
	j, w := 0, t.weights
	for ; j+4 <= len(w); j += 4 {
		a, b, c, d := row(j), row(j+1), row(j+2), row(j+3)
		wa, wb, wc, wd := w[j], w[j+1], w[j+2], w[j+3]
		for x := range sums {
			sums[x] += wa*int32(a[x]) + wb*int32(b[x]) + wc*int32(c[x]) + wd*int32(d[x])
		}
	}
	for ; j < len(w); j++ {
		a, wa := row(j), w[j]
		for x := range sums {
			sums[x] += wa * int32(a[x])
		}
	}
}

// across scales one row of samples; columns[0].first is at its beginning.
func across(to, row []int32, columns []taps, channels int) {
	first := columns[0].first
	for x, t := range columns {
		from := row[channels*(t.first-first):]
		if channels == 1 {
			to[x] = dot(from[:len(t.weights)], t.weights)
			continue
		}
		var r, g, b, a int32
		for _, w := range t.weights {
			s := from[:4:4]
			r += w * s[0]
			g += w * s[1]
			b += w * s[2]
			a += w * s[3]
			from = from[4:]
		}
		p := to[4*x:][:4]
		p[0], p[1], p[2], p[3] = r>>weightBits, g>>weightBits, b>>weightBits, a>>weightBits
	}
}

func dot(samples, weights []int32) int32 {
	var even, odd int32
	samples = samples[:len(weights)]
	i := 0
	for ; i+2 <= len(weights); i += 2 {
		even += samples[i] * weights[i]
		odd += samples[i+1] * weights[i+1]
	}
	if i < len(weights) {
		even += samples[i] * weights[i]
	}
	return (even + odd) >> weightBits
}

// resample scales a square to side × side px.
func resample(m square, side int) *image.RGBA {
	n := m.Rect.Dx()
	if n == side && m.extent == float64(side) {
		return m.RGBA
	}
	p := plane{pix: m.Pix, stride: m.Stride, channels: 4, width: n, height: n, extentX: m.extent, extentY: m.extent, block: m.block}
	out := image.NewRGBA(image.Rect(0, 0, side, side))
	sums := p.resample(side)
	for i := 0; i < len(sums); i += 4 {
		// Colours are kept within alpha: the filter overshoots.
		a := rounded(sums[i+3], math.MaxUint8)
		out.Pix[i], out.Pix[i+1], out.Pix[i+2] = rounded(sums[i], int32(a)), rounded(sums[i+1], int32(a)), rounded(sums[i+2], int32(a))
		out.Pix[i+3] = a
	}
	return out
}

func rounded(v, most int32) uint8 {
	return uint8(min(max((v+1<<(middleBits-1))>>middleBits, 0), most))
}
