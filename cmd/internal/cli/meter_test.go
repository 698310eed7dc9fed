package cli

import (
	"strings"
	"testing"
)

// TestMeter: a short reading says nothing, a long one a line now and then.
func TestMeter(t *testing.T) {
	t.Parallel()
	var out strings.Builder
	m := meter{w: &out, stream: "VOIP_DLQ", all: 1000}
	for i := range uint64(2*meterEvery + 1) {
		m.tick(10 * (i + 1))
	}
	if got, want := out.String(), "reading VOIP_DLQ: 50 of 1000\nreading VOIP_DLQ: 100 of 1000\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}
