package consumer

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/voip-push/worker/internal/voip"
)

// cancelLife is how long a cancel counts: as long as the stream keeps it.
const cancelLife = 10 * time.Minute

// cancels knows which calls were cancelled in the last ten minutes, and ends
// those that are in this worker's hands.
type cancels struct {
	log *slog.Logger
	now func() time.Time // the broker's time, which cancels are stamped with

	mu      sync.Mutex
	known   map[string]time.Time // callId → when it was cancelled
	order   []cancelled          // the same in the order of arrival, to forget by
	watched map[string][]*delivery
}

type cancelled struct {
	callID string
	at     time.Time
}

func newCancels(log *slog.Logger) *cancels {
	return &cancels{log: log, now: time.Now, known: map[string]time.Time{}, watched: map[string][]*delivery{}}
}

// watch ends a delivery when its call is cancelled, at once when it is already.
// first is the delivery of the same call that came before it and is still in
// this worker's hands; nil: there is none.
func (c *cancels) watch(d *delivery) (first *delivery) {
	id := d.envelope.CallID
	if id == "" {
		return nil
	}
	c.mu.Lock()
	at, known := c.known[id]
	others := c.watched[id]
	if len(others) > 0 {
		first = others[len(others)-1]
	}
	c.watched[id] = append(others, d)
	c.mu.Unlock()
	if known && c.now().Sub(at) < cancelLife {
		d.cancel(voip.ErrCancelled)
	}
	return first
}

func (c *cancels) unwatch(d *delivery) {
	id := d.envelope.CallID
	if id == "" {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	rest := c.watched[id]
	for i := range rest {
		if rest[i] == d {
			rest = append(rest[:i], rest[i+1:]...)
			break
		}
	}
	if len(rest) == 0 {
		delete(c.watched, id)
		return
	}
	c.watched[id] = rest
}

// add notes a cancel and forgets those that are older than they may count.
func (c *cancels) add(id string, at time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.known[id] = at
	c.order = append(c.order, cancelled{id, at})
	for len(c.order) > 0 && at.Sub(c.order[0].at) > cancelLife {
		if old := c.order[0]; c.known[old.callID].Equal(old.at) {
			delete(c.known, old.callID)
		}
		c.order = c.order[1:]
	}
	for _, d := range c.watched[id] {
		d.cancel(voip.ErrCancelled)
	}
}

// follower reads the stream of cancels into c, and begins again when the
// stream is another one than it was.
type follower struct {
	*cancels
	js    jetstream.JetStream
	clock *clock

	created time.Time // of the stream that is followed
	stop    func()
}

// Figures of the following. nats.go asks for a consumer's info for as long as
// the context lives, also when the question was lost with a connection.
const (
	followRetry   = 500 * time.Millisecond
	followTimeout = 3 * time.Second
)

// follow reads the stream from its beginning, and returns once all that it
// holds has been read. Until it can be read it is tried again, and failed is
// told why. Its error is ctx's cause.
func (f *follower) follow(ctx context.Context, failed func(error)) error {
	for {
		err := f.begin(ctx)
		if err == nil {
			return nil
		}
		if cause := context.Cause(ctx); cause != nil {
			return cause
		}
		failed(err)
		t := time.NewTimer(followRetry)
		select {
		case <-t.C:
		case <-ctx.Done():
			t.Stop()
		}
	}
}

// look sees whether the stream is still the one that is followed. One that was
// deleted and made again, or came back empty, is read from its beginning: the
// consumer that follows would wait behind its end for good.
func (f *follower) look(ctx context.Context) error {
	ask, cancel := context.WithTimeout(ctx, followTimeout)
	defer cancel()
	began := time.Now()
	stream, err := f.js.Stream(ask, voip.StreamCancel)
	if err != nil {
		return fmt.Errorf("look at stream %s: %w", voip.StreamCancel, err)
	}
	f.clock.read(began, stream.CachedInfo().TimeStamp)
	if stream.CachedInfo().Created.Equal(f.created) {
		return nil
	}
	f.end()
	return f.begin(ctx)
}

func (f *follower) end() {
	if f.stop != nil {
		f.stop()
		f.stop = nil
	}
}

func (f *follower) begin(ctx context.Context) error {
	ask, cancel := context.WithTimeout(ctx, followTimeout)
	defer cancel()
	began := time.Now()
	stream, err := f.js.Stream(ask, voip.StreamCancel)
	if err != nil {
		return fmt.Errorf("read the cancels of stream %s: %w", voip.StreamCancel, err)
	}
	f.clock.read(began, stream.CachedInfo().TimeStamp)
	ordered, err := f.js.OrderedConsumer(ask, voip.StreamCancel, jetstream.OrderedConsumerConfig{DeliverPolicy: jetstream.DeliverAllPolicy})
	if err != nil {
		return fmt.Errorf("read the cancels of stream %s: %w", voip.StreamCancel, err)
	}
	info, err := ordered.Info(ask)
	if err != nil {
		return fmt.Errorf("read the cancels of stream %s: %w", voip.StreamCancel, err)
	}
	read := make(chan struct{})
	once := sync.OnceFunc(func() { close(read) })
	if info.NumPending == 0 {
		once()
	}
	consuming, err := ordered.Consume(func(msg jetstream.Msg) {
		meta, err := msg.Metadata()
		if err != nil {
			return // no message of the stream
		}
		f.take(ctx, msg.Data(), meta.Timestamp)
		if meta.NumPending == 0 {
			once()
		}
	}, jetstream.ConsumeErrHandler(func(_ jetstream.ConsumeContext, err error) {
		f.log.DebugContext(ctx, "following the cancels", "error", err)
	}))
	if err != nil {
		return fmt.Errorf("read the cancels of stream %s: %w", voip.StreamCancel, err)
	}
	select {
	case <-read:
		f.created, f.stop = stream.CachedInfo().Created, consuming.Stop
		return nil
	case <-ask.Done(): // those that were there may have aged out meanwhile
		consuming.Stop()
		return fmt.Errorf("read the cancels of stream %s: %w", voip.StreamCancel, context.Cause(ask))
	}
}

func (c *cancels) take(ctx context.Context, body []byte, at time.Time) {
	id, err := voip.DecodeCancel(body)
	if err != nil {
		c.log.WarnContext(ctx, "a cancel is ignored", "error", err)
		return
	}
	c.add(id, at)
}
