package consumer

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/voip-push/worker/internal/voip"
)

// delivery is a push in this worker's hands, from its arrival to its settlement.
type delivery struct {
	sequence uint64
	stored   time.Time // the broker's timestamp of the push
	subject  string
	body     []byte
	header   nats.Header
	size     int // of the message, with its headers
	envelope voip.Envelope
	redrive  voip.Redrive
	ackWait  func() time.Duration
	began    time.Time // by this worker
	settling time.Time // since when; zero: not yet
	waited   bool      // for a retry, at least once

	// hard ends when the worker is cut off, and with nothing else: what settles
	// the push runs in it, and attempts, which outlive a cancel and a stop.
	hard context.Context //nolint:containedctx // it carries the callId for every line of the log
	// call ends with the first of voip.ErrCancelled, voip.ErrStopping and
	// voip.ErrLeaseLost.
	call   context.Context //nolint:containedctx // it lives exactly as long as the delivery
	cancel context.CancelCauseFunc
	done   chan struct{} // closed when this worker has let go of the push

	mu         sync.Mutex
	reply      string // where acks go; replaced when the push is delivered here again
	deliveries uint64
	leased     time.Time // when the broker was last known to hold the push for us
	lost       bool
	said       []byte // what the broker was told of it; nil: nothing yet
	ended      error  // why this worker lets go of the push, whatever ended the call
	hasClaimed bool
	claiming   chan struct{} // closed by claimed; nil until another push waits for it
}

// newDelivery reads a message of the push stream that was sent after a time, and
// is this worker's for an ack wait from then on. Its error says that the message
// is no JetStream delivery.
func newDelivery(ctx context.Context, msg *nats.Msg, sent time.Time, ackWait func() time.Duration) (*delivery, error) {
	meta, err := msg.Metadata()
	if err != nil {
		return nil, fmt.Errorf("a message of %s is no delivery: %w", msg.Subject, err)
	}
	d := &delivery{
		sequence: meta.Sequence.Stream, stored: meta.Timestamp, subject: msg.Subject, body: msg.Data, header: msg.Header, size: msg.Size(),
		reply: msg.Reply, deliveries: meta.NumDelivered, leased: sent, ackWait: ackWait, began: time.Now(), done: make(chan struct{}),
	}
	d.envelope = voip.OpenPush(msg.Data)
	d.hard = voip.WithCall(ctx, d.envelope.CallID, voip.TraceHeader(msg.Header))
	// No child of hard: whoever ends that has ended every call before, and all
	// calls would share its lock.
	d.call, d.cancel = context.WithCancelCause(context.WithoutCancel(d.hard))
	return d, nil
}

// current is where acks go, and which delivery of the push this is.
func (d *delivery) current() (reply string, deliveries uint64) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.reply, d.deliveries
}

// adopt takes over the next delivery of the push that is still in our hands:
// nobody had it in between, so going on repeats nothing. (A server that forgot
// its counts, as one that was killed may, begins again at 1.) False: this worker
// has given it up already, or another one may have had it.
func (d *delivery) adopt(next *delivery) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.lost || next.deliveries != d.deliveries+1 && next.deliveries != 1 {
		return false
	}
	d.reply, d.deliveries, d.leased = next.reply, next.deliveries, next.leased
	return true
}

// alive is nil while the broker holds the push for us, ErrLeaseLost from one
// ack wait after the last sign of that on. A lost lease stays lost.
func (d *delivery) alive() error {
	d.mu.Lock()
	if !d.lost && time.Since(d.leased) >= d.ackWait() {
		d.lost = true
	}
	lost := d.lost
	d.mu.Unlock()
	if lost {
		d.end(voip.ErrLeaseLost)
		return voip.ErrLeaseLost
	}
	return nil
}

// end makes this worker let go of the push: voip.ErrStopping, ErrLeaseLost.
func (d *delivery) end(why error) {
	d.mu.Lock()
	if d.ended == nil {
		d.ended = why
	}
	d.mu.Unlock()
	d.cancel(why)
}

// over is why this worker lets go of the push; nil while it does not. A cancel
// of the call is no reason: a cancelled call needs its result too.
func (d *delivery) over() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.ended
}

// forsake gives the lease up: this worker stays silent about the push.
func (d *delivery) forsake() {
	d.mu.Lock()
	d.lost = true
	d.mu.Unlock()
	d.end(voip.ErrLeaseLost)
}

// saying notes what the broker is told: by whoever settles the push or, when the
// drain timeout is over, by who gives it back meanwhile.
func (d *delivery) saying(what []byte) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.said = what
}

// settlement is what the broker was told; empty: nothing.
func (d *delivery) settlement() string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return string(d.said)
}

// renew notes that the broker was told at a time that the push is in progress.
func (d *delivery) renew(at time.Time) {
	d.mu.Lock()
	if at.After(d.leased) {
		d.leased = at
	}
	d.mu.Unlock()
}

// claim is closed once this push has, or has not, claimed its call.
func (d *delivery) claim() <-chan struct{} {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.claiming == nil {
		d.claiming = make(chan struct{})
		if d.hasClaimed {
			close(d.claiming)
		}
	}
	return d.claiming
}

func (d *delivery) claimed() {
	d.mu.Lock()
	defer d.mu.Unlock()
	if !d.hasClaimed && d.claiming != nil {
		close(d.claiming)
	}
	d.hasClaimed = true
}
