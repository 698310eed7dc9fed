package broker

import (
	"errors"
	"testing"
	"time"
)

func TestOutage(t *testing.T) {
	refused, unauthorized := errors.New("refused"), errors.New("unauthorized")
	var o outage
	start := time.Now()
	var shown []time.Duration
	for at := time.Duration(0); at <= 5*time.Minute; at += time.Second / 2 {
		if o.worthALine(start.Add(at), refused) {
			shown = append(shown, at/time.Second)
		}
	}
	want := []time.Duration{0, 1, 3, 7, 15, 31, 63, 123, 183, 243}
	if len(shown) != len(want) {
		t.Fatalf("lines after %d, want %d", shown, want)
	}
	for i := range want {
		if shown[i] != want[i] {
			t.Fatalf("lines after %d, want %d", shown, want)
		}
	}
	for _, err := range []error{unauthorized, refused} {
		if !o.worthALine(start, err) || o.worthALine(start, err) {
			t.Errorf("%v: another reason is worth one line", err)
		}
	}
}

func TestReconnectDelay(t *testing.T) {
	for attempts, longest := range map[int]time.Duration{0: 375, 1: 750, 2: 1500, 3: 3000, 4: 3000, 100: 3000, 1 << 40: 3000} {
		for range 200 {
			if d := reconnectDelay(attempts) / time.Millisecond; d > longest || d < longest/3 {
				t.Errorf("attempt %d: %v", attempts, d)
			}
		}
	}
}
