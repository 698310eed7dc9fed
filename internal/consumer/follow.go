package consumer

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/voip-push/worker/internal/stream"
	"github.com/voip-push/worker/internal/voip"
)

// follower reads the stream of cancels, from its beginning and then on.
type follower struct {
	cancels *cancels
	js      jetstream.JetStream
	clock   *clock
	reader  *stream.Follower
}

// Figures of the following.
const (
	followRetry   = 500 * time.Millisecond
	followTimeout = 3 * time.Second
	followLook    = 250 * time.Millisecond
)

func newFollower(ctx context.Context, c *Consumer) *follower {
	f := &follower{cancels: c.cancels, js: c.js, clock: &c.clock}
	f.reader = stream.NewFollower(c.nc, stream.Reading{Stream: voip.StreamCancel}, func(msg *nats.Msg, meta *nats.MsgMetadata) {
		f.cancels.take(ctx, msg.Data, meta.Timestamp)
	}, c.log)
	return f
}

// follow returns once all that the stream holds has been read. While it cannot
// be read it is tried again, and failed is told why; looked is called again and
// again. Its error is ctx's cause.
func (f *follower) follow(ctx context.Context, looked func(), failed func(error)) error {
	for {
		err := f.readAll(ctx, looked)
		if err == nil {
			return nil
		}
		if cause := context.Cause(ctx); cause != nil {
			return cause
		}
		failed(err)
		pause(ctx, followRetry)
	}
}

// readAll reads all that there is, however long it takes, as long as it goes on.
func (f *follower) readAll(ctx context.Context, looked func()) error {
	if err := f.begin(ctx); err != nil {
		return err
	}
	look := time.NewTicker(followLook)
	defer look.Stop()
	last, moved := f.reader.Last(), time.Now()
	for {
		select {
		case <-f.reader.Read():
			return nil
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-look.C:
		}
		looked()
		if now := f.reader.Last(); now != last {
			last, moved = now, time.Now()
		}
		err := f.reader.State()
		if err == nil && time.Since(moved) > followTimeout { // those that were there may have aged out meanwhile
			err = errors.New("no cancel came for too long")
		}
		if err != nil {
			return fmt.Errorf("read the cancels of stream %s: %w", voip.StreamCancel, err)
		}
	}
}

// keep goes on with the following until ctx ends.
func (f *follower) keep(ctx context.Context) {
	defer f.reader.End()
	f.reader.Keep(ctx, f.begin, func(err error) {
		f.cancels.log.WarnContext(ctx, "the cancels cannot be followed, trying again", "error", err)
	})
}

// look sees whether the stream is still the one that is followed. One that was
// deleted and made again, or came back empty, is read from its beginning: the
// consumer that follows would wait behind its end for good.
func (f *follower) look(ctx context.Context) error {
	ask, cancel := context.WithTimeout(ctx, followTimeout)
	defer cancel()
	cancels, err := f.stream(ask)
	if err != nil {
		return err
	}
	if !cancels.CachedInfo().Created.Equal(f.reader.Created()) {
		f.reader.Lose(errors.New("the stream is another one"))
	}
	return nil
}

func (f *follower) begin(ctx context.Context) error {
	ask, cancel := context.WithTimeout(ctx, followTimeout)
	defer cancel()
	cancels, err := f.stream(ask)
	if err != nil {
		return err
	}
	return f.reader.Begin(ask, cancels)
}

// stream looks the stream up, and at its server's clock.
func (f *follower) stream(ctx context.Context) (jetstream.Stream, error) {
	began := time.Now()
	cancels, err := f.js.Stream(ctx, voip.StreamCancel)
	if err != nil {
		return nil, fmt.Errorf("look at stream %s: %w", voip.StreamCancel, err)
	}
	f.clock.read(began, cancels.CachedInfo().TimeStamp)
	return cancels, nil
}

func pause(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}
