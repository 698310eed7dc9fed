package voip_test

import (
	"slices"
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
