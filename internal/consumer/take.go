package consumer

import (
	"time"

	"github.com/nats-io/nats.go"
)

// take is called for each push that arrives. It was sent after asked, and may
// have lain in a buffer since: a worker that stood still is told of it so.
func (c *Consumer) take(msg *nats.Msg, asked time.Time) {
	d, err := newDelivery(c.spanning(msg), msg, c.leases.sentAfter(asked), c.cfg.AckWait)
	if err != nil {
		c.log.WarnContext(c.hard, "a message is ignored", "error", err)
		return
	}
	if d.deliveries > 1 {
		c.recorder.Redelivery()
	} else {
		c.recorder.Stage(stageQueue, d.began.Add(c.clock.skew()).Sub(d.stored)) // not leased: that is a turn of the sweeper ago
	}
	earlier, adopted, count := c.leases.hold(d)
	c.recorder.InFlight(count)
	if adopted {
		d.cancel(nil)
		c.spanned(d)
		return
	}
	h := handover{d: d, claim: c.own(d), earlier: earlier, first: c.cancels.watch(d)}
	c.running.Add(1)
	if earlier == nil && h.first == nil && c.claimsFirst(d, h.claim) {
		c.calls.createAhead(h.claim, func() { c.runners.run(h) })
		return
	}
	c.runners.run(h)
}

// handover is a delivery for a goroutine, its claim, and the deliveries that it
// must wait for; nil: none.
type handover struct {
	d       *delivery
	claim   *claim
	earlier *delivery // an earlier delivery of the same push, until it is done
	first   *delivery // an earlier push of the same call, until it has claimed it
}

func (c *Consumer) live(h handover) {
	if h.earlier != nil {
		<-h.earlier.done // whatever it still attempts comes first
	}
	if h.first != nil {
		<-h.first.claim() // the call is its first push's, whatever is wrong with it
	}
	if held := c.process(h.d, h.claim); !held {
		c.letGo(h.d)
	}
}

// letGo ends a delivery's life in this worker.
func (c *Consumer) letGo(d *delivery) {
	defer c.running.Done()
	now := time.Now()
	if !d.settling.IsZero() {
		c.recorder.Stage(stageSettle, now.Sub(d.settling))
	}
	if !d.waited {
		c.window.observe(now.Sub(d.began))
	}
	d.claimed()
	c.cancels.unwatch(d)
	d.cancel(nil)
	c.spanned(d)
	count := c.leases.release(d)
	close(d.done)
	c.recorder.InFlight(count)
	c.puller.Refill()
}
