package avatar

import "math"

// dctScale is the denominator, 1 to 8, that leaves enough of n samples for
// side pixels: twice as many, and 2¼ where an eighth is plain means and a half
// is rounded twice.
func dctScale(n, side int) int {
	switch {
	case n >= 8*9*side/4:
		return 8
	case n >= 4*2*side:
		return 4
	case n >= 2*9*side/4:
		return 2
	default:
		return 1
	}
}

// kept are the coefficients that blocks of 1, 2, 4 or 8 samples are made of: the
// lowest of each direction.
type kept struct {
	last  int       // the last of them, in zigzag order
	place [64]uint8 // of each, row by row; what is not kept goes to the end of a keptBlock
}

// keptBlock holds up to 4 × 4 kept coefficients row by row, times their quantization.
type keptBlock [4*4 + 1]int32

const dropped = len(keptBlock{}) - 1

// keptOf is by samples.
//
//nolint:gochecknoglobals // a table of constants, read only
var keptOf = [...]kept{1: keptFor(1), 2: keptFor(2), 4: keptFor(4), 8: keptFor(8)}

// keptFor goes through the coefficients in zigzag order (T.81, figure 5).
func keptFor(side int) (k kept) {
	x, y := 0, 0
	for i := range k.place {
		k.place[i] = uint8(dropped)
		if x < side && y < side {
			k.last, k.place[i] = i, uint8(y*side+x)
		}
		switch up := (x+y)%2 == 0; {
		case up && x == 7, !up && y < 7 && x == 0:
			y++
		case up && y == 0, !up && y == 7:
			x++
		case up:
			x, y = x+1, y-1
		default:
			x, y = x-1, y+1
		}
	}
	return k
}

// weights gives the quantization of the kept coefficients by their places.
func (k *kept) weights(q *[64]int32) (w [64]int32) {
	for i, p := range k.place[:k.last+1] {
		w[p] = q[i]
	}
	return w
}

// samples makes the samples of the block in that column and row.
func (d *reducedJPEG) samples(p *jpegPlane, x, y int, b *keptBlock) {
	stride := p.stride(d.side)
	to := p.pix[(y*stride+x)*d.side:]
	switch d.side {
	case 1:
		to[0] = sample(b[0], 3)
	case 2:
		two(to, stride, b)
	default:
		four(to, stride, b)
	}
}

// two makes 2 × 2 samples: the transform of that size of the lowest
// coefficients, which is sums and differences.
func two(to []byte, stride int, b *keptBlock) {
	upper, lower := b[0]+b[2], b[0]-b[2]
	right, left := b[1]+b[3], b[1]-b[3]
	row := to[stride:][:2:2]
	to[0], to[1] = sample(upper+right, 3), sample(upper-right, 3)
	row[0], row[1] = sample(lower+left, 3), sample(lower-left, 3)
}

// The odd part of the transform of 4 samples, in units of 1/256: √2·cos(π/8)
// and √2·cos(3π/8). Between the two passes less is kept: there are 32 bits.
const (
	oddBits   = 8
	oddCos    = 334
	oddSin    = 139
	oddBefore = 5 // are cut off after the first pass
	oddAfter  = 3 + 2*oddBits - oddBefore
)

func four(to []byte, stride int, b *keptBlock) {
	var columns [16]int32
	for x := range 4 {
		v0, v1, v2, v3 := inverse4(b[x], b[4+x], b[8+x], b[12+x])
		columns[x], columns[4+x], columns[8+x], columns[12+x] = v0>>oddBefore, v1>>oddBefore, v2>>oddBefore, v3>>oddBefore
	}
	for y := range 4 {
		c := columns[4*y:][:4:4]
		v0, v1, v2, v3 := inverse4(c[0], c[1], c[2], c[3])
		row := to[y*stride:][:4:4]
		row[0], row[1], row[2], row[3] = sample(v0, oddAfter), sample(v1, oddAfter), sample(v2, oddAfter), sample(v3, oddAfter)
	}
}

// inverse4 is the transform of 4 coefficients. What comes has oddBits more.
func inverse4(a, b, c, d int32) (int32, int32, int32, int32) {
	e, f := (a+c)<<oddBits, (a-c)<<oddBits
	o, i := oddCos*b+oddSin*d, oddSin*b-oddCos*d
	return e + o, f + i, f - i, e - o
}

// cosines are the transform of 8, in units of 1/2048: by coefficient and sample,
// C(u)·cos((2x+1)uπ/16) (T.81, A.3.3).
//
//nolint:gochecknoglobals // a table of constants, read only
var cosines = func() (t [8][8]int32) {
	for u := range t {
		scale := float64(int(1) << cosineBits)
		if u == 0 {
			scale /= math.Sqrt2
		}
		for x := range t[u] {
			t[u][x] = int32(math.Round(scale * math.Cos(float64((2*x+1)*u)*math.Pi/16)))
		}
	}
	return t
}()

const (
	cosineBits   = 11
	cosineBefore = 8 // are cut off after the first pass
	cosineAfter  = 2*cosineBits + 2 - cosineBefore
)

// eight makes 8 × 8 samples, which only the smallest pictures need. Most of the
// coefficients are 0.
func eight(to []byte, stride int, b *[64]int32) {
	var columns [64]int32
	for i, c := range b {
		if c == 0 {
			continue
		}
		for y, w := range &cosines[i/8] {
			columns[8*y+i%8] += c * w
		}
	}
	for y := range 8 {
		var row [8]int32
		for u, c := range columns[8*y:][:8:8] {
			if c == 0 {
				continue
			}
			c >>= cosineBefore
			w := &cosines[u]
			row[0], row[1], row[2], row[3] = row[0]+c*w[0], row[1]+c*w[1], row[2]+c*w[2], row[3]+c*w[3]
			row[4], row[5], row[6], row[7] = row[4]+c*w[4], row[5]+c*w[5], row[6]+c*w[6], row[7]+c*w[7]
		}
		line := to[y*stride:][:8:8]
		for x, v := range row {
			line[x] = sample(v, cosineAfter)
		}
	}
}

// sample rounds, and moves the middle to where it is for a byte.
func sample(v int32, bits uint) uint8 {
	return uint8(min(max((v+1<<(bits-1))>>bits+128, 0), math.MaxUint8))
}
