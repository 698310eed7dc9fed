package avatar

import (
	"image"
	"math"
)

// taps are the samples that one pixel is made of, with weights in units of 1/weightOne.
type taps struct {
	first   int
	weights []int32
}

const (
	weightBits = 14
	weightOne  = 1 << weightBits
	middleBits = 7 // kept between the two passes, below the point: one more, and sums might not fit
)

// kernel computes for each of side pixels the weights of Lanczos' filter over
// extent samples from start on, of which n are there. Downwards the filter is
// stretched by the scale, so that nothing aliases. Samples that are means of
// block × block others have lost contrast in fine detail, which is given back.
func kernel(side, n int, start, extent float64, block int) []taps {
	scale := extent / float64(side)
	stretch := math.Max(scale, 1)
	reach := lobes * stretch
	lost := blur(block)
	if lost > 0 {
		reach++
	}
	out := make([]taps, side)
	all := make([]int32, 0, side*int(2*reach+2))
	var floats []float64
	for i := range out {
		centre := start + (float64(i)+0.5)*scale - 0.5
		first := min(max(0, int(math.Ceil(centre-reach))), n-1)
		last := max(min(n-1, int(math.Floor(centre+reach))), first)
		floats = floats[:0]
		for j := first; j <= last; j++ {
			at := float64(j) - centre
			w := lanczos3(at / stretch)
			if lost > 0 {
				w -= lost * (lanczos3((at-1)/stretch) - 2*w + lanczos3((at+1)/stretch))
			}
			floats = append(floats, w)
		}
		begin := len(all)
		all = appendWeights(all, floats)
		out[i] = trimmed(taps{first: first, weights: all[begin:len(all):len(all)]})
	}
	return out
}

// appendWeights appends w in units of 1/weightOne of its sum. The largest one
// takes what rounding leaves, so that a flat picture stays as it is.
func appendWeights(to []int32, w []float64) []int32 {
	var sum float64
	for _, v := range w {
		sum += v
	}
	rest, most := int32(weightOne), len(to)
	for _, v := range w {
		rounded := int32(math.Round(v / sum * weightOne))
		to = append(to, rounded)
		rest -= rounded
		if rounded > to[most] {
			most = len(to) - 1
		}
	}
	to[most] += rest
	return to
}

// trimmed leaves out the weights at both ends that are nothing: of pixels that
// stay as they are, all but one.
func trimmed(t taps) taps {
	for len(t.weights) > 1 && t.weights[0] == 0 {
		t.first, t.weights = t.first+1, t.weights[1:]
	}
	for len(t.weights) > 1 && t.weights[len(t.weights)-1] == 0 {
		t.weights = t.weights[:len(t.weights)-1]
	}
	return t
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

// filter is what every plane of one form is scaled with. The samples of a row
// that are looked at are those from first to end.
type filter struct {
	rows, columns []taps
	first, end    int
}

func (p *plane) filter(side int) filter {
	f := filter{columns: kernel(side, p.width, p.x, p.extentX, p.block)}
	f.rows = f.columns
	if p.height != p.width || p.y != p.x || p.extentY != p.extentX {
		f.rows = kernel(side, p.height, p.y, p.extentY, p.block)
	}
	f.first = math.MaxInt
	for _, t := range f.columns {
		f.first, f.end = min(f.first, t.first), max(f.end, t.first+len(t.weights))
	}
	return f
}

// resample scales the square, in fixed point: downwards, and two rows of what
// comes of that across. Values come with middleBits below the point.
func (p *plane) resample(f filter) []int32 {
	const extra = weightBits - middleBits
	side, c := len(f.rows), p.channels
	width := c * (f.end - f.first)
	sums, both := make([]int32, 2*width), make([]int64, width)
	upper, lower := sums[:width], sums[width:]
	out := make([]int32, side*side*c)
	for y := 0; y < side; y += 2 {
		next := min(y+1, side-1) // the same row twice at an odd end
		clear(sums)
		p.addRows(upper, f.rows[y], c*f.first)
		p.addRows(lower, f.rows[next], c*f.first)
		for i := range both {
			both[i] = int64(upper[i]>>extra) + int64(lower[i]>>extra)<<32
		}
		f.across(out[y*side*c:][:side*c], out[next*side*c:][:side*c], both, c)
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

// unpair takes apart the sum of what was added up in pairs: two signed sums, of
// which the lower one borrowed from the upper.
func unpair(sum int64) (lower, upper int32) {
	lower = int32(sum)
	return lower, int32((sum - int64(lower)) >> 32)
}

// across scales two rows at once: one multiplication weighs a sample of each.
func (f *filter) across(upper, lower []int32, both []int64, channels int) {
	for x, t := range f.columns {
		from := both[channels*(t.first-f.first):]
		if channels == 1 {
			u, l := unpair(dot(from[:len(t.weights)], t.weights))
			upper[x], lower[x] = u>>weightBits, l>>weightBits
			continue
		}
		var sums [4]int64
		for _, w := range t.weights {
			s, w := from[:4:4], int64(w)
			sums[0] += w * s[0]
			sums[1] += w * s[1]
			sums[2] += w * s[2]
			sums[3] += w * s[3]
			from = from[4:]
		}
		for c, sum := range sums {
			u, l := unpair(sum)
			upper[4*x+c], lower[4*x+c] = u>>weightBits, l>>weightBits
		}
	}
}

func dot(samples []int64, weights []int32) int64 {
	var even, odd int64
	samples = samples[:len(weights)]
	i := 0
	for ; i+2 <= len(weights); i += 2 {
		even += samples[i] * int64(weights[i])
		odd += samples[i+1] * int64(weights[i+1])
	}
	if i < len(weights) {
		even += samples[i] * int64(weights[i])
	}
	return even + odd
}

// resample scales a square to side × side px.
func resample(m square, side int) *image.RGBA {
	n := m.Rect.Dx()
	if n == side && m.extent == float64(side) {
		return m.RGBA
	}
	p := plane{pix: m.Pix, stride: m.Stride, channels: 4, width: n, height: n, extentX: m.extent, extentY: m.extent, block: m.block}
	out := image.NewRGBA(image.Rect(0, 0, side, side))
	sums := p.resample(p.filter(side))
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
