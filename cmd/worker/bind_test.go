package main

import (
	"testing"
	"time"
)

// What is waited for is said at once, again in growing steps, and at once when
// it is something else.
func TestSaid(t *testing.T) {
	t.Parallel()
	var s said
	start := time.Now()
	var at []time.Duration
	for d := time.Duration(0); d <= 5*time.Minute; d += bindRetry {
		if s.due("nobody there", start.Add(d)) {
			at = append(at, d)
		}
	}
	want := []time.Duration{0, 2 * time.Second, 6 * time.Second, 14 * time.Second, 30 * time.Second, 62 * time.Second, 122 * time.Second}
	if len(at) < len(want) {
		t.Fatalf("said at %v, want %v and on", at, want)
	}
	for i := range want {
		if at[i] != want[i] {
			t.Fatalf("said at %v, want %v and on", at, want)
		}
	}
	if last := at[len(at)-1] - at[len(at)-2]; last != sayMax {
		t.Errorf("the steps grow to %v, want %v", last, sayMax)
	}
	if !s.due("something else", start) {
		t.Error("something else is not said at once")
	}
}
