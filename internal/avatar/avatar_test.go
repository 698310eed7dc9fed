package avatar

import (
	"bytes"
	"context"
	"encoding/base64"
	"image"
	"image/png"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/voip-push/worker/internal/voip"
)

func TestNoAvatar(t *testing.T) {
	for _, s := range []*Stage{newStage(t), newStage(t, strict)} {
		p, r, err := s.Picture(t.Context(), voip.Avatar{Source: "https://ignored.example/"}, testSide)
		if err != nil || r.Status != voip.AvatarNone || r.Reason != "" || r.Source != nil {
			t.Errorf("%+v, %v, want status none", r, err)
		}
		checkPicture(t, p, r)
	}
}

func TestForms(t *testing.T) {
	fit, exact := newStage(t), newStage(t, strict)
	png64 := base64.StdEncoding.EncodeToString(readFile(t, "normal/png_rgb_160.png"))
	short := readFile(t, "hostile/poly_png_html.png") // 140 bytes: base64 ends in one =
	padded := base64.StdEncoding.EncodeToString(short)
	for _, test := range []struct {
		name, source string
		want         voip.AvatarReason
	}{
		{"nothing", "", voip.AvatarForbiddenURL},
		{"no scheme", "a.png", voip.AvatarForbiddenURL},
		{"scheme alone", "https:", voip.AvatarForbiddenURL},
		{"file", "file:///etc/passwd", voip.AvatarForbiddenURL},
		{"ftp", "ftp://host.example/a.png", voip.AvatarForbiddenURL},
		{"javascript", "javascript:alert(1)", voip.AvatarForbiddenURL},
		{"scheme-relative", "//host.example/a.png", voip.AvatarForbiddenURL},
		{"data", "data:image/png;base64," + png64, ok},
		{"data, upper case", "DATA:IMAGE/PNG;BASE64," + png64, ok},
		{"data, declared another type", "data:image/webp;base64," + png64, ok},
		{"data, with a parameter", "data:image/png;name=a.png;base64," + png64, ok},
		{"data, padded", "data:image/png;base64," + padded, ok},
		{"data, unpadded", "data:image/png;base64," + strings.TrimRight(padded, "="), ok},
		{"data, padded too much", "data:image/png;base64," + padded + "=", voip.AvatarNotAnImage},
		{"data, not base64", "data:image/png;base64,!!!!", voip.AvatarNotAnImage},
		{"data, loose end bits", "data:image/png;base64,iVBORw0KGgB=", voip.AvatarNotAnImage},
		{"data, url alphabet", "data:image/png;base64,_-8=", voip.AvatarNotAnImage},
		{"data, no picture", "data:image/png;base64,aGVsbG8=", voip.AvatarUnsupportedType},
		{"data, empty", "data:image/png;base64,", voip.AvatarUnsupportedType},
		{"data, no base64", "data:image/png,abc", voip.AvatarForbiddenURL},
		{"data, text", "data:text/html;base64,aGVsbG8=", voip.AvatarForbiddenURL},
		{"data, no comma", "data:image/png;base64", voip.AvatarForbiddenURL},
		{"data, svg", "data:image/svg+xml;base64,PHN2Zy8+", voip.AvatarUnsupportedType},
		{"resource", "resource:normal/png_rgb_160.png", ok},
		{"resource, missing", "resource:missing.png", voip.AvatarNotFound},
		{"resource, a directory", "resource:normal", voip.AvatarNotFound},
		{"resource, nameless", "resource:", voip.AvatarForbiddenURL},
		{"resource, absolute", "resource:/etc/passwd", voip.AvatarForbiddenURL},
		{"resource, slashes", "resource:///etc/passwd", voip.AvatarForbiddenURL},
		{"resource, upwards", "resource:../avatar.go", voip.AvatarForbiddenURL},
		{"resource, down and upwards", "resource:normal/../../avatar.go", voip.AvatarForbiddenURL},
		{"resource, backslash", `resource:..\avatar.go`, voip.AvatarForbiddenURL},
		{"resource, zero byte", "resource:a\x00b", voip.AvatarForbiddenURL},
	} {
		t.Run(test.name, func(t *testing.T) {
			if test.want != ok {
				wantReason(t, fit, exact, given(test.source), test.want)
				return
			}
			p, r, err := exact.Picture(t.Context(), given(test.source), testSide)
			if err != nil || r.Status != voip.AvatarOK || r.Source == nil || r.Source.ContentType != "image/png" {
				t.Errorf("%+v, %v, want ok", r, err)
			}
			checkPicture(t, p, r)
		})
	}
}

