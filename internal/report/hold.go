package report

import (
	"cmp"
	"container/heap"
	"context"
	"time"

	"github.com/voip-push/worker/internal/voip"
)

// hold is a call that waits for the circuit.
type hold struct {
	deadline time.Time
	tried    int // its attempts so far
	permit   chan permit
	entered  uint64 // grows from call to call
	index    int    // in the heap; -1: it has left
}

// holds are the calls that wait, the next one to go first: the one that was
// tried least, and of those the one with the least time left.
//
// A bridge that fails one call for the call's own sake would else be probed with
// it over and over, and be filled with its like once the circuit has closed. And
// a call that was tried at all ends with what was wrong, where one that never
// was could only expire.
type holds []*hold

// next takes the first out.
func (h *holds) next() chan<- permit {
	first, _ := heap.Pop(h).(*hold)
	return first.permit
}

// newest takes out the call that came last. Every other probe is made with it:
// calls that hang for their own sake, on devices of theirs, would else be asked
// with one after the other, and keep a bridge that is there from being seen.
func (h *holds) newest() chan<- permit {
	last := 0
	for i, c := range *h {
		if c.entered > (*h)[last].entered {
			last = i
		}
	}
	c, _ := heap.Remove(h, last).(*hold)
	return c.permit
}

func (h holds) Len() int { return len(h) }

func (h holds) Less(i, j int) bool {
	return cmp.Or(cmp.Compare(h[i].tried, h[j].tried), h[i].deadline.Compare(h[j].deadline)) < 0
}

func (h holds) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].index, h[j].index = i, j
}

// Push is for container/heap.
func (h *holds) Push(x any) {
	c, _ := x.(*hold)
	c.index = len(*h)
	*h = append(*h, c)
}

// Pop is for container/heap.
func (h *holds) Pop() any {
	last := len(*h) - 1
	c := (*h)[last]
	(*h)[last] = nil
	*h, c.index = (*h)[:last], -1
	return c
}

// enter waits until an attempt may be made: the call has its turn, a slot and
// the circuit's permit then. leave gives the last two back.
func (c *call) enter(ctx context.Context) (permit, error) {
	for {
		p, err := c.await(ctx)
		if err != nil {
			return p, err
		}
		if err := c.begin(ctx); err != nil {
			c.breaker.done(p, learnedNothing, nil)
			return p, err
		}
		if c.breaker.valid(p) {
			return p, nil
		}
		c.leave(p, learnedNothing, nil)
	}
}

func (c *call) leave(p permit, v verdict, out *outcome) {
	c.release()
	c.breaker.done(p, v, out)
}

// await waits for the circuit, with the turn handed on and no slot held.
func (c *call) await(ctx context.Context) (permit, error) {
	deadline, _ := ctx.Deadline()
	p, h := c.breaker.enter(deadline, c.progress.Total)
	if h == nil {
		return p, nil
	}
	c.turn.Pause(c.progress)
	c.held = true
	select {
	case p := <-h.permit:
		return p, nil
	case <-ctx.Done():
		c.breaker.leave(h)
		return permit{}, plain(context.Cause(ctx))
	}
}

// begin takes the turn and a slot. Retries share a part of the slots: calls
// that hang on one attempt after the other leave room for others.
func (c *call) begin(ctx context.Context) error {
	if err := c.turn.Resume(ctx); err != nil {
		return err
	}
	if c.retry = c.progress.Total > 0; c.retry {
		if err := take(ctx, c.again); err != nil {
			return err
		}
	}
	err := take(ctx, c.slots)
	if err != nil && c.retry {
		<-c.again
	}
	return err
}

func (c *call) release() {
	<-c.slots
	if c.retry {
		<-c.again
	}
}

func take(ctx context.Context, from chan<- struct{}) error {
	select {
	case from <- struct{}{}:
		return nil
	default: // only who waits asks for the end of ctx, which sets a timer
	}
	select {
	case from <- struct{}{}:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// verdict reads off an outcome what it says of the bridge. Whatever Call Kit
// answered came through it, 1007200002 of one device as well. So did a refusal
// of this one request, and a 429: a bridge that asks for less is there, and is
// given less by the calls' own waits. cut: the call's own deadline ended the
// attempt before its time was over.
func (o *outcome) verdict(cut bool) verdict {
	switch {
	case o.reason == voip.ReasonReportRejected && o.arrival == voip.NotArrived:
		return learnedNothing // it was never sent
	case o.reason != voip.ReasonReportUnavailable, o.busy:
		return itAnswered
	case cut:
		return learnedNothing
	default:
		return itFailed
	}
}
