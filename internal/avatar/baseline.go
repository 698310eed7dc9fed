package avatar

// scan reads one scan (T.81, B.2.3), whose data are at the beginning of rest.
func (d *reducedJPEG) scan(s, rest []byte) error {
	if len(s) < 1 || len(s) != 4+2*int(s[0]) || len(d.components) == 0 {
		return errJPEG
	}
	var planes []*jpegPlane
	for i := range int(s[0]) {
		p, err := d.chosen(s[1+2*i], s[2+2*i])
		if err != nil {
			return err
		}
		planes = append(planes, p)
	}
	b := band{first: int(s[len(s)-3]), last: int(s[len(s)-2]), high: s[len(s)-1] >> 4, low: s[len(s)-1] & 0x0f}
	e := &entropy{b: rest}
	switch {
	case d.progressive:
		return d.progress(e, planes, b)
	case len(planes) != len(d.components):
		return errJPEG // the others would be in scans of their own
	}
	return d.baseline(e, planes)
}

// chosen is the component of that name, with the tables that a scan names for it.
func (d *reducedJPEG) chosen(id, tables byte) (*jpegPlane, error) {
	dc, ac := int(tables>>4), int(tables&0x0f)
	for i := range d.components {
		p := &d.components[i]
		if p.id != id {
			continue
		}
		if dc >= len(d.dc) || ac >= len(d.ac) {
			break
		}
		p.dc, p.ac, p.last = d.dc[dc], d.ac[ac], 0
		return p, nil
	}
	return nil, errJPEG
}

// baseline decodes the only scan of a baseline picture.
func (d *reducedJPEG) baseline(e *entropy, planes []*jpegPlane) error {
	weights := make([][64]int32, len(planes))
	for i, p := range planes {
		if p.dc == nil || p.ac == nil || d.quants[p.quant] == nil {
			return errJPEG
		}
		weights[i] = *d.quants[p.quant]
	}
	return d.interleaved(e, planes, func(i, x, y int) bool {
		p := planes[i]
		var b keptBlock
		if !d.block(e, p, &weights[i], &b) {
			return false
		}
		d.samples(p, x, y, &b)
		return true
	})
}

// interleaved goes through the blocks of some components MCU by MCU.
func (d *reducedJPEG) interleaved(e *entropy, planes []*jpegPlane, block func(i, x, y int) bool) error {
	first := planes[0]
	mcusX, mcusY := first.across/first.x, first.down/first.y
	for mcu := range mcusX * mcusY {
		if d.interval > 0 && mcu > 0 && mcu%d.interval == 0 && !d.restart(e, planes, mcu) {
			return errJPEG
		}
		x, y := mcu%mcusX, mcu/mcusX
		if x == 0 && e.short() {
			return errJPEG
		}
		for i, p := range planes {
			for b := range p.x * p.y {
				if !block(i, x*p.x+b%p.x, y*p.y+b/p.x) {
					return errJPEG
				}
			}
		}
	}
	if e.short() {
		return errJPEG
	}
	return nil
}

// restart begins anew after so many MCUs.
func (d *reducedJPEG) restart(e *entropy, planes []*jpegPlane, mcus int) bool {
	for _, p := range planes {
		p.last = 0
	}
	return e.restart(mcus/d.interval - 1)
}

// block reads the coefficients of a block, those that are not kept as well.
func (d *reducedJPEG) block(e *entropy, p *jpegPlane, q *[64]int32, to *keptBlock) bool {
	if !p.difference(e) {
		return false
	}
	to[0] = p.last * q[0]
	buf, n, k := e.buf, e.n, 1
	for k <= d.kept.last {
		if n < enough {
			e.buf, e.n = buf, n
			e.refill()
			buf, n = e.buf, e.n
		}
		c := p.ac.find(buf)
		if size := c.size(); size > 0 {
			if k += int(c.symbol() >> 4); k > 63 {
				return false
			}
			to[d.kept.place[k]] = signed(buf<<(c.length()&63), size) * q[k]
			k++
		} else if k += c.step(); c == 0 {
			return false
		}
		buf <<= c.bits() & 63
		n -= c.bits()
	}
	e.buf, e.n = buf, n
	return e.skim(p.ac, k)
}

// skim reads over the codes from coefficient k on to the end of the block.
func (e *entropy) skim(t *huffman, k int) bool {
	buf, n := e.buf, e.n
	for k < 64 {
		if n < enough {
			e.buf, e.n = buf, n
			e.refill()
			buf, n = e.buf, e.n
		}
		c := t.find(buf)
		if c == 0 {
			return false
		}
		buf <<= c.bits() & 63
		n -= c.bits()
		k += c.step()
	}
	e.buf, e.n = buf, n
	return k == 64 || k >= endOfBlock
}

// difference reads a DC coefficient: how it differs from the one before.
func (p *jpegPlane) difference(e *entropy) bool {
	c := e.code(p.dc)
	size := int(c.symbol())
	switch {
	case c == 0 || size > 15:
		return false
	case size > 0:
		p.last += signed(e.buf, size)
		e.drop(size)
	}
	return true
}
