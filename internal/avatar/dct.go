package avatar

import (
	"image"
	"math"
)

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

// mendHalf corrects what jpegn v0.4.2 makes at half size. Its 4 × 4 transform
// is that of H.264, whose odd basis functions are weaker than those of JPEG
// and a little turned: 1 and 1/2 in place of √2·cos(π/8) and √2·cos(3π/8),
// which costs fine detail a third of its contrast. Both are orthogonal, so
// that one follows from the other by a rotation.
func mendHalf(img image.Image) {
	switch m := img.(type) {
	case *image.Gray:
		mendPlane(m.Pix, m.Stride)
	case *image.YCbCr:
		mendPlane(m.Y, m.YStride)
		mendPlane(m.Cb, m.CStride)
		mendPlane(m.Cr, m.CStride)
	}
}

func mendPlane(pix []byte, stride int) {
	for ; stride >= 4 && len(pix) >= 4*stride; pix = pix[4*stride:] {
		for x := 0; x+4 <= stride; x += 4 {
			mendBlock(pix[x:], stride)
		}
	}
}

// The rotation, in units of 1/4096: with c = √2·cos(π/8) and s = √2·cos(3π/8),
// (2c+s)·2/5 and (c-2s)·2/5.
const (
	mendBits = 12
	mendCos  = 5168
	mendSin  = 367
)

func mendBlock(b []byte, stride int) {
	r0, r1, r2, r3 := b[:4:4], b[stride:][:4:4], b[2*stride:][:4:4], b[3*stride:][:4:4]
	var columns [4][4]int32
	for x := range columns {
		columns[x][0], columns[x][1], columns[x][2], columns[x][3] = mend4(int32(r0[x])<<4, int32(r1[x])<<4, int32(r2[x])<<4, int32(r3[x])<<4)
	}
	for y, row := range [...][]byte{r0, r1, r2, r3} {
		v0, v1, v2, v3 := mend4(columns[0][y], columns[1][y], columns[2][y], columns[3][y])
		row[0], row[1], row[2], row[3] = clamp4(v0), clamp4(v1), clamp4(v2), clamp4(v3)
	}
}

// mend4 replaces the odd part of four samples; the even part is right.
func mend4(a, b, c, d int32) (int32, int32, int32, int32) {
	outer, inner := a-d, b-c // twice the odd part
	o := (mendCos*outer + mendSin*inner) >> (mendBits + 1)
	i := (mendCos*inner - mendSin*outer) >> (mendBits + 1)
	e, f := (a+d)>>1, (b+c)>>1
	return e + o, f + i, f - i, e - o
}

// clamp4 rounds, and gives back what was lost where eighths were cut off: 7/16.
func clamp4(v int32) uint8 { return uint8(min(max((v+8+7)>>4, 0), math.MaxUint8)) }
