package avatar

import (
	"bytes"
	"fmt"
	"image"
	"image/color"
	"image/draw"
	"image/gif"
	"image/jpeg"
	"image/png"
	"io"
	"math"
	"testing"

	"golang.org/x/image/webp"
)

// TestOrientation: the pictures are stored in six of the eight ways, and are all shown alike.
func TestOrientation(t *testing.T) {
	s := newStage(t)
	for _, name := range []string{
		"normal/exif_orient_1.jpg", "normal/exif_orient_2.jpg", "normal/exif_orient_3.jpg",
		"normal/exif_orient_4.jpg", "normal/exif_orient_6.jpg", "normal/exif_orient_8.jpg",
	} {
		p, r, _ := s.Picture(t.Context(), given("resource:"+name), testSide)
		wantCorners(t, name, checkPicture(t, p, r))
	}
}

var corners = [4]color.RGBA{{0xff, 0, 0, 0xff}, {0, 0xff, 0, 0xff}, {0, 0, 0xff, 0xff}, {0xff, 0xff, 0xff, 0xff}}

// wantCorners wants red and green above, blue and white below.
func wantCorners(t *testing.T, name string, m image.Image) {
	t.Helper()
	n := m.Bounds().Dx()
	for i, want := range corners {
		got, _ := color.RGBAModel.Convert(m.At(n/4+i%2*n/2, n/4+i/2*n/2)).(color.RGBA)
		if distance(got, want) > 60 {
			t.Errorf("%s: corner %d is %v, want %v", name, i, got, want)
		}
	}
}

func distance(a, b color.RGBA) int {
	d := func(x, y uint8) int { return max(int(x), int(y)) - min(int(x), int(y)) }
	return max(d(a.R, b.R), d(a.G, b.G), d(a.B, b.B))
}

// TestEveryOrientation stores a picture in each of the eight ways; 0 and 9 mean nothing and turn nothing.
func TestEveryOrientation(t *testing.T) {
	upright := image.NewRGBA(image.Rect(0, 0, 32, 32))
	for y := range 32 {
		for x := range 32 {
			upright.SetRGBA(x, y, corners[y/16*2+x/16])
		}
	}
	// As EXIF 2.32 says: where the stored picture's row 0 and column 0 are to be seen.
	stored := map[int]func(x, y int) (shownX, shownY int){
		0: func(x, y int) (int, int) { return x, y },
		1: func(x, y int) (int, int) { return x, y },           // top, left
		2: func(x, y int) (int, int) { return 31 - x, y },      // top, right
		3: func(x, y int) (int, int) { return 31 - x, 31 - y }, // bottom, right
		4: func(x, y int) (int, int) { return x, 31 - y },      // bottom, left
		5: func(x, y int) (int, int) { return y, x },           // left, top
		6: func(x, y int) (int, int) { return 31 - y, x },      // right, top
		7: func(x, y int) (int, int) { return 31 - y, 31 - x }, // right, bottom
		8: func(x, y int) (int, int) { return y, 31 - x },      // left, bottom
		9: func(x, y int) (int, int) { return x, y },
	}
	for orientation, shown := range stored {
		m := image.NewRGBA(upright.Rect)
		for y := range 32 {
			for x := range 32 {
				m.SetRGBA(x, y, upright.RGBAAt(shown(x, y)))
			}
		}
		wantCorners(t, fmt.Sprint("orientation ", orientation), orient(m, orientation))
	}
}

func TestCentreCrop(t *testing.T) {
	s := newStage(t)
	for _, size := range []image.Point{{96, 32}, {32, 96}, {97, 33}} {
		m := image.NewRGBA(image.Rect(0, 0, size.X, size.Y))
		square := middle(m.Rect)
		for y := range size.Y {
			for x := range size.X {
				m.SetRGBA(x, y, color.RGBA{0xff, 0, 0, 0xff})
				if image.Pt(x, y).In(square) {
					m.SetRGBA(x, y, color.RGBA{0, 0xff, 0, 0xff})
				}
			}
		}
		p, r, _ := s.Picture(t.Context(), dataURL(encodePNG(t, m)), 16)
		shown := checkPicture(t, p, r)
		for i := range 256 {
			got, _ := color.RGBAModel.Convert(shown.At(i%16, i/16)).(color.RGBA)
			if distance(got, color.RGBA{0, 0xff, 0, 0xff}) > 8 {
				t.Fatalf("%v: (%d,%d) is %v, want the green of the middle", size, i%16, i/16, got)
			}
		}
	}
}

