package chaos

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

// TestWorkerSkew: workers whose clocks are wrong by minutes report what is
// alive, say that their clock is wrong, and hear cancels. Go asks no C library
// for the time, so the workers are built with a time package that is wrong.
func TestWorkerSkew(t *testing.T) {
	t.Parallel()
	if !*long {
		t.Skip("-long: it compiles the standard library again")
	}
	skewed := buildSkewed(t)
	for name, skew := range map[string]string{"ahead": "11m", "behind": "-11m"} {
		t.Run(name, func(t *testing.T) {
			r := alone(t, 0, skewVariable+"="+skew)
			r.worker = skewed
			r.newWorker().ready(patience)
			r.cancel("early", 50)
			r.gateway.load("early", 50, 200)()
			r.gateway.load("c", 500, 200)()
			if _, text := r.workers[0].readyz(); !strings.Contains(text, "clock differs from the broker's by") {
				t.Errorf("it does not say that its clock is wrong: %s", text)
			}
			r.verdict()
		})
	}
}

const skewVariable = "CHAOS_SKEW"

// buildSkewed builds the worker with a clock that is wrong by what a variable
// says.
func buildSkewed(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	original := filepath.Join(runtime.GOROOT(), "src", "time", "time.go") //nolint:staticcheck // the toolchain that builds the tests builds the worker
	source, err := os.ReadFile(original)
	if err != nil {
		t.Fatal(err)
	}
	// The wall clock alone is wrong: what passes is measured by another.
	const read = "sec, nsec, mono := runtimeNow()\n"
	text := strings.Replace(string(source), read, read+"\tsec += int64(skew / Second)\n", 1)
	if text == string(source) {
		t.Fatalf("%s has no %q", original, read)
	}
	text += `
var skew = func() Duration {
	s, _ := syscall.Getenv("` + skewVariable + `")
	d, _ := ParseDuration(s)
	return d
}()
`
	text = strings.Replace(text, "import (\n", "import (\n\t\"syscall\"\n", 1)
	wrong, overlay, out := filepath.Join(dir, "time.go"), filepath.Join(dir, "overlay.json"), filepath.Join(dir, "worker")
	replace, err := json.Marshal(map[string]map[string]string{"Replace": {original: wrong}})
	if err != nil {
		t.Fatal(err)
	}
	for path, content := range map[string]string{wrong: text, overlay: string(replace)} {
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	c := exec.CommandContext(t.Context(), "go", "-C", "..", "build", "-overlay", overlay, "-o", out, "./cmd/worker")
	if b, err := c.CombinedOutput(); err != nil {
		t.Fatalf("build a worker whose clock is wrong: %v: %s", err, b)
	}
	return out
}
