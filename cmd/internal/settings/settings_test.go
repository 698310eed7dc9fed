package settings

import (
	"math"
	"slices"
	"strings"
	"testing"
	"time"
)

type spec struct {
	Test group
}

type group struct {
	Text    string        `split_words:"true" default:"text" desc:"Any text."`
	Choice  string        `split_words:"true" default:"one" oneof:"one,two"`
	Maybe   string        `split_words:"true" oneof:",yes"`
	Count   int           `split_words:"true" default:"5" min:"1" max:"10"`
	Ratio   float64       `split_words:"true" default:"1.5" min:"0.5"`
	Wait    time.Duration `split_words:"true" default:"1m" max:"1h"`
	Room    Size          `split_words:"true" default:"2MiB" min:"1KiB"`
	Flag    bool          `split_words:"true" default:"false"`
	Hosts   []string      `split_words:"true"`
	TLSFile string        `split_words:"true"`
}

func defaults() spec {
	return spec{group{Text: "text", Choice: "one", Count: 5, Ratio: 1.5, Wait: time.Minute, Room: 2 << 20}}
}

func TestDefaults(t *testing.T) {
	t.Setenv("TEST_COUNT", "7") // is not looked at
	var s spec
	Defaults(&s)
	if want := defaults(); !equal(&s, &want) {
		t.Errorf("%+v, want %+v", s, want)
	}
}

func equal(a, b *spec) bool {
	x, y := a.Test, b.Test
	hosts := slices.Equal(x.Hosts, y.Hosts)
	x.Hosts, y.Hosts = nil, nil
	return hosts && x.Text == y.Text && x.Choice == y.Choice && x.Maybe == y.Maybe && x.Count == y.Count && x.Ratio == y.Ratio &&
		x.Wait == y.Wait && x.Room == y.Room && x.Flag == y.Flag && x.TLSFile == y.TLSFile
}

func TestLoad(t *testing.T) {
	for name, value := range map[string]string{
		"TEST_TEXT": "", "TEST_CHOICE": "two", "TEST_MAYBE": "yes", "TEST_COUNT": "10", "TEST_RATIO": "0.5", "TEST_WAIT": "1h",
		"TEST_ROOM": "1KiB", "TEST_FLAG": "true", "TEST_HOSTS": "a,b", "TEST_TLS_FILE": "/x",
		"TEXT": "never", "COUNT": "never", // names without their group are others'
	} {
		t.Setenv(name, value)
	}
	var s spec
	warnings, err := Load(&s)
	want := spec{group{"", "two", "yes", 10, 0.5, time.Hour, 1 << 10, true, []string{"a", "b"}, "/x"}}
	if err != nil || len(warnings) > 0 || !equal(&s, &want) {
		t.Errorf("%+v %v %q, want %+v", s, err, warnings, want)
	}
}

// A setting at fault is named with what is legal, and has its default.
func TestFaults(t *testing.T) {
	values := map[string]string{
		"TEST_CHOICE": "three", "TEST_MAYBE": "no", "TEST_COUNT": "11", "TEST_RATIO": "NaN", "TEST_WAIT": "61m", "TEST_ROOM": "1023", "TEST_FLAG": "on",
	}
	for name, value := range values {
		t.Setenv(name, value)
	}
	var s spec
	_, err := Load(&s)
	want := strings.Join([]string{
		`TEST_CHOICE: "three" is not legal, want one of one, two`,
		`TEST_MAYBE: "no" is not legal, want one of yes`,
		`TEST_COUNT: "11" is not legal, want a whole number, 1 to 10`,
		`TEST_RATIO: "NaN" is not legal, want a number, at least 0.5`,
		`TEST_WAIT: "61m" is not legal, want a duration such as 250ms or 1m, at most 1h`,
		`TEST_ROOM: "1023" is not legal, want a size such as 102400 or 64MiB, at least 1KiB`,
		`TEST_FLAG: "on" is not legal, want true or false`,
	}, "\n")
	if err == nil || err.Error() != want {
		t.Errorf(" got: %v\nwant: %s", err, want)
	}
	if kept := defaults(); !equal(&s, &kept) {
		t.Errorf("%+v, want the defaults", s)
	}
}

func TestUnknown(t *testing.T) {
	for _, name := range []string{"TEST_COUNTS", "TEST_TLSFILE", "TEST_NOTHING_LIKE_THAT", "TESTS_COUNT"} {
		t.Setenv(name, "1")
	}
	warnings, err := Load(&spec{})
	want := []string{
		"TEST_COUNTS is no setting, did you mean TEST_COUNT?",
		"TEST_NOTHING_LIKE_THAT is no setting",
		"TEST_TLSFILE is no setting, did you mean TEST_TLS_FILE?",
	}
	if err != nil || !slices.Equal(warnings, want) {
		t.Errorf("%v %q, want %q", err, warnings, want)
	}
}

func TestSize(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]Size{
		"0": 0, "1": 1, "102400": 102400, "1KiB": 1 << 10, "100KiB": 100 << 10, "64MiB": 64 << 20, "1GiB": 1 << 30, "5 MiB": 5 << 20,
		"9223372036854775807": math.MaxInt64, "8589934591GiB": 8589934591 << 30,
	} {
		var s Size
		if err := s.Decode(text); err != nil || s != want {
			t.Errorf("%q is %d, %v; want %d", text, s, err, want)
		}
		var again Size
		if err := again.Decode(s.String()); err != nil || again != s {
			t.Errorf("%q written as %q is %d, %v", text, s, again, err)
		}
	}
	for _, text := range []string{"", "KiB", "-1", "1.5MiB", "1KB", "1kib", "1MB", "1TiB", "ten", "9223372036854775808", "8589934592GiB", "1 KiB MiB"} {
		if s := Size(7); s.Decode(text) == nil {
			t.Errorf("%q is taken for %d", text, s)
		} else if s != 7 {
			t.Errorf("%q changed the size", text)
		}
	}
}
