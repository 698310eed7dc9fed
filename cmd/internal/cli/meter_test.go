package cli

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// TestMeter: what is short says nothing, what is long a line now and then.
func TestMeter(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var out strings.Builder
		m := NewMeter(&out, "reading VOIP_DLQ", 1000)
		for i := range uint64(23) {
			m.At(10 * i)
			time.Sleep(time.Second / 2)
		}
		if got, want := out.String(), "reading VOIP_DLQ: 100 of 1000\nreading VOIP_DLQ: 200 of 1000\n"; got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	})
}
