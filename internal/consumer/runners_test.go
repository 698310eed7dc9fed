package consumer

import (
	"sync"
	"testing"
	"testing/synctest"
)

// A queue that is never empty takes no more room than what is in it.
func TestRunnersQueue(t *testing.T) {
	t.Parallel()
	r := newRunners(func(int) {})
	r.starting = true // nobody takes anything but this test
	want := 0
	for n := range 10_000 {
		r.run(n)
		if n < 10 {
			continue
		}
		r.mu.Lock()
		if got := r.pop(); got != want {
			t.Fatalf("got %d, want %d", got, want)
		}
		r.mu.Unlock()
		want++
	}
	if c := cap(r.queue); c > 64 {
		t.Errorf("room for %d, with 10 in it", c)
	}
}

func TestRunners(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const works = 3 * idleRunners
		var mu sync.Mutex
		seen := map[int]int{}
		gate := make(chan struct{})
		r := newRunners(func(n int) {
			<-gate
			mu.Lock()
			defer mu.Unlock()
			seen[n]++
		})
		idle := func() int {
			synctest.Wait()
			r.mu.Lock()
			defer r.mu.Unlock()
			return len(r.idle)
		}
		for n := range works { // all at once: as many goroutines
			r.run(n)
		}
		if n := idle(); n != 0 {
			t.Errorf("%d are idle while all is held up", n)
		}
		close(gate)
		if n := idle(); n != idleRunners {
			t.Errorf("%d are idle afterwards, want %d", n, idleRunners)
		}
		for n := range works { // one after another: by one that is kept
			r.run(works + n)
			if n := idle(); n != idleRunners {
				t.Fatalf("%d are idle, want %d", n, idleRunners)
			}
		}
		r.close()
		if n := idle(); n != 0 {
			t.Errorf("%d are idle after the end", n)
		}
		r.run(2 * works) // what comes late is done all the same, and nobody stays
		if n := idle(); n != 0 {
			t.Errorf("%d stay after the end", n)
		}
		for n := range 2*works + 1 {
			if seen[n] != 1 {
				t.Errorf("work %d was done %d times", n, seen[n])
			}
		}
	})
}
