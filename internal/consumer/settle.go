package consumer

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/voip-push/worker/internal/voip"
)

const mayHaveRung = "; an earlier attempt may have arrived all the same: it may have rung"

// result is what became of the call, from how its run ended. It is decided as
// the settling begins.
func (c *Consumer) result(d *delivery, v *Verdict) voip.Result {
	_, deliveries := d.current()
	r := voip.Result{
		CallID: d.envelope.CallID, Avatar: v.Avatar, Direction: v.Direction, VoipCallType: v.VoipCallType, ExpiresAt: v.ExpiresAt,
		Push:   voip.PushRef{Stream: voip.StreamPush, Sequence: d.sequence, Deliveries: deliveries, ReceivedAt: d.stored.UTC()},
		Worker: c.cfg.Worker, Redrives: d.redrive.Count,
	}
	r.SetProgress(v.Progress)
	r.Decide(v.Err)
	if v.Progress.Unknown && (r.Outcome == voip.Expired || r.Outcome == voip.Cancelled) {
		r.Message += mayHaveRung
	}
	r.Complete(d.settling.Add(c.clock.skew()))
	return r
}

// settle stores what must survive, and only then acks the push. held says that
// the push is let go of later, when the broker has its result.
func (c *Consumer) settle(d *delivery, cl *claim, v *Verdict) (held bool) {
	d.settling = time.Now()
	r := c.result(d, v)
	if !r.DeadLettered {
		return c.publishResult(d, cl, &r)
	}
	dead := &decided{Stage: v.Stage, Result: r}
	if cl == nil { // no callId: no record, and no result
		return c.publishDead(d, dead, nil)
	}
	cl.record.Decided, cl.record.Progress = dead, v.Progress
	ctx := d.hard
	err := insist(ctx, func() error {
		if err := d.alive(); err != nil {
			return final{err}
		}
		return c.store(ctx, d, cl)
	}, func(err error) {
		c.log.WarnContext(ctx, "cannot store that a call is dead, trying again", "error", err)
	})
	if err != nil {
		cl.record.Decided = nil
		c.giveBack(d, cl, v.Progress, err)
		return false
	}
	return c.settleDecided(d, cl)
}

// settleDecided publishes what was decided, be it by this worker or by one that
// did not come to it.
func (c *Consumer) settleDecided(d *delivery, cl *claim) (held bool) {
	if r := &cl.record.Decided.Result; !r.DeadLettered {
		return c.publishResult(d, cl, r)
	}
	return c.publishDead(d, cl.record.Decided, cl)
}

func (c *Consumer) publishDead(d *delivery, dead *decided, cl *claim) (held bool) {
	r := &dead.Result
	ctx := d.hard
	stored, err := c.notifier.DeadLetter(ctx, d.alive, &voip.DeadLetter{
		Body: d.body, Header: d.header, Reason: r.Reason, Error: r.Message, Stage: dead.Stage, CallID: r.CallID,
		Attempts: r.AttemptsTotal, FirstSeen: d.stored, FailedAt: r.CompletedAt, ExpiresAt: r.ExpiresAt, Worker: r.Worker,
		OriginSubject: d.subject, OriginSequence: d.sequence, Redrives: r.Redrives,
	})
	if err != nil {
		c.unstored(d, nil, r, err)
		return false
	}
	if !stored {
		c.recorder.DeadLetter(string(r.Reason))
	}
	if cl == nil {
		c.recorder.PushWithoutID()
		c.ack(d)
		c.summary(ctx, r)
		return false
	}
	return c.publishResult(d, cl, r)
}

// publishResult sends the result and leaves the rest to the stream's answer: no
// goroutine waits for it.
func (c *Consumer) publishResult(d *delivery, cl *claim, r *voip.Result) (held bool) {
	c.notifier.Result(d.hard, d.alive, r, voip.TraceHeader(d.header).Traceparent(), func(again bool, err error) {
		if err != nil {
			c.unstored(d, cl, r, err)
		} else {
			c.resulted(d, r, again)
		}
		c.letGo(d)
	})
	return true
}

