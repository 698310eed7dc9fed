package voip_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/voip-push/worker/internal/voip"
)

var errLate = errors.New("too late")

// Every way to look at the context sees what context.WithDeadlineCause shows.
func TestWithDeadline(t *testing.T) {
	t.Parallel()
	type key struct{}
	errGone := errors.New("gone")
	ways := map[string]func(context.Context) error{
		"waiting":            func(ctx context.Context) error { <-ctx.Done(); return context.Cause(ctx) },
		"its error":          func(ctx context.Context) error { time.Sleep(time.Minute); _ = ctx.Err(); return context.Cause(ctx) },
		"its cause":          func(ctx context.Context) error { time.Sleep(time.Minute); return context.Cause(ctx) },
		"a child":            func(ctx context.Context) error { return through(ctx, 1) },
		"a child's child":    func(ctx context.Context) error { return through(ctx, 2) },
		"what runs after it": after,
	}
	ends := map[string]struct {
		at    time.Duration
		cause error
	}{
		"the deadline":        {2 * time.Second, errLate},
		"the parent":          {time.Second, errGone},
		"the cancel":          {time.Second / 2, context.Canceled},
		"before it began":     {0, errGone},
		"a deadline long ago": {-time.Second, errLate},
	}
	for name, way := range ways {
		for end, tt := range ends {
			t.Run(name+", "+end, func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) {
					parent, endParent := context.WithCancelCause(context.WithValue(t.Context(), key{}, "kept"))
					defer endParent(nil)
					deadline := time.Now().Add(2 * time.Second)
					if tt.at < 0 {
						deadline = time.Now().Add(tt.at)
					}
					ctx, cancel := voip.WithDeadline(parent, deadline, errLate)
					defer cancel()
					if at, ok := ctx.Deadline(); !ok || !at.Equal(deadline) || ctx.Value(key{}) != "kept" {
						t.Errorf("deadline %v, value %v", at, ctx.Value(key{}))
					}
					began := time.Now()
					switch {
					case tt.at == 0:
						endParent(errGone)
					case errors.Is(tt.cause, errGone):
						time.AfterFunc(tt.at, func() { endParent(errGone) })
					case errors.Is(tt.cause, context.Canceled):
						time.AfterFunc(tt.at, cancel)
					}
					if tt.at > 0 && ctx.Err() != nil {
						t.Errorf("ended before its time: %v", ctx.Err())
					}
					if got := way(ctx); !errors.Is(got, tt.cause) {
						t.Errorf("cause %v, want %v", got, tt.cause)
					}
					if took := time.Since(began); took != max(tt.at, 0) && took != time.Minute {
						t.Errorf("ended after %v, want %v", took, tt.at)
					}
					if ctx.Err() == nil {
						t.Error("it has no error")
					}
				})
			})
		}
	}
}

// through waits for the end of a context's descendant.
func through(ctx context.Context, generations int) error {
	if generations == 0 {
		<-ctx.Done()
		return context.Cause(ctx)
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	return through(ctx, generations-1)
}

func after(ctx context.Context) error {
	done := make(chan struct{})
	context.AfterFunc(ctx, func() { close(done) })
	<-done
	return context.Cause(ctx)
}

// A parent that ends earlier sets the deadline.
func TestWithDeadlineOfTheParent(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		parent, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		ctx, cancel := voip.WithDeadline(parent, time.Now().Add(time.Minute), errLate)
		defer cancel()
		began := time.Now()
		at, _ := ctx.Deadline()
		<-ctx.Done()
		if took := time.Since(began); took != time.Second || at.Sub(began) != time.Second || !errors.Is(ctx.Err(), context.DeadlineExceeded) {
			t.Errorf("ended after %v, deadline after %v, %v", took, at.Sub(began), ctx.Err())
		}
	})
}

// Nobody waits, and nothing is set up: the context is its only allocation.
func TestWithDeadlineAllocates(t *testing.T) {
	parent, cancelParent := context.WithCancel(t.Context())
	defer cancelParent()
	at := time.Now().Add(time.Hour)
	if n := testing.AllocsPerRun(100, func() {
		ctx, cancel := voip.WithDeadline(parent, at, errLate)
		if ctx.Err() != nil {
			t.Error(ctx.Err())
		}
		cancel()
	}); n > 2 {
		t.Errorf("%v allocations, want the context and its cancel", n)
	}
}
