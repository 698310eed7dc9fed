package cli

import (
	"context"
	"io"
	"testing"
	"testing/synctest"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// drained is a consumer that has delivered three messages, and has no more.
type drained struct{ jetstream.Consumer }

func (drained) Info(context.Context) (*jetstream.ConsumerInfo, error) {
	return &jetstream.ConsumerInfo{Delivered: jetstream.SequenceInfo{Consumer: 3}}, nil
}

// TestScanWaitsForTheLast: a busy broker says that nothing is left before the
// last message is here.
func TestScanWaitsForTheLast(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := reading{end: make(chan error, 1)}
		r.seen.Store(2)
		r.taken.Store(2)
		ended := make(chan error, 1)
		go func() { ended <- r.wait(t.Context(), drained{}, NewMeter(io.Discard, "", 3)) }()
		time.Sleep(10 * scanIdle)
		select {
		case err := <-ended:
			t.Fatalf("it ended without the last message: %v", err)
		default:
		}
		r.seen.Store(3)
		r.taken.Store(3)
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
}
