package stream

import (
	"context"
	"errors"
	"time"

	"github.com/nats-io/nats.go"
)

const (
	keepLook  = 250 * time.Millisecond
	keepRetry = 500 * time.Millisecond
)

// Keep has begin called, which is to call Begin, whenever nothing comes any
// more, until ctx ends: the connection is another one, a message was lost, or the
// server is silent. failed is told why begin could not; it is tried again.
func (f *Follower) Keep(ctx context.Context, begin func(context.Context) error, failed func(error)) {
	status := f.nc.StatusChanged(nats.CONNECTED)
	defer f.nc.RemoveStatusListener(status)
	look := time.NewTicker(keepLook)
	defer look.Stop()
	for next := time.Now(); ; {
		select {
		case <-ctx.Done():
			return
		case <-status:
			f.Lose(errors.New("the connection is another one"))
		case <-look.C:
		}
		if f.State() == nil || !f.nc.IsConnected() || time.Now().Before(next) {
			continue
		}
		next = time.Now().Add(keepRetry)
		if err := begin(ctx); err != nil && ctx.Err() == nil {
			failed(err)
		}
	}
}
