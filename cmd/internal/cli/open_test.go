package cli

import (
	"context"
	"testing"
	"time"

	"github.com/voip-push/worker/internal/voip"
)

// TestFaultOfTime: a time that is over is no interrupt, and an interrupt is.
func TestFaultOfTime(t *testing.T) {
	t.Parallel()
	late, cancel := context.WithDeadline(t.Context(), time.Now())
	defer cancel()
	stopped, stop := context.WithCancel(t.Context())
	stop()
	for want, ctx := range map[string]context.Context{"stream VOIP_PUSH: the broker does not answer in time": late, "interrupted": stopped} {
		if err := Fault(ctx, voip.StreamPush, ctx.Err()); err == nil || err.Error() != want {
			t.Errorf("%v, want %s", err, want)
		}
	}
}
