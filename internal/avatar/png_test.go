package avatar

import (
	"bytes"
	"compress/zlib"
	"encoding/binary"
	"hash/crc32"
	"image"
	"image/color"
	"image/png"
	"math/rand/v2"
	"slices"
	"testing"
)

func pngChunk(kind string, data []byte) []byte {
	b := binary.BigEndian.AppendUint32(nil, uint32(len(data)))
	b = append(append(b, kind...), data...)
	return binary.BigEndian.AppendUint32(b, crc32.ChecksumIEEE(b[4:]))
}

func deflate(t testing.TB, raw []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	z, err := zlib.NewWriterLevel(&b, zlib.BestSpeed)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := z.Write(raw); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// pngForm is a PNG of any legal form.
type pngForm struct {
	width, height   int
	depth, colour   byte
	interlaced      bool
	palette, alphas []byte
	split           bool // into two IDATs
}

// size is how many bytes the filtered rows have.
func (f pngForm) size() (n int) {
	channels := map[byte]int{pngGray: 1, pngRGB: 3, pngPalette: 1, pngGrayAlpha: 2, pngRGBAlpha: 4}[f.colour]
	for _, p := range passes(f.interlaced) {
		w, h := (f.width-p.x+p.dx-1)/p.dx, (f.height-p.y+p.dy-1)/p.dy
		if w > 0 && h > 0 {
			n += h * (1 + (w*channels*int(f.depth)+7)/8)
		}
	}
	return n
}

func (f pngForm) file(t testing.TB, raw []byte) []byte {
	t.Helper()
	header := binary.BigEndian.AppendUint32(nil, uint32(f.width))
	header = binary.BigEndian.AppendUint32(header, uint32(f.height))
	header = append(header, f.depth, f.colour, 0, 0, 0)
	if f.interlaced {
		header[12] = 1
	}
	b := append([]byte("\x89PNG\r\n\x1a\n"), pngChunk("IHDR", header)...)
	if f.palette != nil {
		b = append(b, pngChunk("PLTE", f.palette)...)
	}
	if f.alphas != nil {
		b = append(b, pngChunk("tRNS", f.alphas)...)
	}
	data := deflate(t, raw)
	if f.split {
		b = append(b, pngChunk("IDAT", data[:len(data)/2])...)
		data = data[len(data)/2:]
	}
	b = append(b, pngChunk("IDAT", data)...)
	return append(b, pngChunk("IEND", nil)...)
}

func pngForms() (all []pngForm) {
	for colour, depths := range map[byte][]byte{
		pngGray: {1, 2, 4, 8, 16}, pngRGB: {8, 16}, pngPalette: {1, 2, 4, 8}, pngGrayAlpha: {8, 16}, pngRGBAlpha: {8, 16},
	} {
		for _, depth := range depths {
			for _, interlaced := range []bool{false, true} {
				f := pngForm{width: 21, height: 17, depth: depth, colour: colour, interlaced: interlaced, split: true}
				if colour == pngPalette {
					f.palette = make([]byte, 3<<depth)
					for i := range f.palette {
						f.palette[i] = byte(37 * i)
					}
					all = append(all, f)
					f.alphas = []byte{0, 77, 200}[:min(3, 1<<depth)]
				}
				all = append(all, f)
				if n := map[byte]int{pngGray: 2, pngRGB: 6}[colour]; n > 0 {
					f.alphas = make([]byte, n)
					f.alphas[n-1] = 1
					all = append(all, f)
				}
			}
		}
	}
	return all
}

// samePNG wants both decoders to agree, to the rounding of premultiplied colours.
func samePNG(t *testing.T, b []byte) {
	t.Helper()
	want, bad := png.Decode(bytes.NewReader(b))
	c, err := png.DecodeConfig(bytes.NewReader(b))
	if err != nil {
		return
	}
	r := middle(image.Rect(0, 0, c.Width, c.Height))
	got, err := shrinkPNG(b, r, 1)
	if (err == nil) != (bad == nil) {
		t.Fatalf("%v, image/png says %v", err, bad)
	}
	if err != nil {
		return
	}
	for y := range r.Dy() {
		for x := range r.Dx() {
			w, _ := color.RGBAModel.Convert(want.At(r.Min.X+x, r.Min.Y+y)).(color.RGBA)
			g := got.RGBAAt(x, y)
			if distance(g, w) > 2 || g.A != w.A { // of 16 bits it cuts off the lower ones later
				t.Fatalf("(%d, %d) is %v, image/png says %v", x, y, g, w)
			}
		}
	}
}

func TestPNGForms(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for _, f := range pngForms() {
		raw := make([]byte, f.size())
		for i := range raw {
			raw[i] = byte(random.Uint32())
		}
		setFilters(f, raw)
		b := f.file(t, raw)
		samePNG(t, b)
		// Every block is the mean of its pixels, whatever their order.
		r := middle(image.Rect(0, 0, f.width, f.height))
		fine, err := shrinkPNG(b, r, 1)
		if err != nil {
			t.Fatalf("%+v: %v", f, err)
		}
		coarse, err := shrinkPNG(b, r, 3)
		want := shrink(fine.RGBA, fine.Rect, 3)
		if err != nil || !slices.Equal(coarse.Pix, want.Pix) || coarse.extent != want.extent {
			t.Errorf("%+v: blocks differ (%v)", f, err)
		}
	}
}

// setFilters gives each row a filter that there is.
func setFilters(f pngForm, raw []byte) {
	at := 0
	for _, p := range passes(f.interlaced) {
		one := pngForm{width: (f.width - p.x + p.dx - 1) / p.dx, height: 1, depth: f.depth, colour: f.colour}
		for range max(0, (f.height-p.y+p.dy-1)/p.dy) {
			if one.width <= 0 {
				break
			}
			raw[at] %= 5
			at += one.size()
		}
	}
}

func TestPNGFiles(t *testing.T) {
	for _, name := range []string{
		"normal/png_pal_256.png", "normal/png_rgb_160.png", "normal/png_rgba16_96.png", "normal/png_rgba_logo_512.png", "hostile/poly_png_html.png",
	} {
		samePNG(t, readFile(t, name))
	}
}

func TestBrokenPNGs(t *testing.T) {
	f := pngForm{width: 16, height: 16, depth: 8, colour: pngGray}
	raw := make([]byte, f.size())
	good := f.file(t, raw)
	head, end := good[:pngHeader], pngChunk("IEND", nil)
	data := pngChunk("IDAT", deflate(t, raw))
	flat := f
	flat.colour, flat.palette = pngPalette, []byte{1, 2, 3}
	for name, b := range map[string][]byte{
		"good":               good,
		"no pixels":          slices.Concat(head, end),
		"no end":             slices.Concat(head, data),
		"cut":                good[:len(good)-20],
		"a damaged chunk":    slices.Concat(head, data[:20], []byte{data[20] ^ 1}, data[21:], end),
		"too few rows":       f.file(t, raw[:100]),
		"too many rows":      f.file(t, append(slices.Clone(raw), 0)),
		"unknown filter":     f.file(t, append([]byte{5}, raw[1:]...)),
		"two headers":        slices.Concat(good[:pngHeader], good[8:]),
		"pixels after":       slices.Concat(head, data, pngChunk("IDAT", []byte{1}), end),
		"a chunk between":    slices.Concat(head, data, pngChunk("tEXt", []byte("a")), end),
		"a header after":     slices.Concat(head, data, pngChunk("IHDR", nil), end),
		"no palette":         pngForm{width: 16, height: 16, depth: 8, colour: pngPalette}.file(t, raw),
		"an odd palette":     pngForm{width: 16, height: 16, depth: 8, colour: pngPalette, palette: make([]byte, 4)}.file(t, raw),
		"index out of range": flat.file(t, slices.Repeat([]byte{0, 9}, len(raw))[:len(raw)]),
		"alpha for grey":     pngForm{width: 16, height: 16, depth: 8, colour: pngGray, alphas: []byte{1}}.file(t, raw),
		"alpha of alpha":     pngForm{width: 16, height: 16, depth: 8, colour: pngRGBAlpha, alphas: []byte{1}}.file(t, raw),
		"no zlib":            slices.Concat(head, pngChunk("IDAT", []byte{1, 2, 3}), end),
	} {
		t.Run(name, func(t *testing.T) { samePNG(t, b) })
	}
}

// FuzzPNG: whatever the form and the rows, our decoder and image/png agree.
func FuzzPNG(f *testing.F) {
	for _, form := range pngForms() {
		raw := slices.Repeat([]byte{1, 2, 3, 0, 4, 2, 7}, form.size())[:form.size()]
		setFilters(form, raw)
		f.Add(byte(form.width), byte(form.height), form.depth, form.colour, form.interlaced, form.palette, form.alphas, raw)
	}
	f.Fuzz(func(t *testing.T, width, height, depth, colour byte, interlaced bool, palette, alphas, raw []byte) {
		form := pngForm{width: int(width), height: int(height), depth: depth, colour: colour, interlaced: interlaced, palette: palette, alphas: alphas}
		samePNG(t, form.file(t, raw))
	})
}