// TestFrameSmallerThanScreen: what a GIF's frame does not cover is transparent.
func TestFrameSmallerThanScreen(t *testing.T) {
	frame := image.NewPaletted(image.Rect(8, 8, 24, 24), color.Palette{color.RGBA{0xff, 0, 0, 0xff}})
	m := resample(shrink(frame, image.Rect(0, 0, 32, 32), 1), 32)
	if got := m.RGBAAt(4, 4); got.A != 0 {
		t.Errorf("outside of the frame is %v, want nothing", got)
	}
	if got := m.RGBAAt(16, 16); got != (color.RGBA{0xff, 0, 0, 0xff}) {
		t.Errorf("inside of the frame is %v, want red", got)
	}
}

// TestShrinkPaletted: blocks of a palette's colours are those of the colours themselves.
func TestShrinkPaletted(t *testing.T) {
	frame := image.NewPaletted(image.Rect(3, 5, 60, 58), color.Palette{color.RGBA{0xff, 0, 0, 0xff}, color.RGBA{1, 2, 3, 0xff}, color.RGBA{}})
	plain := image.NewRGBA(frame.Rect)
	for i := range frame.Pix {
		frame.Pix[i] = uint8(i * i % 3)
		plain.Set(3+i%57, 5+i/57, frame.Palette[frame.Pix[i]])
	}
	screen := image.Rect(0, 0, 64, 64)
	for _, k := range []int{2, 3, 7, 64} {
		got, want := shrink(frame, screen, k), shrink(plain, screen, k)
		if !bytes.Equal(got.Pix, want.Pix) || got.extent != want.extent || got.block != want.block {
			t.Errorf("blocks of %d differ", k)
		}
	}
}

// TestColours: the same face in every coding has the same colour.
func TestColours(t *testing.T) {
	s := newStage(t)
	show := func(name string) color.RGBA {
		p, r, _ := s.Picture(t.Context(), given("resource:normal/"+name), 96)
		if r.Reason != "" {
			t.Fatalf("%s: %s", name, r.Reason)
		}
		return average(checkPicture(t, p, r), image.Rect(36, 60, 60, 66)) // between eyes and mouth
	}
	want := show("png_rgb_256.png")
	for _, name := range []string{
		"jpeg_base420_256.jpg", "jpeg_base444_512.jpg", "jpeg_prog420_512.jpg", "jpeg_cmyk_256.jpg", "jpeg_rst_512.jpg",
		"png_pal_256.png", "png_rgba16_96.png", "gif_256.gif", "webp_lossless_256.webp", "webp_lossy_512.webp", "webp_lossy_1024.webp",
	} {
		if got := show(name); distance(got, want) > 10 {
			t.Errorf("%s: the face is %v, want %v", name, got, want)
		}
	}
}

func average(m image.Image, r image.Rectangle) color.RGBA {
	var sum [3]int
	for y := r.Min.Y; y < r.Max.Y; y++ {
		for x := r.Min.X; x < r.Max.X; x++ {
			c, _ := color.RGBAModel.Convert(m.At(x, y)).(color.RGBA)
			sum[0], sum[1], sum[2] = sum[0]+int(c.R), sum[1]+int(c.G), sum[2]+int(c.B)
		}
	}
	n := r.Dx() * r.Dy()
	return color.RGBA{uint8(sum[0] / n), uint8(sum[1] / n), uint8(sum[2] / n), 0xff}
}

func psnr(a, b image.Image) float64 {
	var sum float64
	r := a.Bounds()
	for y := range r.Dy() {
		for x := range r.Dx() {
			p, _ := color.RGBAModel.Convert(a.At(x, y)).(color.RGBA)
			q, _ := color.RGBAModel.Convert(b.At(x, y)).(color.RGBA)
			for _, d := range []float64{float64(p.R) - float64(q.R), float64(p.G) - float64(q.G), float64(p.B) - float64(q.B)} {
				sum += d * d
			}
		}
	}
	return 10 * math.Log10(255*255*3*float64(r.Dx()*r.Dy())/math.Max(sum, 1e-9))
}

