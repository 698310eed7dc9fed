package avatar

import (
	"encoding/binary"
	"image"
)

// reducedJPEG decodes a baseline or progressive JPEG to a half, a quarter or an
// eighth of its size: of the 8 × 8 coefficients of a block only the lowest
// count, and the others are read over. A progressive one it has at its full
// size, too; of a baseline one that is jpegn's, which is faster than anything.
type reducedJPEG struct {
	side          int // samples of a block, across and down: 8, 4, 2 or 1
	kept          *kept
	quants        [4]*[64]int32 // in zigzag order
	dc, ac        [4]*huffman
	components    []jpegPlane
	width, height int // in pixels
	progressive   bool
	interval      int // MCUs between restart markers; 0: there are none
}

// jpegPlane is one component of the picture.
type jpegPlane struct {
	id, quant    byte
	x, y         int // blocks of an MCU
	wide, high   int // blocks that are needed
	across, down int // and with what fills up the MCUs
	dc, ac       *huffman
	last         int32 // the DC before
	pix          []byte
	coefficients []int16  // of progressive pictures: the kept ones of each block
	known        []uint64 // which coefficients of a block are not 0
}

func (p *jpegPlane) stride(side int) int { return p.across * side }

// decodeReduced decodes what quick lets through. It is strict: what is cut or
// damaged is an error.
func decodeReduced(b []byte, scale int) (image.Image, error) {
	d := reducedJPEG{side: 8 / scale, kept: &keptOf[8/scale]}
	const markerBytes = 2
	for i := markerBytes; ; {
		marker, next := nextMarker(b, i)
		if marker == mEOI {
			return d.image()
		}
		segment, ok := segmentAt(b, next)
		if !ok {
			return nil, errJPEG
		}
		i = next + markerBytes + len(segment)
		if err := d.read(marker, segment, b[i:]); err != nil {
			return nil, err
		}
	}
}

func (d *reducedJPEG) read(marker byte, segment, rest []byte) error {
	switch marker {
	case mSOF0, mSOF2:
		return d.frame(segment, marker == mSOF2)
	case mDQT:
		return d.quantization(segment)
	case mDHT:
		return d.huffman(segment)
	case mDRI:
		if len(segment) != 2 {
			return errJPEG
		}
		d.interval = int(binary.BigEndian.Uint16(segment))
	case mSOS:
		return d.scan(segment, rest)
	}
	return nil
}

// frame makes room for the components. Its form was checked by readFrame.
func (d *reducedJPEG) frame(s []byte, progressive bool) error {
	d.progressive = progressive
	d.height, d.width = int(binary.BigEndian.Uint16(s[1:])), int(binary.BigEndian.Uint16(s[3:]))
	n := int(s[5])
	x, y := int(s[7]>>4), int(s[7]&0x0f) // the first component is the finest
	if n == 1 {
		x, y = 1, 1 // it is not interleaved, whatever it says
	}
	mcusX, mcusY := parts(d.width, 8*x), parts(d.height, 8*y)
	for c := range n {
		p := jpegPlane{id: s[6+3*c], quant: s[8+3*c], x: 1, y: 1, wide: parts(d.width, 8*x), high: parts(d.height, 8*y)}
		if c == 0 {
			p.x, p.y, p.wide, p.high = x, y, parts(d.width, 8), parts(d.height, 8)
		}
		if int(p.quant) >= len(d.quants) {
			return errJPEG
		}
		p.across, p.down = mcusX*p.x, mcusY*p.y
		blocks := p.across * p.down
		p.pix = make([]byte, blocks*d.side*d.side)
		if progressive {
			p.coefficients = make([]int16, blocks*d.side*d.side)
			if d.side > 1 {
				p.known = make([]uint64, blocks)
			}
		}
		d.components = append(d.components, p)
	}
	return nil
}

// parts is how many parts of that size make up n.
func parts(n, size int) int { return (n + size - 1) / size }

// quantization reads tables of 8 or 16 bits (T.81, B.2.4.1).
func (d *reducedJPEG) quantization(s []byte) error {
	for len(s) > 0 {
		wide, to := int(s[0]>>4), int(s[0]&0x0f)
		size := 64 * (1 + wide)
		if wide > 1 || to >= len(d.quants) || len(s) < 1+size {
			return errJPEG
		}
		var q [64]int32
		for i := range q {
			if wide == 0 {
				q[i] = int32(s[1+i])
			} else {
				q[i] = int32(binary.BigEndian.Uint16(s[1+2*i:]))
			}
		}
		d.quants[to] = &q
		s = s[1+size:]
	}
	return nil
}

// huffman reads tables of codes (T.81, B.2.4.2).
func (d *reducedJPEG) huffman(s []byte) error {
	for len(s) > 0 {
		class, to := s[0]>>4, int(s[0]&0x0f)
		if class > 1 || to >= len(d.dc) {
			return errJPEG
		}
		t, rest, err := newHuffman(s[1:])
		if err != nil {
			return err
		}
		if class == 0 {
			d.dc[to] = t
		} else {
			d.ac[to] = t
		}
		s = rest
	}
	return nil
}

// image gives the planes; those of a progressive picture are made at the end.
func (d *reducedJPEG) image() (image.Image, error) {
	if len(d.components) == 0 {
		return nil, errJPEG
	}
	if d.progressive {
		for i := range d.components {
			if err := d.transform(&d.components[i]); err != nil {
				return nil, err
			}
		}
	}
	luma := d.components[0]
	r := image.Rect(0, 0, parts(d.width*d.side, 8), parts(d.height*d.side, 8))
	if len(d.components) == 1 {
		return &image.Gray{Pix: luma.pix, Stride: luma.stride(d.side), Rect: r}, nil
	}
	blue, red := d.components[1], d.components[2]
	return &image.YCbCr{
		Y: luma.pix, Cb: blue.pix, Cr: red.pix, YStride: luma.stride(d.side), CStride: blue.stride(d.side),
		SubsampleRatio: ratioOf(luma.x, luma.y), Rect: r,
	}, nil
}

func ratioOf(x, y int) image.YCbCrSubsampleRatio {
	switch [2]int{x, y} {
	case [2]int{2, 1}:
		return image.YCbCrSubsampleRatio422
	case [2]int{2, 2}:
		return image.YCbCrSubsampleRatio420
	case [2]int{1, 2}:
		return image.YCbCrSubsampleRatio440
	case [2]int{4, 1}:
		return image.YCbCrSubsampleRatio411
	case [2]int{4, 2}:
		return image.YCbCrSubsampleRatio410
	default:
		return image.YCbCrSubsampleRatio444
	}
}

// transform makes samples of a progressive picture's coefficients.
func (d *reducedJPEG) transform(p *jpegPlane) error {
	q := d.quants[p.quant]
	if q == nil {
		return errJPEG
	}
	weights := d.kept.weights(q)
	n := d.side * d.side
	var block [64]int32
	for i := range p.across * p.down {
		for k, c := range p.coefficients[i*n:][:n] {
			block[k] = int32(c) * weights[k]
		}
		x, y := i%p.across, i/p.across
		if d.side == 8 {
			eight(p.pix[(y*p.stride(8)+x)*8:], p.stride(8), &block)
		} else {
			d.samples(p, x, y, (*keptBlock)(block[:]))
		}
	}
	return nil
}
