package avatar

import (
	"encoding/binary"
	"image"
)

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

// show sets the square: r in pixels, of which across × down are one sample.
func (p *plane) show(r image.Rectangle, across, down int) {
	p.block = 1
	p.x, p.extentX = float64(r.Min.X)/float64(across), float64(r.Dx())/float64(across)
	p.y, p.extentY = float64(r.Min.Y)/float64(down), float64(r.Dy())/float64(down)
}

// scaled scales the square, by way of blocks where there are many samples.
// Planes of the same form share the work that depends on it alone.
func scaled(side int, planes ...plane) [][]int32 {
	out := make([][]int32, len(planes))
	var form filter
	for i, p := range planes {
		if k := blockSize(int(min(p.extentX, p.extentY)), side); k > 1 {
			p = p.shrink(k)
		}
		if i == 0 {
			form = p.filter(side)
		}
		out[i] = p.resample(form)
	}
	return out
}

// shrink averages blocks of k × k samples of a plane of one channel. Of the
// last blocks only what is there counts.
func (p *plane) shrink(k int) plane {
	w, h := (p.width+k-1)/k, (p.height+k-1)/k
	out := plane{
		pix: make([]byte, w*h), stride: w, channels: 1, width: w, height: h,
		x: p.x / float64(k), y: p.y / float64(k), extentX: p.extentX / float64(k), extentY: p.extentY / float64(k), block: k * p.block,
	}
	sums := make([]uint16, p.width) // of k samples: k is at most 32
	for row := range h {
		height := min(k, p.height-row*k)
		p.addDown(sums, row*k, height)
		to := out.pix[row*w:][:w]
		whole := p.width / k
		meansOf(to[:whole], sums, k, height)
		if whole < w {
			meansOf(to[whole:], sums[whole*k:], p.width-whole*k, height)
		}
	}
	return out
}

// evens has every second byte of a word: sums of bytes have 16 bits there.
const evens = 0x00ff00ff00ff00ff

// addDown adds up each column of the rows from y on, eight columns at a time.
func (p *plane) addDown(sums []uint16, y, rows int) {
	pix := p.pix[y*p.stride:]
	x := 0
	for ; x+8 <= len(sums); x += 8 {
		var even, odd uint64
		for at := x; at < x+rows*p.stride; at += p.stride {
			v := binary.LittleEndian.Uint64(pix[at:])
			even += v & evens
			odd += v >> 8 & evens
		}
		s := sums[x:][:8:8]
		s[0], s[2], s[4], s[6] = uint16(even), uint16(even>>16), uint16(even>>32), uint16(even>>48)
		s[1], s[3], s[5], s[7] = uint16(odd), uint16(odd>>16), uint16(odd>>32), uint16(odd>>48)
	}
	for ; x < len(sums); x++ {
		sums[x] = 0
		for row := range rows {
			sums[x] += uint16(pix[row*p.stride+x])
		}
	}
}

// meansOf makes means of each k sums of so many rows. The division is by
// multiplication, which is exact for so few samples.
func meansOf(to []byte, sums []uint16, k, rows int) {
	count := uint64(k * rows)
	inverse := (1<<32 + count - 1) / count
	if k == 2 {
		for i := range to {
			s := sums[2*i:][:2:2]
			to[i] = uint8((uint64(s[0]) + uint64(s[1]) + count/2) * inverse >> 32)
		}
		return
	}
	for i := range to {
		sum := count / 2
		for _, s := range sums[i*k:][:k] {
			sum += uint64(s)
		}
		to[i] = uint8(sum * inverse >> 32)
	}
}
