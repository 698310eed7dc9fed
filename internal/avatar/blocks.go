package avatar

import "image"

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
