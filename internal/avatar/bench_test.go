package avatar

import (
	"strings"
	"testing"

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

func BenchmarkRender(b *testing.B) {
	for _, name := range []string{
		"normal/jpeg_base420_512.jpg", "normal/jpeg_base420_2048.jpg", "normal/jpeg_prog420_2048.jpg", "normal/png_rgb_256.png",
		"normal/png_rgba_logo_512.png", "normal/gif_256.gif", "normal/webp_lossy_512.webp", "limit/png_rgba16_2048.png",
	} {
		data := readFile(b, name)
		b.Run(name[strings.Index(name, "/")+1:], func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				h, err := inspect(data)
				if err != nil {
					b.Fatal(err)
				}
				if r := renderSafely(data, h, testSide); r.err != nil {
					b.Fatal(r.err)
				}
			}
		})
	}
}

func BenchmarkGuards(b *testing.B) {
	for _, name := range []string{"hostile/jpeg_scan_bomb_2048.jpg", "hostile/jpeg_fill_ff.jpg", "normal/jpeg_base420_512.jpg", "normal/png_rgb_256.png"} {
		data := readFile(b, name)
		b.Run(name[strings.Index(name, "/")+1:], func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				_, _ = inspect(data)
			}
		})
	}
}
