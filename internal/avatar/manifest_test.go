package avatar

import (
	"strings"
	"testing"

	"github.com/voip-push/worker/internal/voip"
)

const ok = voip.AvatarReason("")

// pinned are our choices where the manifest leaves one.
var pinned = map[string]voip.AvatarReason{
	"hostile/gif_6k_frames.gif":   ok,
	"hostile/jpeg_fill_ff.jpg":    ok,
	"hostile/jpeg_height0.jpg":    voip.AvatarNotAnImage,
	"hostile/jpeg_trunc_half.jpg": voip.AvatarNotAnImage,
	"hostile/poly_gif_js.gif":     voip.AvatarBadDimensions,
}

// expected is what the manifest says of a file when its source limit is 100 KiB, in our words.
func expected(t *testing.T, name, outcome string) voip.AvatarReason {
	t.Helper()
	if reason, found := pinned[name]; found {
		return reason
	}
	words := map[string]voip.AvatarReason{
		"accept":                ok,
		"reject:empty":          voip.AvatarUnsupportedType, // no signature matches
		"reject:unsupported":    voip.AvatarUnsupportedType,
		"reject:malformed":      voip.AvatarNotAnImage,
		"reject:dimensions":     voip.AvatarBadDimensions,
		"reject:too_small":      voip.AvatarBadDimensions,
		"reject:too_many_scans": voip.AvatarTooManyScans,
		"reject:too_large":      voip.AvatarTooLarge,
	}
	word, _, _ := strings.Cut(outcome, " ")
	reason, found := words[strings.TrimSuffix(word, ",")]
	if !found {
		t.Fatalf("%s: %q says nothing that this test knows", name, outcome)
	}
	return reason
}

func TestManifest(t *testing.T) {
	t.Parallel()
	fit, exact := newStage(t), newStage(t, strict)
	rows := manifest(t)
	if len(rows) != 85 {
		t.Fatalf("the manifest has %d files, want 85", len(rows))
	}
	for name, outcome := range rows {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			want := expected(t, name, outcome)
			if want != ok || !slowToDecode(name) {
				checkStrict(t, exact, name, want)
			}
			if want == voip.AvatarTooLarge {
				want = ok // over the limit, but decodes within the guards
			}
			checkFit(t, fit, name, want)
		})
	}
}

// slowToDecode names the files that are decoded once and not for each policy:
// the race detector makes seconds of them.
func slowToDecode(name string) bool {
	return strings.HasPrefix(name, "limit/") || strings.Contains(name, "_1024.") || strings.Contains(name, "_2048.")
}

func checkStrict(t *testing.T, s *Stage, name string, want voip.AvatarReason) {
	t.Helper()
	p, r, err := s.Picture(t.Context(), given("resource:"+name), testSide)
	if want == ok {
		if err != nil {
			t.Errorf("strict: %v", err)
		}
		checkPicture(t, p, r)
		return
	}
	wantError(t, err, want)
	if r.Status != voip.AvatarFallback || r.Reason != want || p.Data != nil || r.Bytes != 0 {
		t.Errorf("strict: %+v and %d bytes, want fallback for %s and no picture", r, len(p.Data), want)
	}
	if want == voip.AvatarTooLarge && (r.Source == nil || !r.Source.OverLimit) {
		t.Errorf("strict: source %+v, want overLimit", r.Source)
	}
}

func checkFit(t *testing.T, s *Stage, name string, want voip.AvatarReason) {
	t.Helper()
	p, r, err := s.Picture(t.Context(), given("resource:"+name), testSide)
	if err != nil {
		t.Fatalf("fit: %v", err)
	}
	status := voip.AvatarOK
	if want != ok {
		status = voip.AvatarFallback
	}
	if r.Status != status || r.Reason != want {
		t.Errorf("fit: %s %s, want %s %s", r.Status, r.Reason, status, want)
	}
	checkPicture(t, p, r)
	size := int64(len(readFile(t, name)))
	if (r.Source == nil) != (size == 0) || r.Source != nil && (int64(r.Source.Bytes) != size || r.Source.OverLimit != (size > 100<<10)) {
		t.Errorf("fit: source %+v of a file of %d bytes", r.Source, size)
	}
}
