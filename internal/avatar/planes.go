package avatar

import (
	"image"
	"math"
)

// blockSize is how many of n samples, across and down, may become one before
// they become side pixels. Each pixel keeps 2¼ of them: with fewer, what means
// let through of finer detail is seen. The smallest pictures, where that shows
// most and costs least to avoid, keep more.
func blockSize(n, side int) int { return max(1, n/max(9*side/4, 128)) }

// view is the square of a decoded picture that is shown. The picture may have
// been decoded to a part of its size.
type view struct {
	screen image.Rectangle // in pixels of the source
	scale  int             // of which so many, across and down, became one sample
}

// block is how many pixels, across and down, a sample is the mean of: an eighth
// of the size is made of means alone, what is larger is not.
func (v view) block() int {
	if v.scale == 8 {
		return 8
	}
	return 1
}

// small scales what v shows of img to side × side px.
func small(img image.Image, v view, limited bool, side int) *image.RGBA {
	r := middle(v.screen)
	switch m := img.(type) {
	case square: // already cut and shrunk
		return resample(m, side)
	case *image.YCbCr:
		return fromYCbCr(m, v, limited, side)
	case *image.Gray:
		luma := plane{pix: m.Pix, stride: m.Stride, channels: 1, width: m.Rect.Dx(), height: m.Rect.Dy()}
		luma.show(r, v.scale, v.scale)
		luma.block = v.block()
		return gray(scaled(side, luma)[0], side)
	}
	return resample(shrink(img, r, blockSize(r.Dx(), side)), side)
}

// fromYCbCr scales each plane by itself, and makes colours of what is left.
func fromYCbCr(m *image.YCbCr, v view, limited bool, side int) *image.RGBA {
	r := middle(v.screen)
	w, h := m.Rect.Dx(), m.Rect.Dy()
	luma := plane{pix: m.Y, stride: m.YStride, channels: 1, width: w, height: h}
	luma.show(r, v.scale, v.scale)
	luma.block = v.block()
	across, down := subsampling(m.SubsampleRatio)
	chroma := plane{stride: m.CStride, channels: 1, width: (w + across - 1) / across, height: (h + down - 1) / down}
	chroma.show(r, v.scale*across, v.scale*down)
	chroma.block = v.block()
	blue, red := chroma, chroma
	blue.pix, red.pix = m.Cb, m.Cr
	of := scaled(side, blue, red)
	return colours(scaled(side, luma)[0], of[0], of[1], limited, side)
}

// subsampling is how many pixels, across and down, share a sample of colour.
func subsampling(r image.YCbCrSubsampleRatio) (across, down int) {
	switch r {
	case image.YCbCrSubsampleRatio422:
		return 2, 1
	case image.YCbCrSubsampleRatio420:
		return 2, 2
	case image.YCbCrSubsampleRatio440:
		return 1, 2
	case image.YCbCrSubsampleRatio411:
		return 4, 1
	case image.YCbCrSubsampleRatio410:
		return 4, 2
	case image.YCbCrSubsampleRatio444:
	}
	return 1, 1
}

// matrix is BT.601 in units of 1/65536, for samples that lie between the ends
// of their range.
type matrix struct{ black, luma, redOfCr, greenOfCb, greenOfCr, blueOfCb int64 }

// rangeOf gives the matrix of JPEG's full range (JFIF), or of the limited one
// that lossy WebP has: 16 to 235, colours 16 to 240.
func rangeOf(limited bool) matrix {
	if limited {
		return matrix{black: 16, luma: 76309, redOfCr: 104597, greenOfCb: 25675, greenOfCr: 53279, blueOfCb: 132201}
	}
	return matrix{black: 0, luma: 65536, redOfCr: 91881, greenOfCb: 22554, greenOfCr: 46802, blueOfCb: 116130}
}

// rgb is one pixel; the samples have bits below the point.
func (m *matrix) rgb(y, cb, cr int32, bits uint) (r, g, b uint8) {
	luma := (int64(y) - m.black<<bits) * m.luma
	blue, red := int64(cb)-128<<bits, int64(cr)-128<<bits
	return clamp16(luma+m.redOfCr*red, bits), clamp16(luma-m.greenOfCb*blue-m.greenOfCr*red, bits), clamp16(luma+m.blueOfCb*blue, bits)
}

func clamp16(v int64, bits uint) uint8 {
	return uint8(min(max((v+1<<(15+bits))>>(16+bits), 0), math.MaxUint8))
}

func colours(luma, blue, red []int32, limited bool, side int) *image.RGBA {
	out := image.NewRGBA(image.Rect(0, 0, side, side))
	m := rangeOf(limited)
	for i, y := range luma {
		p := out.Pix[4*i:][:4]
		p[0], p[1], p[2] = m.rgb(y, blue[i], red[i], middleBits)
		p[3] = math.MaxUint8
	}
	return out
}

func gray(luma []int32, side int) *image.RGBA {
	out := image.NewRGBA(image.Rect(0, 0, side, side))
	for i, y := range luma {
		v := rounded(y, math.MaxUint8)
		copy(out.Pix[4*i:], []byte{v, v, v, math.MaxUint8})
	}
	return out
}

// alphaReader reads a lossy WebP with transparency: its colours are of limited range.
func alphaReader(m *image.NYCbCrA) func(*image.RGBA, image.Rectangle) {
	video := rangeOf(true)
	return func(strip *image.RGBA, part image.Rectangle) {
		for y := part.Min.Y; y < part.Max.Y; y++ {
			to := strip.Pix[(y-part.Min.Y)*strip.Stride:]
			for x := part.Min.X; x < part.Max.X; x++ {
				at := m.COffset(x, y)
				r, g, b := video.rgb(int32(m.Y[m.YOffset(x, y)]), int32(m.Cb[at]), int32(m.Cr[at]), 0)
				a := uint32(m.A[m.AOffset(x, y)])
				to[0], to[1], to[2], to[3] = premultiplied(r, a), premultiplied(g, a), premultiplied(b, a), uint8(a)
				to = to[4:]
			}
		}
	}
}

func premultiplied(c uint8, a uint32) uint8 {
	return uint8((uint32(c)*a + math.MaxUint8/2) / math.MaxUint8)
}
