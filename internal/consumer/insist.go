package consumer

import (
	"context"
	"errors"
	"time"

	"github.com/cenkalti/backoff/v4"
)

// final is an error that is not worth another try.
type final struct{ error }

func (f final) Unwrap() error { return f.error }

// insist repeats what failed because the broker is away, until ctx ends.
// errTaken is final too.
func insist(ctx context.Context, try func() error, failed func(error)) error {
	var wait *backoff.ExponentialBackOff // made when it is needed: most tries succeed
	for {
		err := try()
		if err == nil || errors.Is(err, errTaken) {
			return err
		}
		if f, ok := errors.AsType[final](err); ok {
			return f.error
		}
		if cause := context.Cause(ctx); cause != nil {
			return cause
		}
		failed(err)
		if wait == nil {
			wait = backoff.NewExponentialBackOff(backoff.WithInitialInterval(insistInitial),
				backoff.WithMaxInterval(insistMax), backoff.WithMaxElapsedTime(0))
		}
		t := time.NewTimer(wait.NextBackOff())
		select {
		case <-t.C:
		case <-ctx.Done():
			t.Stop()
			return context.Cause(ctx)
		}
	}
}

const (
	insistInitial = 50 * time.Millisecond
	insistMax     = time.Second
)
