package voip

import (
	"context"
	"sync"
	"time"
)

// WithDeadline is context.WithDeadlineCause for the many contexts that nobody
// waits on: its timer is set, and its parent told of it, once somebody asks for
// Done. Whoever looks at Err, Value or context.Cause sees the end all the same.
func WithDeadline(parent context.Context, at time.Time, cause error) (context.Context, context.CancelFunc) {
	if earlier, ok := parent.Deadline(); ok && !at.Before(earlier) {
		return context.WithCancel(parent) // the parent ends first, with a cause of its own
	}
	d := &deadline{parent: parent, at: at, cause: cause}
	return d, d.end
}

type deadline struct {
	parent context.Context //nolint:containedctx // it is a context itself
	at     time.Time
	cause  error

	mu     sync.Mutex
	real   context.Context //nolint:containedctx // what context.WithDeadlineCause made; nil: nobody waits yet
	cancel context.CancelFunc
	ended  bool
}

func (d *deadline) Deadline() (time.Time, bool) { return d.at, true }

func (d *deadline) Done() <-chan struct{} {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.make().Done()
}

func (d *deadline) Err() error { return d.now().Err() }

// Value is also how the standard library finds the context that a child is
// bound to, and a cause.
func (d *deadline) Value(key any) any { return d.now().Value(key) }

// now is the real context where it makes a difference, else the parent.
func (d *deadline) now() context.Context {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.real == nil && (d.ended || !time.Now().Before(d.at)) {
		return d.make()
	}
	if d.real != nil {
		return d.real
	}
	return d.parent
}

// make returns the real context. mu is held.
func (d *deadline) make() context.Context {
	switch {
	case d.real != nil:
	case d.ended:
		d.real, d.cancel = context.WithCancel(d.parent)
		d.cancel()
	default:
		d.real, d.cancel = context.WithDeadlineCause(d.parent, d.at, d.cause)
	}
	return d.real
}

func (d *deadline) end() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.ended = true
	if d.cancel != nil {
		d.cancel()
	}
}
