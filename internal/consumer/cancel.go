package consumer

import (
	"context"
	"log/slog"
	"sync"
	"time"

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

func (c *cancels) take(ctx context.Context, body []byte, at time.Time) {
	id, err := voip.DecodeCancel(body)
	if err != nil {
		c.log.WarnContext(ctx, "a cancel is ignored", "error", err)
		return
	}
	c.add(id, at)
}
