package consumer

import (
	"context"
	"errors"
	"time"

	"github.com/voip-push/worker/internal/voip"
)

// process takes a push through its life, from the claim on. held says that the
// push is let go of later, when the broker has its result.
func (c *Consumer) process(d *delivery, mine *claim) (held bool) {
	if c.isStopping() {
		c.giveBackUnbegun(d, mine)
		return false
	}
	cl, what, err := c.claim(d, mine)
	d.claimed()
	c.recorder.Stage(stageClaim, time.Since(d.began))
	if err != nil {
		c.unclaimed(d, mine, err)
		return false
	}
	switch what {
	case fresh, again:
		return c.run(d, cl, what == again)
	case finish:
		return c.settleDecided(d, cl)
	case settled:
		c.ack(d)
	case silent:
		c.log.DebugContext(d.hard, "another worker has this push", "sequence", d.sequence)
		d.forsake()
	}
	return false
}

// giveBackUnbegun hands back a push of which nothing was done but, perhaps, to
// claim its call: the record must not look like that of a worker that died.
func (c *Consumer) giveBackUnbegun(d *delivery, mine *claim) {
	if mine != nil && mine.revision > 0 {
		c.giveBack(d, mine, voip.Progress{}, voip.ErrStopping)
		return
	}
	c.giveBackUnstarted(d)
}

// unclaimed lets go of a push that could not be claimed: the worker stops, the
// lease is lost, or a defect.
func (c *Consumer) unclaimed(d *delivery, mine *claim, err error) {
	if errors.Is(err, errTaken) || errors.Is(err, voip.ErrLeaseLost) {
		d.forsake()
		return
	}
	if !errors.Is(err, voip.ErrStopping) {
		c.log.WarnContext(d.hard, "a call could not be claimed", "sequence", d.sequence, "error", err)
	}
	c.giveBackUnbegun(d, mine)
}

// run takes a claimed push through the pipeline and settles it.
func (c *Consumer) run(d *delivery, cl *claim, redelivered bool) (held bool) {
	t := &turn{turns: c.turns, weight: 1, of: d}
	in := &Input{Envelope: d.envelope, Header: d.header, Stored: d.stored, Ahead: c.clock.skew(), Redrive: d.redrive}
	if cl != nil {
		in.Past = cl.record.Progress
		if cl.record.suspect() {
			if cl.record.Starts >= c.cfg.MaxStarts {
				return c.settle(d, cl, &Verdict{Stage: voip.StageDeliver, Err: voip.ErrCrashLoop, Progress: in.Past})
			}
			c.alone(d, cl, t)
		}
	}
	if redelivered {
		c.log.InfoContext(d.hard, "going on with a push that was delivered before",
			"sequence", d.sequence, "deliveries", cl.record.Deliveries, "attempts", in.Past.Total, "starts", cl.record.Starts)
	}
	if err := t.Resume(d.call); err != nil && !errors.Is(err, voip.ErrCancelled) {
		t.release()
		c.giveBack(d, cl, in.Past, err)
		return false
	}
	v := c.handler.Handle(d.call, in, t)
	d.waited = t.waited
	t.release()
	if errors.Is(v.Err, voip.ErrStopping) || errors.Is(v.Err, voip.ErrLeaseLost) || errors.Is(v.Err, errTaken) {
		c.giveBack(d, cl, v.Progress, v.Err)
		return false
	}
	return c.settle(d, cl, &v)
}

// alone makes a suspect's turn whole. Its record counts the times that it was
// begun alone and not heard of again: raised before each, lowered when the
// worker lives to see it wait.
func (c *Consumer) alone(d *delivery, cl *claim, t *turn) {
	t.weight = whole
	ctx := d.hard
	store := func() error {
		err := insist(ctx, func() error { return c.calls.write(ctx, cl) }, func(err error) {
			c.log.WarnContext(ctx, "cannot store the record of a suspect, trying again", "error", err)
		})
		if errors.Is(err, errTaken) {
			d.forsake()
			return voip.ErrLeaseLost
		}
		return err
	}
	t.began = func(context.Context) error {
		cl.record.Starts++
		return store()
	}
	t.paused = func(p voip.Progress) {
		cl.record.Starts--
		cl.record.Progress = p
		if err := store(); err != nil {
			c.log.DebugContext(ctx, "the record of a suspect is not stored", "error", err)
		}
	}
}
