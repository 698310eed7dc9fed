package avatar

import (
	"encoding/binary"
	"errors"
	"image"
	"image/color"
	"math"
)

// The blocks of a GIF, and where its screen descriptor ends (GIF89a, 18 to 27).
const (
	gifExtension  = 0x21
	gifControl    = 0xf9
	gifFrame      = 0x2c
	gifScreen     = 6 // after the signature
	gifScreenEnd  = 13
	gifFrameBytes = 9
)

// The packed fields of a screen or a frame.
const (
	gifHasTable   = 0x80
	gifInterlaced = 0x40
	gifTableBits  = 0x07
)

var errGIF = errors.New("a block of the GIF is cut, damaged or missing")

// gifImage reads the first frame of a GIF, which is all that is shown. LZW is
// undone into the frame itself (image/gif goes by way of two buffers, byte for
// byte); what follows the frame is not looked at.
type gifImage struct {
	rest          []byte // from the next block on
	width, height int    // of the screen
	palette       color.Palette
	transparent   int // the index of what is not to be seen; -1: none
}

// decodeGIF decodes what has passed inspect.
func decodeGIF(b []byte) (*image.Paletted, error) {
	if len(b) < gifScreenEnd {
		return nil, errGIF
	}
	g := gifImage{
		rest: b[gifScreenEnd:], transparent: -1,
		width: int(binary.LittleEndian.Uint16(b[gifScreen:])), height: int(binary.LittleEndian.Uint16(b[gifScreen+2:])),
	}
	if err := g.table(b[gifScreen+4]); err != nil {
		return nil, err
	}
	for {
		kind, err := g.take(1)
		switch {
		case err != nil:
			return nil, err
		case kind[0] == gifFrame:
			return g.frame()
		case kind[0] != gifExtension:
			return nil, errGIF
		}
		if err := g.extension(); err != nil {
			return nil, err
		}
	}
}

func (g *gifImage) take(n int) ([]byte, error) {
	if n > len(g.rest) {
		return nil, errGIF
	}
	b := g.rest[:n]
	g.rest = g.rest[n:]
	return b, nil
}

// table reads the colours that a packed field announces, if any.
func (g *gifImage) table(packed byte) error {
	if packed&gifHasTable == 0 {
		return nil
	}
	const colourBytes = 3
	b, err := g.take(colourBytes << (1 + packed&gifTableBits))
	if err != nil {
		return err
	}
	g.palette = make(color.Palette, len(b)/colourBytes)
	for i := range g.palette {
		c := b[colourBytes*i:]
		g.palette[i] = color.RGBA{R: c[0], G: c[1], B: c[2], A: math.MaxUint8}
	}
	return nil
}

// block takes a sub-block; the empty one is the last of its row.
func (g *gifImage) block() ([]byte, error) {
	n, err := g.take(1)
	if err != nil {
		return nil, err
	}
	return g.take(int(n[0]))
}

// extension reads of all extensions the transparent index alone.
func (g *gifImage) extension() error {
	label, err := g.take(1)
	if err != nil {
		return err
	}
	for {
		b, err := g.block()
		if err != nil || len(b) == 0 {
			return err
		}
		const controlBytes, hasTransparent = 4, 0x01
		if label[0] == gifControl && len(b) == controlBytes && b[0]&hasTransparent != 0 {
			g.transparent = int(b[3])
		}
	}
}

func (g *gifImage) frame() (*image.Paletted, error) {
	b, err := g.take(gifFrameBytes)
	if err != nil {
		return nil, err
	}
	x, y := int(binary.LittleEndian.Uint16(b)), int(binary.LittleEndian.Uint16(b[2:]))
	r := image.Rect(x, y, x+int(binary.LittleEndian.Uint16(b[4:])), y+int(binary.LittleEndian.Uint16(b[6:])))
	if r.Empty() || !r.In(image.Rect(0, 0, g.width, g.height)) {
		return nil, errGIF
	}
	packed := b[8]
	if err := g.table(packed); err != nil {
		return nil, err
	}
	if len(g.palette) == 0 {
		return nil, errGIF
	}
	if g.transparent >= 0 {
		for len(g.palette) <= g.transparent { // a transparent colour needs none of its own
			g.palette = append(g.palette, color.RGBA{})
		}
		g.palette[g.transparent] = color.RGBA{}
	}
	m := image.NewPaletted(r, g.palette)
	if err := g.pixels(m.Pix); err != nil {
		return nil, err
	}
	if packed&gifInterlaced != 0 {
		m.Pix = inOrder(m.Pix, m.Stride)
	}
	return m, nil
}

// pixels undoes the compression of a frame. Data may end without an end code,
// and without the empty block, as long as all pixels are there.
func (g *gifImage) pixels(to []byte) error {
	bits, err := g.take(1)
	if err != nil {
		return err
	}
	codes := make([]byte, 0, len(g.rest))
	for {
		b, err := g.block()
		if err != nil {
			codes = append(codes, g.rest...)
			break
		}
		if len(b) == 0 {
			break
		}
		codes = append(codes, b...)
	}
	return unLZW(to, codes, int(bits[0]), len(g.palette))
}

// inOrder puts the rows of an interlaced frame where they are shown (GIF89a,
// appendix E).
func inOrder(pix []byte, stride int) []byte {
	out := make([]byte, len(pix))
	for _, pass := range [...]struct{ first, step int }{{0, 8}, {4, 8}, {2, 4}, {1, 2}} {
		for at := pass.first * stride; at < len(out); at += pass.step * stride {
			copy(out[at:at+stride], pix)
			pix = pix[stride:]
		}
	}
	return out
}
