package consumer

import "sync"

// idleRunners is how many goroutines are kept for the next work.
const idleRunners = 64

// runners run work in goroutines that are kept: one that has run has the stack
// that a push needs, which a new one has to grow. The one that became idle last
// is taken first, while its stack is still in the processor's cache.
type runners[T any] struct {
	do func(T)

	mu     sync.Mutex
	idle   []chan T // each with room for one
	closed bool
}

func newRunners[T any](do func(T)) *runners[T] { return &runners[T]{do: do} }

// run begins the work in a goroutine and does not block.
func (r *runners[T]) run(work T) {
	r.mu.Lock()
	last := len(r.idle) - 1
	if last < 0 {
		r.mu.Unlock()
		go r.loop(work)
		return
	}
	next := r.idle[last]
	r.idle = r.idle[:last]
	r.mu.Unlock()
	next <- work
}

// close ends the goroutines that are idle, and from now on those that become so.
func (r *runners[T]) close() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.closed = true
	for _, next := range r.idle {
		close(next)
	}
	r.idle = nil
}

func (r *runners[T]) loop(work T) {
	next := make(chan T, 1)
	for more := true; more; work, more = <-next {
		r.do(work)
		if !r.park(next) {
			return
		}
	}
}

// park makes a goroutine idle, unless there are enough.
func (r *runners[T]) park(next chan T) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed || len(r.idle) == idleRunners {
		return false
	}
	r.idle = append(r.idle, next)
	return true
}
