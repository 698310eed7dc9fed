package avatar

import (
	"bytes"
	"image"
	"image/draw"
	"image/jpeg"
	"strconv"
	"strings"
	"testing"
	"time"

	xdraw "golang.org/x/image/draw"

	"github.com/voip-push/worker/internal/voip"
)

func BenchmarkDefaultPicture(b *testing.B) {
	s := newStage(b)
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			_, _, _ = s.Picture(b.Context(), voip.Avatar{}, testSide)
		}
	})
}

var rendered = []string{
	"normal/jpeg_base420_96.jpg", "normal/jpeg_base420_256.jpg", "normal/jpeg_base420_512.jpg", "normal/jpeg_base420_1024.jpg",
	"normal/jpeg_base420_2048.jpg", "normal/big_jpeg_base420_1024.jpg", "normal/big_jpeg_base420_2048.jpg", "normal/jpeg_base444_512.jpg",
	"normal/jpeg_gray_512.jpg", "normal/jpeg_rst_512.jpg", "normal/jpeg_cmyk_256.jpg",
	"normal/jpeg_prog420_96.jpg", "normal/jpeg_prog420_512.jpg", "normal/jpeg_prog420_1024.jpg", "normal/jpeg_prog420_2048.jpg",
	"normal/png_pal_256.png", "normal/png_rgb_160.png", "normal/png_rgb_256.png", "normal/png_rgba16_96.png", "normal/png_rgba_logo_512.png",
	"normal/png_rgba_logo_1024.png", "limit/png_rgba16_2048.png", "limit/png_rgba_2048_interlaced.png", "normal/gif_256.gif", "limit/gif_2048.gif",
	"normal/webp_lossy_512.webp", "normal/webp_lossy_1024.webp", "normal/webp_lossless_256.webp", "normal/webp_lossless_logo_512.webp",
}

// BenchmarkRender goes from bytes to the rendition, guards included, at 96 px.
// The yardstick beside it does what one would write with the standard library:
// a full decode, one Lanczos filter, the same encoder.
func BenchmarkRender(b *testing.B) {
	for _, name := range rendered {
		data := readFile(b, name)
		short := name[strings.Index(name, "/")+1:]
		b.Run(short, func(b *testing.B) { benchmarkRender(b, data, 96) })
		b.Run(short+"/yardstick", func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				yardstick(b, data, 96)
			}
		})
	}
}

// BenchmarkSides is one picture in every usual size.
func BenchmarkSides(b *testing.B) {
	data := readFile(b, "normal/jpeg_base420_512.jpg")
	for _, side := range []int{16, 48, 64, 96, 112, 128} {
		b.Run(strconv.Itoa(side), func(b *testing.B) { benchmarkRender(b, data, side) })
	}
}

func benchmarkRender(b *testing.B, data []byte, side int) {
	b.Helper()
	b.ReportAllocs()
	for b.Loop() {
		h, err := inspect(data)
		if err != nil {
			b.Fatal(err)
		}
		if r := renderSafely(data, h, side); r.err != nil {
			b.Fatal(r.err)
		}
	}
}

func yardstick(b *testing.B, data []byte, side int) {
	b.Helper()
	img, err := fullDecode(data)
	if err != nil {
		b.Fatal(err)
	}
	whole := image.NewRGBA(image.Rect(0, 0, img.Bounds().Dx(), img.Bounds().Dy()))
	draw.Draw(whole, whole.Rect, img, img.Bounds().Min, draw.Src)
	out := image.NewRGBA(image.Rect(0, 0, side, side))
	lanczos := xdraw.Kernel{Support: lobes, At: lanczos3}
	lanczos.Scale(out, out.Rect, whole, middle(whole.Rect), draw.Src, nil)
	if err := jpeg.Encode(new(bytes.Buffer), out, &jpeg.Options{Quality: jpegQuality}); err != nil {
		b.Fatal(err)
	}
}

func BenchmarkGuards(b *testing.B) {
	for _, name := range []string{
		"hostile/jpeg_scan_bomb_2048.jpg", "hostile/jpeg_fill_ff.jpg", "normal/jpeg_base420_512.jpg", "normal/jpeg_prog420_512.jpg",
		"normal/png_rgb_256.png", "normal/gif_256.gif", "normal/webp_lossy_512.webp", "normal/webp_lossless_256.webp",
	} {
		data := readFile(b, name)
		b.Run(name[strings.Index(name, "/")+1:], func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				_, _ = inspect(data)
			}
		})
	}
	b.Run("URL", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			_, _ = new(urlPolicy).check("https://host.example/a/picture/of/someone-1234567890.jpg")
		}
	})
}

func BenchmarkCache(b *testing.B) {
	h := newHost(b, servePicture(readFile(b, "normal/jpeg_base420_256.jpg")))
	s := newStage(b, cached)
	b.Run("hit", func(b *testing.B) {
		a := given("https://host.example/a/picture/of/someone-1234567890.jpg")
		picture, err := encode(silhouette(testSide).RGBA)
		if err != nil {
			b.Fatal(err)
		}
		s.cache.put(keyOf(a.Source, testSide), &entry{picture: picture, until: time.Now().Add(time.Hour)})
		b.ReportAllocs()
		for b.Loop() {
			if _, r, _ := s.Picture(b.Context(), a, testSide); !r.Cached {
				b.Fatal(r)
			}
		}
	})
	b.Run("miss", func(b *testing.B) { // a fetch over the loopback and a decode of 256 px
		b.ReportAllocs()
		for i := 0; b.Loop(); i++ {
			if _, r, _ := s.Picture(b.Context(), given(h.URL+"/"+strconv.Itoa(i)), testSide); r.Status != voip.AvatarOK {
				b.Fatal(r)
			}
		}
	})
}
