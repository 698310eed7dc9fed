package report

import (
	"container/heap"
	"log/slog"
	"sync"
	"time"
)

// tripAfter failures in a row, of whatever calls, open the circuit. One
// answer in between shows that the bridge is there: a share of failures, be
// it large, is left to the calls' own retries, which get through. For the
// same reason a timeout counts only when nothing was answered in all the time
// that was waited: a burst of them may be devices that do not answer.
const tripAfter = 5

// verdict is what an attempt says of the bridge, whatever it means for its call.
type verdict int

const (
	learnedNothing verdict = iota // not made after all, or cut off by its call's own deadline
	itAnswered
	itFailed
)

// breaker holds the calls while the bridge cannot be reached or refuses the
// fleet, and asks with one of them at a time whether it is back.
//
// It is not sony/gobreaker, since that turns calls away where these must wait,
// and the rest follows: who waits is to be woken by the very change of state
// that it waits for, which takes one lock around both; gobreaker changes from
// open to half-open only when it is asked, at a fixed time, and tells of it
// under a lock of its own. What would remain of it is a counter.
type breaker struct {
	rec Recorder
	log *slog.Logger
	// widest is how many held calls are let go at once after the circuit has
	// closed: some of the slots are always left to fresh calls.
	widest int

	mu       sync.Mutex
	open     bool
	since    time.Time // when it opened
	epoch    uint64    // grows with every change: an attempt of an earlier one says nothing of now
	failures int       // in a row
	answered time.Time // the last answer to anybody
	held     holds

	pause   time.Duration // between the last probe and the next
	probeAt time.Time
	probing bool
	probes  uint64 // made so far
	entries uint64 // calls held so far
	timer   *time.Timer

	window, loose int // how many held calls may be, and are, under way
}

func newBreaker(concurrency int, rec Recorder, log *slog.Logger) *breaker {
	return &breaker{rec: rec, log: log, widest: max(1, concurrency/2)}
}

// permit is the right to make one attempt, given back with done. Those of an
// epoch in which the circuit is open are the probes, one at a time.
type permit struct {
	epoch    uint64
	released bool // it was held, and let go when the circuit closed
}

// enter gives a permit at once while the circuit is closed: fresh calls are never
// behind those that were held. Else the hold is waited on.
func (b *breaker) enter(deadline time.Time, tried int) (permit, *hold) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.open {
		return permit{epoch: b.epoch}, nil
	}
	b.entries++
	h := &hold{deadline: deadline, tried: tried, permit: make(chan permit, 1), entered: b.entries}
	heap.Push(&b.held, h)
	b.wake()
	return permit{}, h
}

// leave takes back a hold whose call has ended, and a permit that it was given
// meanwhile.
func (b *breaker) leave(h *hold) {
	b.mu.Lock()
	if h.index >= 0 {
		heap.Remove(&b.held, h.index)
	}
	b.mu.Unlock()
	select {
	case p := <-h.permit:
		b.done(p, learnedNothing, nil)
	default:
	}
}

// valid is asked right before the attempt: the circuit may have changed since
// the permit was given, while the call waited for a slot.
func (b *breaker) valid(p permit) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return p.epoch == b.epoch
}

// isOpen says whether the next attempt will be held.
func (b *breaker) isOpen() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.open
}

// done takes a permit back, with what its attempt said of the bridge.
func (b *breaker) done(p permit, v verdict, out *outcome) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if v == itAnswered {
		b.answered = time.Now()
	}
	switch {
	case p.epoch != b.epoch:
		if v == itAnswered && b.open { // an answer to an older attempt: ask now
			b.probeAt = time.Now()
		}
	case b.open:
		b.probed(v, out)
	default:
		b.counted(p, v, out)
	}
	b.wake()
}

func (b *breaker) counted(p permit, v verdict, out *outcome) {
	if p.released {
		b.loose--
	}
	switch v {
	case itAnswered:
		b.failures = 0
		if p.released {
			b.window = min(b.window+1, b.widest) // doubles with every round
		}
	case itFailed:
		if b.answered.After(out.began) {
			return
		}
		if b.failures++; b.failures >= tripAfter {
			b.trip(out)
		}
	case learnedNothing:
	}
}
