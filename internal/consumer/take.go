package consumer

import (
	"time"

	"github.com/nats-io/nats.go"
)

// take is called for each push that arrives. It was sent after asked, and may
// have lain in a buffer since: a worker that stood still is told of it so.
func (c *Consumer) take(msg *nats.Msg, asked time.Time) {
	d, err := newDelivery(c.spanning(msg), msg, c.leases.sentAfter(asked))
	if err != nil {
		c.log.WarnContext(c.hard, "a message is ignored", "error", err)
		return
	}
	if d.deliveries > 1 {
		c.recorder.Redelivery()
	} else {
		c.recorder.Stage(stageQueue, d.leased.Sub(d.stored))
	}
	earlier, adopted, count := c.leases.hold(d)
	c.recorder.InFlight(count)
	if adopted {
		d.cancel(nil)
		c.spanned(d)
		return
	}
	h := handover{d: d, earlier: earlier, first: c.cancels.watch(d)}
	c.running.Add(1)
	select {
	case c.idle <- h:
	default:
		go c.work(h)
	}
}

// handover is a delivery for a goroutine, and those that it must wait for; nil:
// none.
type handover struct {
	d       *delivery
	earlier *delivery // an earlier delivery of the same push, until it is done
	first   *delivery // an earlier push of the same call, until it has claimed it
}

// work takes deliveries through their lives, one after another: a goroutine
// that is kept has the stack that a push needs, which a new one has to grow.
func (c *Consumer) work(next handover) {
	spare := time.NewTimer(idleLife)
	defer spare.Stop()
	for {
		c.live(next)
		spare.Reset(idleLife)
		select {
		case next = <-c.idle:
		case <-spare.C:
			return
		case <-c.stopping:
			return
		}
	}
}

// idleLife is how long a goroutine waits for its next push.
const idleLife = 10 * time.Second

func (c *Consumer) live(h handover) {
	defer c.running.Done()
	if h.earlier != nil {
		<-h.earlier.done // whatever it still attempts comes first
	}
	if h.first != nil {
		<-h.first.claim() // the call is its first push's, whatever is wrong with it
	}
	d := h.d
	began := time.Now()
	c.process(d)
	if !d.waited {
		c.window.observe(time.Since(began))
	}
	d.claimed()
	c.cancels.unwatch(d)
	d.cancel(nil)
	c.spanned(d)
	count := c.leases.release(d)
	close(d.done)
	c.recorder.InFlight(count)
	c.puller.refill()
}
