package consumer

import (
	"context"
	"time"

	"github.com/voip-push/worker/internal/voip"
)

// Connector is the connection step: a call is connected first, and reported
// only when that succeeded.
type Connector interface {
	// Connect asks until the answer is yes, or known to be no. at is how far
	// earlier deliveries have come, and is kept up to date.
	Connect(ctx context.Context, push *voip.Push, redrives int, expires time.Time, at *voip.Connection) error
}

// connecting is a connection step under way; nil: there is none.
type connecting struct {
	at    voip.Connection
	ended chan error
}

// connect begins the connection step, when there is one and the call was not
// connected by an earlier delivery.
func (h *Handler) connect(ctx context.Context, in *Input, push *voip.Push, expires time.Time) *connecting {
	if h.Connector == nil || in.Past.Connection.Done {
		return nil
	}
	c := &connecting{at: in.Past.Connection, ended: make(chan error, 1)}
	redrives := in.Redrive.Count
	go func() {
		err := errPanic
		defer func() {
			if p := recover(); p != nil {
				h.panicked(ctx, voip.StageConnect, p)
			}
			c.ended <- err
		}()
		began := time.Now()
		err = h.Connector.Connect(ctx, push, redrives, expires, &c.at)
		h.Recorder.Stage(stageConnect, time.Since(began))
	}()
	return c
}

// end waits for the end of the step, and takes what is known of it then.
func (c *connecting) end(past *voip.Progress) error {
	if c == nil {
		return nil
	}
	err := <-c.ended
	past.Connection = c.at
	return err
}
