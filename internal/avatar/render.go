package avatar

import (
	"bytes"
	"image"
	"image/jpeg"
	"image/png"
	"math"

	"github.com/voip-push/worker/internal/voip"
)

// jpegQuality makes 3 to 5 KB of an opaque picture.
const jpegQuality = 92

// renderImage cuts the middle square out of img, scales it to side × side px,
// turns it upright and encodes it.
func renderImage(img image.Image, h header, scale, side int) (voip.UserProfile, error) {
	v := view{screen: image.Rect(0, 0, h.width, h.height), scale: scale}
	return encode(orient(small(img, v, h.format == formatWebP, side), h.orientation))
}

// middle is the largest square in the middle of r.
func middle(r image.Rectangle) image.Rectangle {
	n := min(r.Dx(), r.Dy())
	x, y := r.Min.X+(r.Dx()-n)/2, r.Min.Y+(r.Dy()-n)/2
	return image.Rect(x, y, x+n, y+n)
}

// orient turns a square picture as EXIF's orientation asks for: what is shown
// at (x, y) is at the place that each case names.
func orient(m *image.RGBA, orientation int) *image.RGBA {
	if orientation <= 1 || orientation > 8 {
		return m
	}
	n := m.Rect.Dx()
	out := image.NewRGBA(m.Rect)
	for y := range n {
		for x := range n {
			from := oriented(x, y, n-1, orientation)
			copy(out.Pix[out.PixOffset(x, y):][:4], m.Pix[m.PixOffset(from.X, from.Y):][:4])
		}
	}
	return out
}

// oriented is where the pixel shown at (x, y) of a square is stored; last is
// the highest coordinate.
func oriented(x, y, last, orientation int) image.Point {
	switch orientation {
	case 2: // mirrored left to right
		return image.Pt(last-x, y)
	case 3: // turned by 180°
		return image.Pt(last-x, last-y)
	case 4: // mirrored top to bottom
		return image.Pt(x, last-y)
	case 5: // mirrored about the diagonal
		return image.Pt(y, x)
	case 6: // to be turned clockwise
		return image.Pt(y, last-x)
	case 7: // mirrored about the other diagonal
		return image.Pt(last-y, last-x)
	case 8: // to be turned counter-clockwise
		return image.Pt(last-y, x)
	default:
		return image.Pt(x, y)
	}
}

// encode makes a JPEG of what is opaque and a PNG of what is not. At 128 px
// neither can reach 100 KB: the raw pixels of such a PNG are 64 KiB.
func encode(m *image.RGBA) (voip.UserProfile, error) {
	p := voip.UserProfile{Width: m.Rect.Dx(), Height: m.Rect.Dy()}
	var out bytes.Buffer
	var err error
	if m.Opaque() {
		p.ContentType = formatJPEG.contentType()
		err = jpeg.Encode(&out, m, &jpeg.Options{Quality: jpegQuality})
	} else {
		p.ContentType = formatPNG.contentType()
		encoder := png.Encoder{CompressionLevel: png.BestSpeed}
		err = encoder.Encode(&out, straight(m))
	}
	if err != nil {
		return voip.UserProfile{}, fail(voip.AvatarInternal, "the picture cannot be encoded", err)
	}
	p.Data = out.Bytes()
	return p, nil
}

// straight takes alpha out of the colours, as PNG stores them.
func straight(m *image.RGBA) *image.NRGBA {
	out := image.NewNRGBA(m.Rect)
	for i := 0; i < len(m.Pix); i += 4 {
		a := uint32(m.Pix[i+3])
		if a == 0 {
			continue
		}
		for c := i; c < i+3; c++ {
			out.Pix[c] = uint8((uint32(m.Pix[c])*math.MaxUint8 + a/2) / a)
		}
		out.Pix[i+3] = uint8(a)
	}
	return out
}
