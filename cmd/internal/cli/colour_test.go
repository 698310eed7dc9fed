package cli

import (
	"bytes"
	"os"
	"strings"
	"testing"

	"github.com/voip-push/worker/internal/voip"
)

// TestColours: only for a terminal, never against the user's word, and the
// columns stay where they are.
func TestColours(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		noColor, term string
		want          bool
	}{{"", "xterm", true}, {"1", "xterm", false}, {"", "dumb", false}} {
		if got := wanted(func(key string) string { return map[string]string{"NO_COLOR": tt.noColor, "TERM": tt.term}[key] }); got != tt.want {
			t.Errorf("%+v: %v", tt, got)
		}
	}
	file, err := os.Create(t.TempDir() + "/out")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	if coloured(file) || coloured(&bytes.Buffer{}) {
		t.Error("what is no terminal is coloured")
	}
	for _, o := range []voip.Outcome{voip.Reported, voip.Failed, voip.Expired, voip.Cancelled, "new"} {
		r := &voip.Result{CallID: "c", Outcome: o}
		plain, painted := resultLine(r, false), resultLine(r, true)
		if strings.Contains(plain, "\x1b") || o != "new" && !strings.Contains(painted, "\x1b[0m") {
			t.Errorf("%q %q", plain, painted)
		}
		if stripped := strings.NewReplacer("\x1b[32m", "", "\x1b[31m", "", "\x1b[33m", "", "\x1b[90m", "", "\x1b[0m", "").Replace(painted); stripped != plain {
			t.Errorf("%q is not %q", stripped, plain)
		}
	}
}
