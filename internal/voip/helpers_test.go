package voip_test

import (
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/voip-push/worker/internal/voip"
)

var update = flag.Bool("update", false, "write the golden files again")

// golden is testkit.Golden, which this package does without: it would link a
// broker into the fuzz targets here, and make each of their steps a slow one.
func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	path := filepath.Join("testdata", name)
	got = append(got, '\n')
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

// defaults are the contract's.
var defaults = voip.Defaults{UserName: "Unknown", AbilityName: "EntryAbility", Density: 3.5, TTL: time.Minute}

// quote is s as a JSON string.
func quote(s string) string {
	b, err := json.Marshal(s)
	if err != nil {
		panic(err)
	}
	return string(b)
}

// The three forms of a push with a callId and the fields of its data, both as
// they stand in JSON.
var forms = map[voip.Form]func(id, data string) string{
	voip.FormPayload: func(id, data string) string {
		return `{"data":` + quote(`{"data":`+quote(data)+`,"callId":`+id+`}`) + `}`
	},
	voip.FormString: func(id, data string) string { return `{"callId":` + id + `,"data":` + quote(data) + `}` },
	voip.FormObject: func(id, data string) string { return `{"callId":` + id + `,"data":` + data + `}` },
}

// at is when everything happens here.
func at(d time.Duration) time.Time {
	return time.Date(2026, time.January, 2, 3, 4, 5, 678_901_234, time.UTC).Add(d)
}

func text(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}
