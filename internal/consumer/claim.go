package consumer

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"time"

	"github.com/voip-push/worker/internal/voip"
)

// fate is what the claim says of a delivery.
type fate int

const (
	// fresh: the call is ours, and nothing of it was done before.
	fresh fate = iota
	// again: the call is ours, and an earlier delivery of this push had it.
	again
	// finish: it is decided; only the publishing may be left.
	finish
	// settled: another push has the call, or the result is stored. Ack it.
	settled
	// silent: another worker has this push.
	silent
)

// own is the record that a push has claimed its call with when there is none
// yet. A push without a callId has nothing to claim: nil.
func (c *Consumer) own(d *delivery) *claim {
	redrive, err := voip.RedriveOf(d.header, d.sequence)
	if err != nil {
		c.log.WarnContext(d.hard, "a header of the push is ignored", "error", err)
	}
	d.redrive = redrive
	if d.envelope.CallID == "" {
		return nil
	}
	_, deliveries := d.current()
	lost := int(deliveries) - 1 // by whom is not known while there is no record
	if c.disturbed(d) {
		lost = 0
	}
	return &claim{
		key:    voip.RecordKey(d.envelope.CallID, redrive),
		record: record{Sequence: d.sequence, Deliveries: deliveries, Worker: c.cfg.Worker, Trace: c.spanOf(d), Pushed: d.stored.UnixMilli(), Lost: lost},
	}
}

// disturbed says that the connection was lost, or the ack wait changed, since the
// push was stored: then its worker may have lost it so, and live.
func (c *Consumer) disturbed(d *delivery) bool {
	return d.stored.Add(-c.clock.skew()).Before(time.Unix(0, c.disturbance.Load()))
}

// disturb notes that deliveries may be lost though no worker dies.
func (c *Consumer) disturb() { c.disturbance.Store(time.Now().UnixNano()) }

// trusted says that the stream's duplicate window has claimed the call.
func (c *Consumer) trusted(d *delivery) bool {
	return c.cfg.Claim == ClaimMsgID && d.redrive.Count == 0 && d.header.Get(voip.HeaderMsgID) == d.envelope.CallID
}

// claimsFirst says that the claim of a push begins with a new record.
func (c *Consumer) claimsFirst(d *delivery, mine *claim) bool { return mine != nil && !c.trusted(d) }

// claim makes the call this push's own, before anything else about it is
// judged.
func (c *Consumer) claim(d *delivery, mine *claim) (cl *claim, what fate, err error) {
	if mine == nil {
		return nil, fresh, nil
	}
	trusted := c.trusted(d)
	if _, deliveries := d.current(); trusted && deliveries == 1 {
		return mine, fresh, nil
	}
	cl = mine
	said := false
	err = insist(d.hard, func() error {
		if err := d.over(); err != nil {
			return final{err}
		}
		var err error
		cl, what, err = c.lookUp(d, cl, trusted)
		return err
	}, func(err error) {
		level := slog.LevelDebug
		if !said { // once for each push: the bucket or the results' stream may be gone
			level, said = slog.LevelWarn, true
		}
		c.log.Log(d.hard, level, "a call cannot be claimed, trying again", "error", err)
	})
	return cl, what, err
}

// lookUp creates the call's record, or reads what the one that is there says
// of this push.
func (c *Consumer) lookUp(d *delivery, mine *claim, trusted bool) (*claim, fate, error) {
	ctx := d.hard
	if trusted {
		have, found, err := c.calls.read(ctx, mine.key)
		if err != nil {
			return mine, 0, err
		}
		if !found {
			return c.takeOver(ctx, d, mine)
		}
		return c.judge(ctx, d, mine, &have)
	}
	have, err := c.calls.create(ctx, mine)
	if err != nil || have == nil {
		return mine, fresh, err
	}
	return c.judge(ctx, d, mine, have)
}

// callLife is how long a callId is one call, from its first push on.
const callLife = 15 * time.Minute

// before is how much later than the push of the record another one was stored.
func (r *record) before(d *delivery) time.Duration {
	if r.Sequence == d.sequence || r.Pushed == 0 {
		return 0
	}
	return d.stored.Sub(time.UnixMilli(r.Pushed))
}