// TestQuality holds the quick way (a part of the DCT, blocks, fixed point) against a full decode and one Lanczos
// filter over all samples in floating point.
func TestQuality(t *testing.T) {
	for _, name := range []string{
		"jpeg_base420_512.jpg", "jpeg_gray_512.jpg", "jpeg_base444_512.jpg", "jpeg_rst_512.jpg", "jpeg_cmyk_256.jpg",
		"jpeg_base420_1024.jpg", "jpeg_prog420_512.jpg", "jpeg_prog420_1024.jpg", "jpeg_prog420_2048.jpg", "big_jpeg_base420_2048.jpg",
		"png_rgb_256.png", "gif_256.gif", "png_rgba_logo_512.png",
	} {
		b := readFile(t, "normal/"+name)
		img, err := fullDecode(b)
		if err != nil {
			t.Fatal(err)
		}
		h, err := inspect(b)
		if err != nil {
			t.Fatal(err)
		}
		whole := image.NewRGBA(img.Bounds())
		draw.Draw(whole, whole.Rect, img, img.Bounds().Min, draw.Src)
		for _, side := range []int{16, 48, 96, 112, 128} {
			if h.width < 2*side {
				continue
			}
			m, scale, err := decode(b, h, side)
			if err != nil {
				t.Fatal(err)
			}
			got := small(m, view{screen: image.Rect(0, 0, h.width, h.height), scale: scale}, false, side)
			db := psnr(got, lanczos(whole, middle(img.Bounds()), side))
			if db < 47 {
				t.Errorf("%s at %d px: %.1f dB, want at least 47", name, side, db)
			}
		}
	}
}

// fullDecode decodes with the standard decoder of each format, on black.
func fullDecode(b []byte) (image.Image, error) {
	decoder := map[format]func(io.Reader) (image.Image, error){formatJPEG: jpeg.Decode, formatPNG: png.Decode, formatGIF: gif.Decode, formatWebP: webp.Decode}
	return decoder[sniff(b)](bytes.NewReader(b))
}

// lanczos scales with a kernel of three lobes, in float64 over every sample.
func lanczos(img *image.RGBA, r image.Rectangle, side int) image.Image {
	n := r.Dx()
	scale := float64(n) / float64(side)
	all := make([]lobe, side)
	for i := range all {
		centre := (float64(i)+0.5)*scale - 0.5
		l := lobe{first: max(0, int(math.Ceil(centre-3*scale)))}
		var sum float64
		for j := l.first; j < n && float64(j) < centre+3*scale; j++ {
			x, w := math.Pi*(float64(j)-centre)/scale, 1.0
			if x != 0 {
				w = 3 * math.Sin(x) * math.Sin(x/3) / (x * x)
			}
			l.weights, sum = append(l.weights, w), sum+w
		}
		for j := range l.weights {
			l.weights[j] /= sum
		}
		all[i] = l
	}
	wide := make([][3]float64, n*side)
	row := make([][3]float64, n)
	for y := range n {
		for x := range n {
			c := img.Pix[img.PixOffset(r.Min.X+x, r.Min.Y+y):]
			row[x] = [3]float64{float64(c[0]), float64(c[1]), float64(c[2])}
		}
		for i, l := range all {
			wide[y*side+i] = l.of(row, 0, 1)
		}
	}
	out := image.NewRGBA(image.Rect(0, 0, side, side))
	for i := range side * side {
		for c, v := range all[i/side].of(wide, i%side, side) {
			out.Pix[4*i+c] = uint8(math.Min(math.Max(math.Round(v), 0), 255))
		}
		out.Pix[4*i+3] = 0xff
	}
	return out
}

// lobe is the samples that one pixel is made of.
type lobe struct {
	first   int
	weights []float64
}

func (l lobe) of(samples [][3]float64, from, step int) (sum [3]float64) {
	for j, w := range l.weights {
		p := samples[from+(l.first+j)*step]
		sum[0], sum[1], sum[2] = sum[0]+w*p[0], sum[1]+w*p[1], sum[2]+w*p[2]
	}
	return sum
}
