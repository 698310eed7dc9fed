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

// take waits for a turn. Its error is ctx's cause.
func (t *turns) take(ctx context.Context, weight int64) error {
	if ctx.Err() == nil && t.sem.TryAcquire(weight) {
		return nil // only who waits asks for the end of ctx
	}
	if err := t.sem.Acquire(ctx, weight); err != nil {
		return context.Cause(ctx)
	}
	return nil
}

// turn is one delivery's right to run. It satisfies voip.Turn; it is used by
// one goroutine at a time.
type turn struct {
	turns  *turns
	weight int64
	held   bool
	waits  bool // for its next attempt
	waited bool // at least once
	of     *delivery
	// began and paused bracket a suspect's time alone; nil for others.
	began  func(context.Context) error
	paused func(voip.Progress)
}

// Resume waits until the push may run. A suspect's record says so first.
func (t *turn) Resume(ctx context.Context) error {
	if t.held {
		return nil
	}
	if err := t.turns.take(ctx, t.weight); err != nil {
		return err
	}
	t.held = true
	t.wait(false)
	if t.began == nil {
		return nil
	}
	return t.began(ctx)
}

// Check is asked right before each attempt, which runs in the context that
// outlives a cancel and a stop.
func (t *turn) Check(ctx context.Context) (context.Context, error) {
	if err := context.Cause(ctx); err != nil {
		return nil, err
	}
	if err := t.of.alive(); err != nil {
		return nil, err
	}
	return t.of.hard, nil
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
