package cli

import (
	"context"
	"io"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// TestScanWaitsForTheLast: a pause is no end while something is left.
func TestScanWaitsForTheLast(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := reading{end: make(chan error, 1)}
		var left atomic.Uint64
		left.Store(1)
		ended := make(chan error, 1)
		go func() {
			ended <- r.wait(t.Context(), func(context.Context) (uint64, error) { return left.Load(), nil }, NewMeter(io.Discard, "", 3))
		}()
		time.Sleep(10 * scanIdle)
		select {
		case err := <-ended:
			t.Fatalf("it ended without the last message: %v", err)
		default:
		}
		left.Store(0)
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
}
