// Package notifier publishes what became of a call: its result, and its dead
// letter when it failed. Every publish carries a deterministic message id and
// is repeated until the broker has stored it, so that an outcome is neither
// lost nor stored twice, whatever happens to the connection in between.
package notifier

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/cenkalti/backoff/v4"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// Repeats of a publish that was not stored.
const (
	repeatInitial = 50 * time.Millisecond
	repeatMax     = 2 * time.Second
)

// Publisher sends a message and waits for the stream's ack. A
// *jetstream.APIError is the server's refusal; after other errors the message
// may be stored all the same.
type Publisher interface {
	PublishMsg(ctx context.Context, msg *nats.Msg) (jetstream.PubAck, error)
	// PublishThen is PublishMsg without the waiting, and keeps nothing of msg: it
	// may be written anew once PublishThen has returned.
	PublishThen(msg *nats.Msg, then func(jetstream.PubAck, error))
}

// Notifier publishes results and dead letters. It is safe for concurrent use.
// The may of its methods is asked before each publish: an error says that this
// worker must no longer speak for the push (its lease is lost), and ends the
// repeating.
type Notifier struct {
	js  Publisher
	log *slog.Logger
}

// New returns a notifier that publishes through js.
func New(js Publisher, log *slog.Logger) *Notifier { return &Notifier{js: js, log: log} }

// store publishes until the message is stored; failed is why an earlier try of
// it failed, nil: there was none. again says that it was stored before this
// began: its id was known, and no earlier try here can have stored it. The error
// is may's, or ctx's cause joined with why the last publish failed. A message
// that is too large for the server is given to shrink once (nil: there is
// nothing to leave out).
func (n *Notifier) store(ctx context.Context, may func() error, msg *nats.Msg, shrink func(*nats.Msg) *nats.Msg, failed error) (again bool, err error) {
	wait := newBackOff()
	var last error
	maybe := false // a try whose outcome is unknown
	for {
		switch {
		case failed == nil:
		case ctx.Err() != nil:
			return false, unstored(ctx, msg, failed)
		case shrink != nil && tooLarge(failed):
			msg, shrink = shrink(msg), nil
		default:
			maybe = maybe || !refused(failed)
			if last == nil || failed.Error() != last.Error() {
				n.log.WarnContext(ctx, "cannot store the outcome, trying again", "subject", msg.Subject, "error", failed)
			}
			last = failed
			sleep(ctx, wait.NextBackOff())
		}
		if err := may(); err != nil {
			return false, err
		}
		if ctx.Err() != nil {
			return false, unstored(ctx, msg, failed)
		}
		var ack jetstream.PubAck
		if ack, failed = n.js.PublishMsg(ctx, msg); failed == nil {
			if last != nil {
				n.log.InfoContext(ctx, "the outcome is stored after all", "subject", msg.Subject)
			}
			return ack.Duplicate && !maybe, nil
		}
	}
}

// unstored is the end of the repeating because ctx ended.
func unstored(ctx context.Context, msg *nats.Msg, failed error) error {
	id := msg.Header.Get(jetstream.MsgIDHeader)
	if failed == nil {
		return fmt.Errorf("%s is not stored: %w", id, context.Cause(ctx))
	}
	return fmt.Errorf("%s is not stored: %w (%w)", id, context.Cause(ctx), failed)
}

// refused says that the message is certainly not stored: the server answered
// with an error, or it never left.
func refused(err error) bool {
	_, answered := errors.AsType[*jetstream.APIError](err)
	return answered || errors.Is(err, nats.ErrReconnectBufExceeded) || errors.Is(err, nats.ErrMaxPayload) ||
		errors.Is(err, jetstream.ErrNoStreamResponse)
}

func newBackOff() *backoff.ExponentialBackOff {
	return backoff.NewExponentialBackOff(backoff.WithInitialInterval(repeatInitial),
		backoff.WithMaxInterval(repeatMax), backoff.WithMaxElapsedTime(0))
}

func tooLarge(err error) bool {
	return errors.Is(err, nats.ErrMaxPayload) || errors.Is(err, jetstream.ErrStreamMessageExceedsMaximum)
}

func sleep(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}
