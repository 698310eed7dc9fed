//go:build !production

package main

import (
	"bufio"
	"bytes"
	"encoding/base64"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/txtar"

	"github.com/voip-push/worker/internal/testkit"
)

// TestScenarios plays testdata/scenarios: each file says which sentence of the
// contract it shows, what is sent, and what must come out, byte for byte but
// for times and names. It runs over each way to Call Kit's side, and what comes
// out must be the same.
//
//nolint:tparallel // the settings of each are read from the environment first
func TestScenarios(t *testing.T) {
	files, err := filepath.Glob("testdata/scenarios/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatalf("no scenarios: %v", err)
	}
	world := newWorld(t)
	for _, file := range files {
		s := readScenario(t, file)
		runs := map[string]*config{}
		for _, side := range sides() {
			// Settings are read from the environment, so one after the other.
			runs[side.name] = s.config(t, world, side)
		}
		t.Run(s.name, func(t *testing.T) {
			t.Parallel()
			for _, side := range sides() {
				t.Run(side.name, func(t *testing.T) { play(t, s, world, side, runs[side.name]) })
			}
		})
	}
}

// scenario is one file:
//
//	settings      NAME=value lines, over those that every scenario has
//	callkit.json  what is special about Call Kit's side (sideSpec)
//	connect       the answers of the connection step (connections)
//	script        what happens, a step a line (steps); beside it, the bodies of the pushes
//	want/…        what came out
type scenario struct {
	name, path string
	archive    *txtar.Archive
}

func readScenario(t *testing.T, path string) *scenario {
	t.Helper()
	archive, err := txtar.ParseFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if len(bytes.TrimSpace(archive.Comment)) == 0 {
		t.Fatalf("%s does not say what it shows", path)
	}
	return &scenario{name: strings.TrimSuffix(filepath.Base(path), ".txtar"), path: path, archive: archive}
}

// file is a file of the scenario without its last newline.
func (s *scenario) file(name string) (text string, ok bool) {
	for _, f := range s.archive.Files {
		if f.Name == name {
			return strings.TrimSuffix(string(f.Data), "\n"), true
		}
	}
	return "", false
}

// lines are the lines of a file but for empty ones and comments.
func (s *scenario) lines(name string) []string {
	text, _ := s.file(name)
	var lines []string
	for scanner := bufio.NewScanner(strings.NewReader(text)); scanner.Scan(); {
		if line := strings.TrimSpace(scanner.Text()); line != "" && !strings.HasPrefix(line, "#") {
			lines = append(lines, line)
		}
	}
	return lines
}

// config reads the scenario's settings as a worker would.
func (s *scenario) config(t *testing.T, w *world, side side) *config {
	t.Helper()
	values := map[string]string{
		"NATS_URL":            "nats://127.0.0.1:1", // each run has a broker of its own
		"HTTP_ADDR":           "127.0.0.1:0",
		"LOG_LEVEL":           "debug",
		"REPORT_TRANSPORT":    side.transport,
		"REPORT_URL":          "http://127.0.0.1:1", // each run has a bridge of its own
		"NATS_PUSH_MAX_BYTES": "64MiB",              // as testkit has it
		// Retries must not make the tests slow.
		"REPORT_BACKOFF_INITIAL": "1ms", "REPORT_BACKOFF_MAX": "5ms",
	}
	for _, line := range s.lines("settings") {
		name, value, ok := strings.Cut(line, "=")
		if !ok {
			t.Fatalf("%s: settings: %q is not NAME=value", s.path, line)
		}
		values[name] = w.expand(value)
	}
	maps.DeleteFunc(values, func(_, v string) bool { return v == "(unset)" })
	cfg, warnings, err := configOf(t, values)
	if err != nil || cfg == nil {
		t.Fatalf("%s: %v", s.path, err)
	}
	for _, warning := range warnings {
		if !strings.Contains(warning, "no device rings") {
			t.Errorf("%s: %s", s.path, warning)
		}
	}
	return cfg
}

// want compares what came out with the scenario's golden part; -update writes
// it again.
func (s *scenario) want(t *testing.T, name, got string, update bool) {
	t.Helper()
	want, _ := s.file(name)
	if got == want {
		return
	}
	if !update {
		gotLine, wantLine := firstDifference(got, want)
		t.Errorf("%s: %s differs (accept it with `go test -run TestScenarios -update`)\n got: %s\nwant: %s",
			s.path, name, gotLine, wantLine)
		return
	}
	s.set(name, got)
	if err := os.WriteFile(s.path, txtar.Format(s.archive), 0o644); err != nil {
		t.Fatal(err)
	}
}

// firstDifference is the first line that is not the same.
func firstDifference(a, b string) (string, string) {
	left, right := strings.Split(a, "\n"), strings.Split(b, "\n")
	for i := range min(len(left), len(right)) {
		if left[i] != right[i] {
			return left[i], right[i]
		}
	}
	n := min(len(left), len(right))
	return strings.Join(left[n:], "\n"), strings.Join(right[n:], "\n")
}

func (s *scenario) set(name, text string) {
	for i := range s.archive.Files {
		if s.archive.Files[i].Name == name {
			s.archive.Files[i].Data = []byte(text + "\n")
			return
		}
	}
	s.archive.Files = append(s.archive.Files, txtar.File{Name: name, Data: []byte(text + "\n")})
}

// world is what all scenarios share: pictures on the web and in a folder.
type world struct{ replace, restore *strings.Replacer }

func newWorld(t *testing.T) *world {
	t.Helper()
	pictures, err := servePictures()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pictures.Close)
	face, err := photo(48)
	if err != nil {
		t.Fatal(err)
	}
	resources := t.TempDir()
	if err := os.WriteFile(filepath.Join(resources, "ada.jpg"), face, 0o600); err != nil {
		t.Fatal(err)
	}
	return &world{
		replace: strings.NewReplacer(
			"${PICTURES}", pictures.URL,
			"${RESOURCES}", resources,
			"${DATA_URL}", "data:image/jpeg;base64,"+base64.StdEncoding.EncodeToString(face),
		),
		restore: strings.NewReplacer(pictures.URL, "${PICTURES}"),
	}
}

func (w *world) expand(s string) string { return w.replace.Replace(s) }

func play(t *testing.T, s *scenario, w *world, side side, cfg *config) {
	t.Helper()
	r := newRig(t, s, w, side, cfg)
	for _, line := range s.lines("script") {
		r.step(line)
	}
	if r.running == nil {
		r.start()
	}
	r.settled()
	r.stop()
	out := r.outcome()
	out.check(t)
	out.checkSchemas(t)
	update := testkit.Updating() && side.name == sides()[0].name
	s.want(t, "want/questions.jsonl", out.questionLines(t), update)
	s.want(t, "want/requests.jsonl", out.requestLines(t), update)
	s.want(t, "want/results.jsonl", out.resultLines(t), update)
	s.want(t, "want/dlq.jsonl", out.deadLetterLines(t), update)
}
