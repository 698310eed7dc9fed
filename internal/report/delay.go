package report

import (
	"context"
	"time"

	"github.com/cenkalti/backoff/v4"

	"github.com/voip-push/worker/internal/voip"
)

// pass lets d go by; its error is ctx's cause, at once when ctx ends.
func pass(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// limit puts the time of one attempt that begins now on its context: timeout, or
// what is left of the call's life. work itself may know no deadline.
func limit(ctx, work context.Context, now time.Time, timeout time.Duration) (context.Context, context.CancelFunc) {
	end := now.Add(timeout)
	if deadline, ok := ctx.Deadline(); ok && deadline.Before(end) {
		end = deadline
	}
	return voip.WithDeadline(work, end, nil)
}

// tooLate says that an attempt at a time would not be before ctx's deadline.
func tooLate(ctx context.Context, at time.Time) bool {
	deadline, ok := ctx.Deadline()
	return ok && !at.Before(deadline)
}

// Jitter spreads the retries of calls that failed together: each wait is half
// to one and a half times its interval, which doubles from wait to wait.
const (
	jitter     = 0.5
	multiplier = 2
)

// delays are the waits between a call's attempts.
type delays struct {
	backoff *backoff.ExponentialBackOff
	max     time.Duration
}

func newDelays(cfg Config) *delays {
	b := backoff.NewExponentialBackOff(
		backoff.WithInitialInterval(cfg.BackoffInitial),
		// With jitter the longest wait is BackoffMax, and still no two are alike.
		backoff.WithMaxInterval(max(cfg.BackoffInitial, time.Duration(float64(cfg.BackoffMax)/(1+jitter)))),
		backoff.WithMultiplier(multiplier),
		backoff.WithRandomizationFactor(jitter),
		backoff.WithMaxElapsedTime(0), // the call's deadline ends it
	)
	return &delays{backoff: b, max: cfg.BackoffMax}
}

// next is the next wait, and must be asked for once for each: asking moves the
// backoff on. What the far side asked for counts when it is longer.
func (d *delays) next(retryAfter time.Duration) time.Duration {
	return max(min(d.backoff.NextBackOff(), d.max), retryAfter)
}
