package consumer

import (
	"sync/atomic"
	"time"
)

// clockTolerance is what a clock may be wrong by before it is corrected: below
// it the measure is no better than what it would mend.
const clockTolerance = 500 * time.Millisecond

// clock is the broker's clock, read off its answers. Calls live by the broker's
// timestamps: a worker whose own clock is wrong would end calls that are alive,
// or ring for those that are over.
type clock struct {
	ahead atomic.Int64              // what the broker's clock is ahead of this machine's
	tell  func(ahead time.Duration) // at each change
}

// read takes the broker's time from the answer to a question that was asked at
// began: it was that time somewhere in between.
func (c *clock) read(began, told time.Time) {
	if told.IsZero() {
		return // not said
	}
	half := time.Since(began) / 2
	ahead := told.Sub(began.Add(half))
	if ahead.Abs() <= clockTolerance+half {
		ahead = 0
	}
	if was := time.Duration(c.ahead.Swap(int64(ahead))); (ahead - was).Abs() > clockTolerance {
		c.tell(ahead)
	}
}

func (c *clock) skew() time.Duration { return time.Duration(c.ahead.Load()) }

// now is the broker's time.
func (c *clock) now() time.Time { return time.Now().Add(c.skew()) }
