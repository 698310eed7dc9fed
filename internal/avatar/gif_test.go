package avatar

import (
	"bytes"
	"compress/lzw"
	"image"
	"image/color"
	"image/gif"
	"os"
	"path/filepath"
	"testing"
)

// gifOf is a GIF of one frame, put together by hand: what image/gif does not
// write can be read here too.
type gifOf struct {
	screen, frame image.Rectangle
	table         byte // packed: whether, and how large
	local         byte
	flags         byte   // of the frame
	control       []byte // nil: none
	bits          byte
	codes         []byte
	cut           int // bytes left out at the end
}

func (g *gifOf) bytes() []byte {
	b := []byte("GIF89a")
	pair := func(n int) { b = append(b, byte(n), byte(n>>8)) }
	colours := func(packed byte) {
		if packed&gifHasTable == 0 {
			return
		}
		for i := range 2 << (packed & gifTableBits) {
			b = append(b, byte(40*i), byte(255-i), byte(i))
		}
	}
	pair(g.screen.Dx())
	pair(g.screen.Dy())
	b = append(b, g.table, 0, 0)
	colours(g.table)
	b = append(b, g.control...)
	b = append(b, gifFrame)
	pair(g.frame.Min.X)
	pair(g.frame.Min.Y)
	pair(g.frame.Dx())
	pair(g.frame.Dy())
	b = append(b, g.flags|g.local)
	colours(g.local)
	b = append(b, g.bits)
	for codes := g.codes; len(codes) > 0; {
		n := min(len(codes), 255)
		b = append(append(b, byte(n)), codes[:n]...)
		codes = codes[n:]
	}
	b = append(b, 0, 0x3b)
	return b[:len(b)-g.cut]
}

// packed is LZW as image/gif reads it.
func packed(t testing.TB, bits int, pix []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	w := lzw.NewWriter(&b, lzw.LSB, bits)
	if _, err := w.Write(pix); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestDecodeGIF(t *testing.T) {
	t.Parallel()
	square := image.Rect(0, 0, 16, 17)
	pix := make([]byte, 16*17)
	for i := range pix {
		pix[i] = byte(i*i>>3) & 3
	}
	codes := packed(t, 2, pix)
	whole := gifOf{screen: square, frame: square, table: gifHasTable | 1, bits: 2, codes: codes}
	control := func(flags, index byte) []byte { return []byte{gifExtension, gifControl, 4, flags, 0, 0, index, 0} }
	tests := map[string]struct {
		change func(*gifOf)
		bad    bool
	}{
		"whole":                          {func(*gifOf) {}, false},
		"interlaced":                     {func(g *gifOf) { g.flags = gifInterlaced }, false},
		"a table of its own":             {func(g *gifOf) { g.local = gifHasTable | 2 }, false},
		"only a table of its own":        {func(g *gifOf) { g.table, g.local = 0, gifHasTable|1 }, false},
		"transparent":                    {func(g *gifOf) { g.control = control(1, 2) }, false},
		"transparent beyond the table":   {func(g *gifOf) { g.control = control(1, 200) }, false},
		"a transparency that is off":     {func(g *gifOf) { g.control = control(0, 2) }, false},
		"a comment before":               {func(g *gifOf) { g.control = []byte{gifExtension, 0xfe, 2, 'h', 'i', 0} }, false},
		"a part of the screen":           {func(g *gifOf) { g.screen = image.Rect(0, 0, 40, 40); g.frame = square.Add(image.Pt(20, 23)) }, false},
		"more pixels than there is room": {func(g *gifOf) { g.codes = packed(t, 2, append(bytes.Clone(pix), 0, 1)) }, true},
		"without the last block":         {func(g *gifOf) { g.cut = 2 }, false},
		"beyond the screen":              {func(g *gifOf) { g.frame = square.Add(image.Pt(1, 0)) }, true},
		"an empty frame":                 {func(g *gifOf) { g.frame = image.Rectangle{} }, true},
		"no colours":                     {func(g *gifOf) { g.table = 0 }, true},
		"a colour beyond the table":      {func(g *gifOf) { g.table = gifHasTable }, true},
		"fewer pixels than announced":    {func(g *gifOf) { g.codes = packed(t, 2, pix[:len(pix)-1]) }, true},
		"no pixels":                      {func(g *gifOf) { g.codes = nil }, true},
		"codes of one bit":               {func(g *gifOf) { g.bits = 1 }, true},
		"codes of nine bits":             {func(g *gifOf) { g.bits = 9 }, true},
		"a code before it was made":      {func(g *gifOf) { g.codes = []byte{0b00_111_100, 0, 0} }, true}, // clear, 7
		"cut in the codes":               {func(g *gifOf) { g.cut = len(codes) / 2 }, true},
		"cut in the table":               {func(g *gifOf) { g.cut = len(codes) + 20 }, true},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := whole
			tt.change(&g)
			b := g.bytes()
			got, err := decodeGIF(b)
			if (err != nil) != tt.bad {
				t.Fatalf("%v, want an error: %v", err, tt.bad)
			}
			if want, err := gif.Decode(bytes.NewReader(b)); err == nil && !tt.bad {
				samePixels(t, got, want)
			}
		})
	}
	for n := range gifScreenEnd + 1 {
		if m, err := decodeGIF(whole.bytes()[:n]); err == nil {
			t.Errorf("%d bytes are a picture of %v", n, m.Rect)
		}
	}
}

func samePixels(t testing.TB, got *image.Paletted, decoded image.Image) {
	t.Helper()
	want, ok := decoded.(*image.Paletted)
	if !ok || got.Rect != want.Rect {
		t.Fatalf("%v, image/gif says %v", got.Rect, decoded.Bounds())
	}
	colour := func(p color.Palette, index byte) color.Color { return color.RGBAModel.Convert(p[index]) }
	for i, index := range got.Pix {
		if index != want.Pix[i] || colour(got.Palette, index) != colour(want.Palette, index) {
			t.Fatalf("pixel %d is %d, image/gif says %d", i, index, want.Pix[i])
		}
		if i == 1<<16 && bytes.Equal(got.Pix, want.Pix) {
			return // the rest is large, and the same
		}
	}
}

// Every GIF that image/gif reads is read, and is the same picture.
func FuzzDecodeGIF(f *testing.F) {
	files, err := filepath.Glob(filepath.Join("testdata", "*", "*.gif"))
	if err != nil || len(files) == 0 {
		f.Fatalf("%d files: %v", len(files), err)
	}
	for _, file := range files {
		b, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	small := gifOf{screen: image.Rect(0, 0, 16, 16), frame: image.Rect(0, 0, 16, 16), table: gifHasTable | 1, flags: gifInterlaced, bits: 2, codes: packed(f, 2, make([]byte, 256))}
	f.Add(small.bytes())
	f.Fuzz(func(t *testing.T, b []byte) {
		if h, err := inspect(b); err != nil || h.format != formatGIF || h.width*h.height > 1<<18 {
			return
		}
		got, err := decodeGIF(b)
		want, wantErr := gif.Decode(bytes.NewReader(b))
		if wantErr != nil || want.Bounds().Empty() { // a frame of nothing is no picture
			return
		}
		if err != nil {
			t.Fatalf("%v, and image/gif reads it", err)
		}
		samePixels(t, got, want)
	})
}
