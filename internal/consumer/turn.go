package consumer

import (
	"context"
	"math"
	"sync/atomic"

	"golang.org/x/sync/semaphore"

	"github.com/voip-push/worker/internal/voip"
)

// whole is the weight of a suspect's turn: all of it.
const whole = math.MaxInt64

// turns is who may run. Pushes share it, a suspect takes it whole, so that
// what kills a worker kills only itself. First come, first served: a suspect
// waits for those that run, and those behind it wait for the suspect.
type turns struct {
	sem     *semaphore.Weighted
	waiting atomic.Int64 // pushes that wait for their next attempt
}

func newTurns() *turns { return &turns{sem: semaphore.NewWeighted(whole)} }

// turn is one delivery's right to run. It satisfies voip.Turn; it is used by
// one goroutine at a time.
type turn struct {
	turns  *turns
	weight int64
	held   bool
	waits  bool // for its next attempt
	waited bool // at least once
	// attempt is the context that attempts run in.
	attempt context.Context //nolint:containedctx // handed out by Check, as voip.Turn asks
	check   func() error
	// began and paused bracket a suspect's time alone; nil for others.
	began  func(context.Context) error
	paused func(voip.Progress)
}

// Resume waits until the push may run. A suspect's record says so first.
func (t *turn) Resume(ctx context.Context) error {
	if t.held {
		return nil
	}
	if err := t.turns.sem.Acquire(ctx, t.weight); err != nil {
		return context.Cause(ctx)
	}
	t.held = true
	t.wait(false)
	if t.began == nil {
		return nil
	}
	return t.began(ctx)
}

// Check is asked right before each attempt.
func (t *turn) Check(ctx context.Context) (context.Context, error) {
	if err := context.Cause(ctx); err != nil {
		return nil, err
	}
	if err := t.check(); err != nil {
		return nil, err
	}
	return t.attempt, nil
}

// Pause hands the turn on while the call waits for its next attempt.
func (t *turn) Pause(p voip.Progress) {
	if t.held && t.paused != nil {
		t.paused(p)
	}
	t.release()
	t.wait(true)
}

// release ends the turn, and the wait for the next one.
func (t *turn) release() {
	if t.held {
		t.held = false
		t.turns.sem.Release(t.weight)
	}
	t.wait(false)
}

func (t *turn) wait(waits bool) {
	switch {
	case waits && !t.waits:
		t.turns.waiting.Add(1)
		t.waited = true
	case !waits && t.waits:
		t.turns.waiting.Add(-1)
	}
	t.waits = waits
}
