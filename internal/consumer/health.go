package consumer

import (
	"context"
	"time"
)

// Pauses between two tries to pull again.
const (
	retryInitial  = 250 * time.Millisecond
	retryMax      = 2 * time.Second
	verifyTimeout = 2 * time.Second
	// superviseEvery bounds how long a stream may be gone unsaid: pulling may go
	// on without that of the results, the cancels or the calls' records.
	superviseEvery = 3 * time.Second
)

// pullHealth watches the pulling and begins it again when it failed. It is
// used by the pull loop alone.
type pullHealth struct {
	c    *Consumer
	said map[string]bool // why nothing is pulled, in this outage; empty: there is none
	wait time.Duration   // until the next try
	next time.Time
}

// begin starts a new generation of pulls.
func (p *pullHealth) begin(ctx context.Context) {
	if err := p.c.puller.Renew(); err != nil {
		p.failed(ctx, err)
		return
	}
	p.look(ctx)
}

// look tells how the pulling fares, and tries again in growing steps while it
// does not. A generation of pulls without an answer is neither.
func (p *pullHealth) look(ctx context.Context) {
	err := p.c.puller.State()
	if err == nil {
		if p.c.puller.Heard() {
			p.well(ctx)
		}
		return
	}
	if now := time.Now(); len(p.said) > 0 && now.Before(p.next) {
		return
	}
	p.wait = min(max(retryInitial, p.wait*2), retryMax)
	p.next = time.Now().Add(p.wait)
	if !p.c.nc.IsConnected() {
		p.failed(ctx, err)
		return // its return begins a new generation
	}
	verify, cancel := context.WithTimeout(ctx, verifyTimeout)
	defer cancel()
	if missing := p.c.hooks.Verify(verify); missing != nil {
		p.failed(ctx, missing) // it says more
		return
	}
	p.failed(ctx, err)
	if err := p.c.puller.Renew(); err != nil {
		p.failed(ctx, err)
	}
}

func (p *pullHealth) well(ctx context.Context) {
	if len(p.said) > 0 {
		p.c.log.InfoContext(ctx, "pulling again")
	}
	p.said, p.wait = nil, 0
	p.c.hooks.State(nil)
	p.c.puller.TopUp()
}

// failed says each reason once in an outage: two may take turns.
func (p *pullHealth) failed(ctx context.Context, err error) {
	p.c.hooks.State(err)
	if p.said[err.Error()] || ctx.Err() != nil {
		return
	}
	if p.said == nil {
		p.said = map[string]bool{}
	}
	p.said[err.Error()] = true
	p.c.log.WarnContext(ctx, "no pushes are pulled, trying again", "error", err)
}

// supervise looks at the streams beside the one that is pulled from, until ctx
// ends, and follows the cancels of a stream that was made again.
func (c *Consumer) supervise(ctx context.Context, cancels *follower) {
	t := time.NewTicker(superviseEvery)
	defer t.Stop()
	said, ackWait := "", c.cfg.AckWait()
	for {
		select {
		case <-ctx.Done():
			return
		case <-t.C:
		}
		if !c.nc.IsConnected() {
			continue
		}
		verify, cancel := context.WithTimeout(ctx, verifyTimeout)
		err := c.hooks.Verify(verify)
		cancel()
		if now := c.cfg.AckWait(); now != ackWait {
			c.log.InfoContext(ctx, "the consumer's ack wait is another one, the leases follow it", "was", ackWait, "is", now)
			ackWait = now
			c.disturb()
			c.leases.hurry()
		}
		if err == nil {
			err = cancels.look(ctx)
		}
		switch {
		case ctx.Err() != nil:
			return
		case err == nil && said != "":
			said = ""
			c.log.InfoContext(ctx, "the streams are all there again")
		case err != nil && err.Error() != said:
			said = err.Error()
			c.log.WarnContext(ctx, "not all of the streams are there", "error", err)
		}
	}
}