func (c *Consumer) resulted(d *delivery, r *voip.Result, again bool) {
	if !again {
		c.recorder.Outcome(string(r.Outcome), string(r.Reason), time.Since(d.stored))
		c.summary(d.hard, r)
	}
	c.ack(d)
}

// unstored gives back a push whose outcome could not be stored: never settled.
// Its record says what was decided, so that whoever gets it next publishes that
// and attempts nothing; where not even this can be written, it says that the push
// was begun, and it is attempted under the same key.
func (c *Consumer) unstored(d *delivery, cl *claim, r *voip.Result, err error) {
	if errors.Is(err, voip.ErrLeaseLost) {
		c.log.WarnContext(d.hard, "the lease was lost before the outcome was stored", "sequence", d.sequence)
		return
	}
	c.log.WarnContext(d.hard, "the outcome is not stored, the push is given back", "sequence", d.sequence, "error", err)
	if cl != nil && cl.record.Decided == nil {
		cl.record.Decided = &decided{Stage: voip.StageReport, Result: *r}
		if !c.leave(d, cl) {
			return
		}
	}
	c.giveBackUnstarted(d)
}

// leave writes the record of a push that is given back. False: it is another
// worker's now.
func (c *Consumer) leave(d *delivery, cl *claim) bool {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(d.hard), giveBackTimeout)
	defer cancel()
	switch err := c.store(ctx, d, cl); {
	case errors.Is(err, errTaken):
		c.log.WarnContext(ctx, takenOver, "sequence", d.sequence)
		d.forsake()
		return false
	case err != nil:
		c.log.WarnContext(ctx, "the record of a call is not stored", "attempts", cl.record.Progress.Total, "error", err)
	}
	return true
}

func (c *Consumer) ack(d *delivery) {
	if err := c.leases.say(d, msgAck); err != nil {
		// It will be delivered again, found settled, and acked then.
		c.log.DebugContext(d.hard, "a settled push is not acked", "sequence", d.sequence, "error", err)
	}
}

// giveBackUnstarted hands a push back as it came.
func (c *Consumer) giveBackUnstarted(d *delivery) {
	if err := c.leases.say(d, msgNak); err != nil {
		c.log.DebugContext(d.hard, "a push is left to its ack wait", "sequence", d.sequence, "error", err)
	}
}

// giveBack hands a push back with what is known of its attempts, so that the
// next worker goes on where this one stopped. Being interrupted is no failure.
func (c *Consumer) giveBack(d *delivery, cl *claim, p voip.Progress, why error) {
	if errors.Is(why, voip.ErrLeaseLost) || errors.Is(why, errTaken) {
		c.log.WarnContext(d.hard, takenOver, "sequence", d.sequence)
		d.forsake()
		return
	}
	if cl != nil {
		cl.record.Progress, cl.record.Starts, cl.record.Clean = p, 0, true
		if !c.leave(d, cl) {
			return
		}
	}
	c.giveBackUnstarted(d)
}

const (
	giveBackTimeout = time.Second
	takenOver       = "the push is another worker's now"
)

// summary is the one line that a push leaves in the log.
func (c *Consumer) summary(ctx context.Context, r *voip.Result) {
	if !c.log.Enabled(ctx, slog.LevelInfo) {
		return
	}
	attrs := []slog.Attr{
		slog.String("outcome", string(r.Outcome)), slog.String("reason", string(r.Reason)),
		slog.Int("attempts", r.AttemptsTotal), slog.Float64("latency_ms", r.LatencyMs),
		slog.Uint64("sequence", r.Push.Sequence), slog.Uint64("deliveries", r.Push.Deliveries),
	}
	if r.Avatar != nil {
		attrs = append(attrs, slog.String("avatar", string(r.Avatar.Status)))
		if r.Avatar.Reason != "" {
			attrs = append(attrs, slog.String("avatar_reason", string(r.Avatar.Reason)))
		}
	}
	if r.Message != "" {
		attrs = append(attrs, slog.String("message", r.Message))
	}
	c.log.LogAttrs(ctx, slog.LevelInfo, "push settled", attrs...)
}
