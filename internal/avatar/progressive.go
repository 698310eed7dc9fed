package avatar

import "math/bits"

// band are the coefficients of a progressive scan, in zigzag order, and which
// of their bits it brings (T.81, G.1.1.1).
type band struct {
	first, last int
	high, low   uint8 // the lowest bit of the scan before; 0: this is the first
}

func (b band) valid(components int) bool {
	if b.first == 0 && b.last != 0 || b.first > b.last || b.last > 63 || b.low > 13 {
		return false
	}
	return (b.first == 0 || components == 1) && (b.high == 0 || b.high == b.low+1)
}

// progress decodes a scan of a progressive picture.
func (d *reducedJPEG) progress(e *entropy, planes []*jpegPlane, b band) error {
	if !b.valid(len(planes)) {
		return errJPEG
	}
	if b.first > 0 {
		return d.progressAC(e, planes[0], b)
	}
	for _, p := range planes {
		if p.dc == nil && b.high == 0 {
			return errJPEG
		}
	}
	n := d.side * d.side
	block := func(i, x, y int) bool {
		p := planes[i]
		to := &p.coefficients[(y*p.across+x)*n]
		if b.high > 0 {
			*to |= int16(e.take(1) << b.low)
			return true
		}
		ok := p.difference(e)
		*to = int16(p.last << b.low)
		return ok
	}
	if len(planes) > 1 {
		return d.interleaved(e, planes, block)
	}
	return d.alone(e, planes[0], func(x, y int) bool { return block(0, x, y) })
}

// alone goes through the blocks of one component, those that only fill up MCUs
// left out.
func (d *reducedJPEG) alone(e *entropy, p *jpegPlane, block func(x, y int) bool) error {
	for i := range p.wide * p.high {
		if d.interval > 0 && i > 0 && i%d.interval == 0 && !d.restart(e, []*jpegPlane{p}, i) {
			return errJPEG
		}
		x := i % p.wide
		if x == 0 && e.short() || !block(x, i/p.wide) {
			return errJPEG
		}
	}
	if e.short() {
		return errJPEG
	}
	return nil
}

// progressAC decodes a scan of AC coefficients; an eighth of the size is made
// without them. Of those that are not kept only the one thing is remembered
// that the rest of the picture cannot be read without: whether they are 0.
func (d *reducedJPEG) progressAC(e *entropy, p *jpegPlane, b band) error {
	if d.side == 1 {
		return nil
	}
	if p.ac == nil {
		return errJPEG
	}
	s := acScan{band: b, entropy: e, codes: p.ac, kept: d.kept, n: d.side * d.side}
	read := s.initial
	if b.high > 0 {
		read = s.refine
	}
	return d.alone(e, p, func(x, y int) bool {
		if d.interval > 0 && (y*p.wide+x)%d.interval == 0 {
			s.ended = 0
		}
		at := y*p.across + x
		return read(p.coefficients[at*s.n:][:s.n], &p.known[at])
	})
}

type acScan struct {
	band
	*entropy

	codes *huffman
	kept  *kept
	n     int // coefficients that are kept of a block
	ended int // blocks that have no more codes
}

// set sets a coefficient, if it is kept.
func (s *acScan) set(block []int16, k int, v int32) {
	if at := int(s.kept.place[k]); at < len(block) {
		block[at] = int16(v << s.low)
	}
}

// initial reads the first scan of a band (T.81, G.1.2.2).
func (s *acScan) initial(block []int16, known *uint64) bool {
	if s.ended > 0 {
		s.ended--
		return true
	}
	for k := s.first; k <= s.last; k++ {
		c := s.code(s.codes)
		run, size := int(c.symbol()>>4), c.size()
		switch {
		case c == 0:
			return false
		case size == 0 && run < 15:
			s.ended = 1<<run + s.take(run) - 1
			return true
		}
		if k += run; k > s.last {
			return false
		}
		if size > 0 {
			*known |= 1 << k
			s.set(block, k, signed(s.buf, size))
			s.drop(size)
		}
	}
	return true
}

// refine reads one more bit of a band (T.81, G.1.2.3): a code for each
// coefficient that is no longer 0, and between them a bit for each that was
// none before.
func (s *acScan) refine(block []int16, known *uint64) bool {
	k := s.first
	for s.ended == 0 && k <= s.last {
		c := s.code(s.codes)
		run, size := int(c.symbol()>>4), c.size()
		var v int32
		switch {
		case c == 0 || size > 1:
			return false
		case size == 1:
			v = int32(2*s.take(1) - 1)
		case run < 15:
			s.ended = 1<<run + s.take(run)
			continue
		}
		zero := nthZero(*known, k, run)
		if zero > s.last {
			return false
		}
		s.correct(block, *known, k, zero)
		if v != 0 {
			*known |= 1 << zero
			s.set(block, zero, v)
		}
		k = zero + 1
	}
	if s.ended > 0 {
		s.correct(block, *known, k, s.last+1)
		s.ended--
	}
	return true
}

// nthZero is the coefficient, from k on, before which n others are 0; 64: none is.
func nthZero(known uint64, k, n int) int {
	zeros := ^known & (^uint64(0) << k)
	for range n {
		zeros &= zeros - 1
	}
	return bits.TrailingZeros64(zeros)
}

// correct reads a bit for each coefficient from k up to end that is not 0.
func (s *acScan) correct(block []int16, known uint64, k, end int) {
	known &= ^uint64(0) << k
	if end < 64 {
		known &= 1<<end - 1
	}
	for ; known != 0; known &= known - 1 {
		k := bits.TrailingZeros64(known)
		if k > s.kept.last {
			break
		}
		more := int16(s.take(1) << s.low)
		at := int(s.kept.place[k])
		switch {
		case at >= len(block):
		case block[at] < 0:
			block[at] -= more
		default:
			block[at] += more
		}
	}
	for left := bits.OnesCount64(known); left > 0; {
		n := min(left, huffMost)
		s.take(n)
		left -= n
	}
}