func TestResourceStaysInside(t *testing.T) {
	outside, dir := t.TempDir(), t.TempDir()
	picture := readFile(t, "normal/png_rgb_160.png")
	for _, name := range []string{filepath.Join(outside, "secret.png"), filepath.Join(dir, "plain.png")} {
		if err := os.WriteFile(name, picture, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for link, target := range map[string]string{
		"out.png": filepath.Join(outside, "secret.png"), "outdir": outside, "up.png": "../" + filepath.Base(outside) + "/secret.png",
		"in.png": "plain.png", // as a mounted ConfigMap has them
	} {
		if err := os.Symlink(target, filepath.Join(dir, link)); err != nil {
			t.Fatal(err)
		}
	}
	inside := func(c *Config) { c.ResourceDir = dir }
	fit, exact := newStage(t, inside), newStage(t, inside, strict)
	for name, want := range map[string]voip.AvatarReason{
		"plain.png": ok, "in.png": ok,
		"out.png": voip.AvatarNotFound, "up.png": voip.AvatarNotFound, "outdir/secret.png": voip.AvatarNotFound,
	} {
		if want != ok {
			wantReason(t, fit, exact, given("resource:"+name), want)
		} else if _, r, err := exact.Picture(t.Context(), given("resource:"+name), testSide); err != nil {
			t.Errorf("%s: %+v, %v", name, r, err)
		}
	}
	none := func(c *Config) { c.ResourceDir = "" }
	wantReason(t, newStage(t, none), newStage(t, none, strict), given("resource:plain.png"), voip.AvatarNotFound)
}

func TestByteLimits(t *testing.T) {
	picture := readFile(t, "normal/png_rgb_160.png")
	size := int64(len(picture))
	sources := map[string]voip.Avatar{"data": dataURL(picture), "resource": given("resource:normal/png_rgb_160.png")}
	for name, a := range sources {
		t.Run(name, func(t *testing.T) {
			checkLimits(t, a, size)
		})
	}
}

// checkLimits runs one good picture of that size against limits around it.
func checkLimits(t *testing.T, a voip.Avatar, size int64, change ...func(*Config)) {
	t.Helper()
	for _, test := range []struct {
		name             string
		policy           Policy
		limit, readLimit int64
		want             voip.AvatarReason
		over             bool
	}{
		{"strict, exactly the limit", PolicyStrict, size, 5 << 20, ok, false},
		{"strict, one over", PolicyStrict, size - 1, 5 << 20, voip.AvatarTooLarge, true},
		{"strict, one over what is read", PolicyStrict, size, size - 1, voip.AvatarTooLarge, false},
		{"fit, exactly the limit", PolicyFit, size, 5 << 20, ok, false},
		{"fit, one over", PolicyFit, size - 1, 5 << 20, ok, true},
		{"fit, exactly what is read", PolicyFit, 1, size, ok, true},
		{"fit, one over what is read", PolicyFit, 1, size - 1, voip.AvatarTooLarge, true},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := newStage(t, append(change, func(c *Config) {
				c.Policy, c.MaxBytes, c.MaxSourceBytes = test.policy, test.limit, test.readLimit
			})...)
			_, r, err := s.Picture(t.Context(), a, testSide)
			if r.Reason != test.want || (err != nil) != (test.want != ok && test.policy == PolicyStrict) {
				t.Fatalf("%+v, %v, want reason %q", r, err, test.want)
			}
			want := voip.AvatarSource{ContentType: "image/png", Width: 160, Height: 160, Bytes: int(size), OverLimit: test.over}
			if r.Source == nil || *r.Source != want {
				t.Errorf("source %+v, want %+v", r.Source, want)
			}
		})
	}
}

func TestSides(t *testing.T) {
	s := newStage(t)
	for given, want := range map[int]int{-1: 16, 0: 16, 15: 16, 16: 16, 33: 33, 112: 112, 128: 128, 129: 128, 1 << 20: 128} {
		for _, a := range []voip.Avatar{{}, {Given: true, Source: "resource:normal/exif_orient_6.jpg"}} {
			p, r, _ := s.Picture(t.Context(), a, given)
			checkPicture(t, p, r)
			if p.Width != want {
				t.Errorf("side %d gave %d, want %d", given, p.Width, want)
			}
		}
	}
}

func TestDefaultPicture(t *testing.T) {
	builtIn := newStage(t)
	own := newStage(t, func(c *Config) { c.Default = "resource:normal/png_rgba_logo_512.png" })
	for side := MinSide; side <= MaxSide; side++ {
		for _, s := range []*Stage{builtIn, own} {
			p, r, err := s.Picture(t.Context(), voip.Avatar{}, side)
			if err != nil || p.Width != side || p.Height != side || len(p.Data) == 0 || r.Bytes > 100_000 {
				t.Errorf("side %d: %+v, %v", side, r, err)
			}
			if side%28 == 0 {
				checkPicture(t, p, r)
			}
		}
	}
	a, _, _ := builtIn.Picture(t.Context(), voip.Avatar{}, testSide)
	b, _, _ := newStage(t).Picture(t.Context(), given(""), testSide)
	if &a.Data[0] != &b.Data[0] {
		t.Error("the default picture was rendered twice")
	}
	if p, _, _ := own.Picture(t.Context(), voip.Avatar{}, testSide); p.ContentType != "image/png" {
		t.Errorf("a logo with transparency became %s", p.ContentType)
	}
}

