package testkit

import (
	"flag"
	"os"
	"path/filepath"
	"testing"
)

//nolint:gochecknoglobals // a flag of the test binary
var update = flag.Bool("update", false, "write the golden files again")

// Golden compares got with testdata/name. `go test -update` writes the file
// again: read the diff, it is what changed on the wire.
func Golden(t testing.TB, name string, got []byte) {
	t.Helper()
	path := filepath.Join("testdata", filepath.FromSlash(name))
	if *update {
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatalf("%v; write it with `go test -update`", err)
	}
	if string(got) != string(want) {
		t.Errorf("%s differs (accept it with `go test -update`)\n got: %s\nwant: %s", path, got, want)
	}
}

// Updating says that golden files are to be written again, for tests that keep
// them in another form.
func Updating() bool { return *update }
