package consumer

import (
	"context"
	"time"

	"github.com/voip-push/worker/internal/voip"
)

// drainParts are the parts of the drain timeout: what was begun is cut off a
// little before its end, given a moment to say how far it came, and the last
// acks are given another to leave.
func (c *Config) drainParts() (finish, grace, flush time.Duration) {
	const killMargin, killGrace, flushTimeout = 2 * time.Second, giveBackTimeout + 200*time.Millisecond, 500 * time.Millisecond
	tenth := c.DrainTimeout / 10
	return c.DrainTimeout - min(killMargin, c.DrainTimeout/4), min(killGrace, tenth), min(flushTimeout, tenth)
}

// drain lets go of all that is held.
func (c *Consumer) drain(ctx context.Context) {
	finish, grace, flush := c.cfg.drainParts()
	ctx, cancel := context.WithTimeout(ctx, finish)
	defer cancel()
	c.log.InfoContext(ctx, "draining", "held", c.leases.count())
	c.stopPulling(ctx) // first, or what is given back would come straight back
	close(c.stopping)
	for _, d := range c.leases.all() {
		d.end(voip.ErrStopping)
	}
	finished := make(chan struct{})
	go func() {
		c.running.Wait()
		close(finished)
	}()
	select {
	case <-finished:
	case <-ctx.Done():
		c.log.WarnContext(ctx, "CONSUMER_DRAIN_TIMEOUT is over, what is left is cut off and given back", "held", c.leases.count())
		c.kill(voip.ErrStopping)
		c.giveBackTheRest(finished, grace)
	}
	c.runners.close()
	// Acks and give-backs are fire and forget: they must have left before the
	// connection closes.
	ctx, cancel = context.WithTimeout(context.WithoutCancel(ctx), flush)
	defer cancel()
	if err := c.nc.FlushWithContext(ctx); err != nil {
		c.log.WarnContext(ctx, "the last acks may not have left", "error", err)
	}
}

// stopPulling ends the pulls, within a tenth of the drain timeout: a server that
// does not answer takes nothing back either.
func (c *Consumer) stopPulling(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, c.cfg.DrainTimeout/10)
	defer cancel()
	c.puller.Stop(ctx)
}

// giveBackTheRest gives back what the kill does not end: the pushes whose claim
// or result the broker has not answered. Whatever it answers from now on, this
// worker stays silent about them.
func (c *Consumer) giveBackTheRest(finished <-chan struct{}, grace time.Duration) {
	t := time.NewTimer(grace)
	defer t.Stop()
	select {
	case <-finished:
		return
	case <-t.C:
	}
	for _, d := range c.leases.all() {
		c.giveBackUnstarted(d)
		d.forsake()
	}
}

func (c *Consumer) isStopping() bool {
	select {
	case <-c.stopping:
		return true
	default:
		return false
	}
}
