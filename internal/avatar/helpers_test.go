package avatar

import (
	"bytes"
	"encoding/base64"
	"errors"
	"image"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/voip-push/worker/internal/voip"
)

const testSide = 112

func testConfig(change ...func(*Config)) Config {
	c := Config{
		Policy: PolicyFit, MaxBytes: 100 << 10, MaxSourceBytes: 5 << 20, Timeout: 30 * time.Second, ResourceDir: "testdata",
		AllowPrivate: true, AllowHTTP: true,
	}
	for _, f := range change {
		f(&c)
	}
	return c
}

func strict(c *Config) { c.Policy = PolicyStrict }

func newStage(t testing.TB, change ...func(*Config)) *Stage {
	t.Helper()
	s, err := New(testConfig(change...), slog.New(slog.NewTextHandler(t.Output(), nil)), nil)
	if err != nil {
		t.Fatal(err)
	}
	// On a busy machine, under the race detector.
	s.fetch.transport.TLSHandshakeTimeout, s.fetch.transport.ResponseHeaderTimeout = s.cfg.Timeout, s.cfg.Timeout
	t.Cleanup(s.fetch.transport.CloseIdleConnections)
	return s
}

func given(source string) voip.Avatar { return voip.Avatar{Given: true, Source: source} }

func dataURL(b []byte) voip.Avatar {
	return given("data:image/png;base64," + base64.StdEncoding.EncodeToString(b))
}

func readFile(t testing.TB, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// manifest gives the expected outcome of every file, in the manifest's words.
func manifest(t testing.TB) map[string]string {
	t.Helper()
	rows := map[string]string{}
	for i, line := range strings.Split(strings.TrimSpace(string(readFile(t, "MANIFEST.tsv"))), "\n") {
		if columns := strings.Split(line, "\t"); i > 0 && len(columns) == 4 {
			rows[columns[0]] = columns[3]
		}
	}
	return rows
}

// checkPicture checks that p is a square of testSide that decodes, at most 100 KB, and that r says the same of it.
func checkPicture(t testing.TB, p voip.UserProfile, r voip.AvatarResult) image.Image {
	t.Helper()
	img, format, err := image.Decode(bytes.NewReader(p.Data))
	if err != nil {
		t.Fatalf("the picture cannot be decoded: %v", err)
	}
	if size := img.Bounds().Size(); size != image.Pt(p.Width, p.Height) || p.Width != p.Height {
		t.Errorf("the picture is %v, and said to be %d × %d", size, p.Width, p.Height)
	}
	if p.ContentType != "image/"+format || len(p.Data) > 100_000 {
		t.Errorf("the picture is %s and has %d bytes, said to be %s", format, len(p.Data), p.ContentType)
	}
	if r.ContentType != p.ContentType || r.Width != p.Width || r.Height != p.Height || r.Bytes != len(p.Data) {
		t.Errorf("the result says %+v of a %s of %d px and %d bytes", r, p.ContentType, p.Width, len(p.Data))
	}
	return img
}

func wantError(t testing.TB, err error, want voip.AvatarReason) {
	t.Helper()
	if e, isAvatar := errors.AsType[*voip.AvatarError](err); !isAvatar || e.Reason != want {
		t.Errorf("error %v, want a *voip.AvatarError for %s", err, want)
	}
}

// wantReason runs one avatar under both policies and wants it to fail for the same reason.
func wantReason(t testing.TB, fit, exact *Stage, a voip.Avatar, want voip.AvatarReason) {
	t.Helper()
	p, r, err := fit.Picture(t.Context(), a, testSide)
	if err != nil || r.Status != voip.AvatarFallback || r.Reason != want {
		t.Errorf("fit: %s %s (%v), want fallback for %s", r.Status, r.Reason, err, want)
	}
	checkPicture(t, p, r)
	_, r, err = exact.Picture(t.Context(), a, testSide)
	wantError(t, err, want)
	if r.Reason != want {
		t.Errorf("strict: %s, want %s", r.Reason, want)
	}
}