// TestDefaultPictureIsPrepared: in every size, before anybody asks for one.
func TestDefaultPictureIsPrepared(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStage(t, func(c *Config) { c.Default = "resource:normal/png_rgba_logo_512.png" })
		if err := s.room.idle(t.Context()); err != nil {
			t.Fatal(err)
		}
		for i := range s.standIn.sides {
			if got := s.standIn.sides[i].picture.Width; got != MinSide+i {
				t.Errorf("side %d is %d", MinSide+i, got)
			}
		}
	})
}

func TestDefaultPictureIsFree(t *testing.T) {
	s := newStage(t)
	if n := testing.AllocsPerRun(100, func() { _, _, _ = s.Picture(t.Context(), voip.Avatar{}, testSide) }); n > 0 {
		t.Errorf("%v allocations, want none", n)
	}
}

func TestNoiseStaysSmall(t *testing.T) {
	for _, opaque := range []bool{true, false} {
		m := image.NewRGBA(image.Rect(0, 0, MaxSide, MaxSide))
		random := rand.New(rand.NewPCG(1, 2))
		for i := range m.Pix {
			m.Pix[i] = uint8(random.Uint32())
			if opaque && i%4 == 3 {
				m.Pix[i] = 0xff
			}
		}
		p, err := encode(m)
		if err != nil || len(p.Data) > 100_000 {
			t.Errorf("noise takes %d bytes as %s (%v), want at most 100,000", len(p.Data), p.ContentType, err)
		}
	}
}

func TestNoMetadataLeaves(t *testing.T) {
	s := newStage(t)
	for _, name := range []string{"hostile/poly_jpeg_php.jpg", "hostile/poly_png_html.png", "normal/exif_orient_6.jpg"} {
		p, _, _ := s.Picture(t.Context(), given("resource:"+name), testSide)
		for _, trace := range []string{"<?php", "<html", "<script", "Exif", "\xff\xe1", "tEXt"} {
			if bytes.Contains(p.Data, []byte(trace)) {
				t.Errorf("%s: the picture still has %q", name, trace)
			}
		}
	}
}

func TestDeadlineWhileWaitingForASlot(t *testing.T) {
	s := newStage(t, strict)
	for range cap(s.room.slots) {
		s.room.slots <- struct{}{}
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	_, r, err := s.Picture(ctx, given("resource:normal/png_rgb_160.png"), testSide)
	wantError(t, err, voip.AvatarTimeout)
	if r.Source == nil || r.Source.Width != 160 {
		t.Errorf("source %+v, want what was read", r.Source)
	}
	for range cap(s.room.slots) {
		<-s.room.slots
	}
	if _, _, err := s.Picture(t.Context(), given("resource:normal/png_rgb_160.png"), testSide); err != nil {
		t.Errorf("with free slots again: %v", err)
	}
}

func TestDeadlineWhileDecoding(t *testing.T) {
	s := newStage(t)
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Millisecond) // it takes many times that
	defer cancel()
	_, r, err := s.Picture(ctx, given("resource:normal/jpeg_prog420_2048.jpg"), testSide)
	if decoding := len(s.room.slots) > 0; err != nil || r.Reason != voip.AvatarTimeout || !decoding {
		t.Errorf("%+v, %v, still decoding: %v; want timeout and true", r, err, decoding)
	}
	for range cap(s.room.slots) { // until the decode that was left alone gives its slot back
		s.room.slots <- struct{}{}
	}
}

func TestTimeoutIsTheBudget(t *testing.T) {
	s := newStage(t, func(c *Config) { c.Timeout = time.Nanosecond })
	if _, r, _ := s.Picture(t.Context(), given("resource:limit/png_rgba16_2048.png"), testSide); r.Reason != voip.AvatarTimeout {
		t.Errorf("%+v, want timeout", r)
	}
}

func TestPanicOfADecoder(t *testing.T) {
	h, err := inspect(readFile(t, "normal/exif_orient_1.jpg"))
	if err != nil {
		t.Fatal(err)
	}
	r := renderSafely(readFile(t, "normal/exif_orient_1.jpg"), h, 0) // divides by the side
	if f := asFailure(r.err); f.reason != voip.AvatarInternal || strings.Contains(r.err.Error(), "divide") {
		t.Errorf("%v, want internal and no detail", r.err)
	}
	s := newStage(t)
	if _, err := s.render(t.Context(), nil, header{format: formatGIF, width: -1}, 0, new(hold)); asFailure(err).reason != voip.AvatarNotAnImage {
		t.Errorf("%v, want not_an_image", err)
	}
	if _, err := s.render(t.Context(), readFile(t, "normal/exif_orient_1.jpg"), h, 0, new(hold)); asFailure(err).reason != voip.AvatarInternal {
		t.Errorf("%v, want internal", err)
	}
}

func encodePNG(t testing.TB, m image.Image) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := png.Encode(&b, m); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}