// judge reads an existing record.
func (c *Consumer) judge(ctx context.Context, d *delivery, mine, have *claim) (*claim, fate, error) {
	r := &have.record
	switch later := r.before(d); {
	case later >= callLife:
		return c.replace(ctx, d, mine, have)
	case later <= -callLife:
		return c.outlived(ctx, d, mine)
	}
	c.follows(ctx, r.Trace)
	switch {
	case r.Sequence != d.sequence:
		c.recorder.Duplicate()
		c.log.InfoContext(ctx, "a duplicate push of a call", "sequence", d.sequence, "claimed_by", r.Sequence)
		return have, settled, nil
	case r.Decided != nil:
		return have, finish, nil
	default:
		return c.takeOver(ctx, d, have)
	}
}

// replace claims a callId whose call is over.
func (c *Consumer) replace(ctx context.Context, d *delivery, mine, over *claim) (cl *claim, what fate, err error) {
	next := *mine
	next.revision, cl, what = over.revision, &next, fresh
	if _, deliveries := d.current(); deliveries > 1 { // it may have been claimed by its id alone
		cl, what, err = c.takeOver(ctx, d, &next)
	} else {
		err = c.calls.write(ctx, &next)
	}
	if errors.Is(err, errTaken) { // by another push: the next look says so
		err = fmt.Errorf("another push was quicker: %v", err) //nolint:errorlint // errTaken would be final
	}
	if err != nil {
		return mine, what, err
	}
	return cl, what, nil
}

// store writes the record of a call that is ours. One that was claimed by its id
// alone has none yet, and may find that of an earlier call.
func (c *Consumer) store(ctx context.Context, d *delivery, cl *claim) error {
	err := c.calls.write(ctx, cl)
	if !errors.Is(err, errTaken) || cl.revision > 0 {
		return err
	}
	have, found, readErr := c.calls.read(ctx, cl.key)
	if readErr != nil {
		return readErr
	}
	if found && have.record.before(d) < callLife {
		return err
	}
	cl.revision = have.revision
	return c.calls.write(ctx, cl)
}

// outlived is a push that was delivered again after its callId has become a new
// call: it goes on with a record of its own, as one of which nothing is known.
func (c *Consumer) outlived(ctx context.Context, d *delivery, mine *claim) (*claim, fate, error) {
	own := *mine
	own.key += "." + strconv.FormatUint(d.sequence, 10)
	have, found, err := c.calls.read(ctx, own.key)
	if err != nil {
		return mine, 0, err
	}
	var cl *claim
	var what fate
	if found {
		cl, what, err = c.judge(ctx, d, &own, &have)
	} else {
		cl, what, err = c.takeOver(ctx, d, &own)
	}
	if err != nil {
		return mine, what, err
	}
	return cl, what, nil
}

// takeOver goes on with a push that was delivered before, unless its result is
// stored, or a later delivery of it is another worker's.
func (c *Consumer) takeOver(ctx context.Context, d *delivery, cl *claim) (*claim, fate, error) {
	stored, err := c.notifier.Stored(ctx, d.sequence)
	switch {
	case err != nil:
		return cl, 0, err
	case stored:
		return cl, settled, nil
	}
	_, deliveries := d.current()
	if cl.record.Deliveries > deliveries || cl.heldElsewhere(deliveries, c.cfg.Worker) {
		return cl, silent, nil
	}
	if !cl.record.Clean {
		cl.record.Progress = cl.record.Progress.Interrupted()
		if cl.record.Worker != c.cfg.Worker && !c.disturbed(d) { // or it lives, and has lost the push otherwise
			cl.record.Lost++
		}
	}
	cl.record.Deliveries, cl.record.Worker, cl.record.Clean = deliveries, c.cfg.Worker, false
	cl.record.Trace, cl.record.Pushed = c.spanOf(d), d.stored.UnixMilli()
	return cl, again, c.calls.write(ctx, cl)
}

// heldElsewhere: the same delivery is another worker's, for the server forgot
// that it was made. That worker still has it, or its death is told by the next.
func (c *claim) heldElsewhere(deliveries uint64, worker string) bool {
	return !c.record.Clean && c.record.Deliveries == deliveries && c.record.Worker != worker
}
