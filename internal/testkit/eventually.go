package testkit

import (
	"context"
	"testing"
	"time"
)

// Patience is far beyond what anything takes, on a machine that does ten things
// beside, and short enough to name what hangs before the test binary's own
// timeout does.
const Patience = time.Minute

// Eventually waits until the condition holds, and fails the test when it does
// not: what says what was waited for.
func Eventually(t testing.TB, what string, condition func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), Patience)
	defer cancel()
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for !condition() {
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatalf("%s: not after %v", what, Patience)
		}
	}
}

// Receive is the next value of a channel, and fails the test when none comes.
func Receive[T any](t testing.TB, what string, c <-chan T) T {
	t.Helper()
	timer := time.NewTimer(Patience)
	defer timer.Stop()
	select {
	case v := <-c:
		return v
	case <-timer.C:
		t.Fatalf("%s: not after %v", what, Patience)
		panic("unreachable")
	}
}
