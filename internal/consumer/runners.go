package consumer

import "sync"

// idleRunners is how many goroutines are kept for the next work.
const idleRunners = 64

// runners run work in goroutines, as many as have something to wait for. While
// work is queued one of them is always starting, and starts another one if it
// leaves some behind: work that blocks holds nothing up, and work that does not
// is done by a few, without a switch between two of it. One that has run has the
// stack that a push needs, which a new one has to grow; the one that became idle
// last is taken first.
type runners[T any] struct {
	do func(T)

	mu       sync.Mutex
	queue    []T // from head on
	head     int
	idle     []chan struct{} // each with room for one
	starting bool
	closed   bool
}

func newRunners[T any](do func(T)) *runners[T] { return &runners[T]{do: do} }

// run has the work done and does not block.
func (r *runners[T]) run(work T) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.queue) == cap(r.queue) && r.head > 0 { // what is done makes room
		n := copy(r.queue, r.queue[r.head:])
		clear(r.queue[n:])
		r.queue, r.head = r.queue[:n], 0
	}
	r.queue = append(r.queue, work)
	r.start()
}

// start wakes a goroutine, or makes one, unless one is starting. mu is held.
func (r *runners[T]) start() {
	if r.starting {
		return
	}
	r.starting = true
	if last := len(r.idle) - 1; last >= 0 {
		r.idle[last] <- struct{}{}
		r.idle = r.idle[:last]
		return
	}
	go r.loop()
}

// close ends the goroutines that are idle, and from now on those that become so.
func (r *runners[T]) close() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.closed = true
	for _, wake := range r.idle {
		close(wake)
	}
	r.idle = nil
}

func (r *runners[T]) loop() {
	wake := make(chan struct{}, 1)
	for work, ok := r.next(wake, true); ok; work, ok = r.next(wake, false) {
		r.do(work)
	}
}

// next is the next work. A goroutine that is to be kept waits for it, the others
// end. started says that this one was the one that is starting.
func (r *runners[T]) next(wake chan struct{}, started bool) (work T, ok bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for {
		if started {
			r.starting = false
		}
		if r.head < len(r.queue) {
			return r.pop(), true
		}
		if r.closed || len(r.idle) == idleRunners {
			return work, false
		}
		r.idle = append(r.idle, wake)
		r.mu.Unlock()
		_, started = <-wake
		r.mu.Lock()
		if !started {
			return work, false
		}
	}
}

// pop takes the oldest work and leaves the rest to another goroutine. mu is held.
func (r *runners[T]) pop() T {
	var none T
	work := r.queue[r.head]
	r.queue[r.head] = none
	if r.head++; r.head < len(r.queue) {
		r.start()
	} else {
		r.queue, r.head = r.queue[:0], 0
	}
	return work
}
