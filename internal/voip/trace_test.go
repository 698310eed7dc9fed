package voip_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/voip-push/worker/internal/voip"
)

func TestTraceHeader(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		header map[string][]string
		want   string
	}{
		{nil, ""},
		{map[string][]string{"traceparent": {"a", "b"}}, "a"},
		{map[string][]string{"Traceparent": {"a"}}, "a"},
		{map[string][]string{"traceparent": {"a"}, "Traceparent": {"b"}}, "a"},
		{map[string][]string{"traceparent": {}}, ""},
	} {
		if got := voip.TraceHeader(c.header).Get(voip.HeaderTraceparent); got != c.want {
			t.Errorf("%v: %q, want %q", c.header, got, c.want)
		}
	}
	h := voip.TraceHeader{}
	h.Set(voip.HeaderTraceparent, "a")
	if keys := h.Keys(); !slices.Equal(keys, []string{"traceparent"}) || h.Get("traceparent") != "a" {
		t.Errorf("the header is %v", h)
	}
}

// TestTraceparent: the examples of W3C Trace Context, and what is near them.
func TestTraceparent(t *testing.T) {
	t.Parallel()
	const good = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
	for given, legal := range map[string]bool{
		good:                               true,
		good[:53] + "00":                   true,
		"01" + good[2:]:                    true,
		"01" + good[2:] + "-more":          true,
		"01" + good[2:] + "-m\x01re":       false,
		"01" + good[2:] + "-mehr, größer":  false,
		"01" + good[2:] + "more":           false,
		good + "-more":                     false,
		"ff" + good[2:]:                    false,
		"0g" + good[2:]:                    false,
		strings.ToUpper(good):              false,
		good[:54]:                          false,
		strings.ReplaceAll(good, "-", "_"): false,
		"00-" + zeros[:32] + good[35:]:     false,
		good[:36] + zeros[:16] + good[52:]: false,
		good[:53] + "0x":                   false,
		"garbage":                          false,
		"":                                 false,
		good[:10] + "\u00e9" + good[12:]:   false,
	} {
		want := ""
		if legal {
			want = given
		}
		if got := (voip.TraceHeader{"Traceparent": {given}}).Traceparent(); got != want {
			t.Errorf("%q: %q, want %q", given, got, want)
		}
	}
}

const zeros = "00000000000000000000000000000000"
