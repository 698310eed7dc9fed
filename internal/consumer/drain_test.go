package consumer

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/voip-push/worker/internal/notifier"
	"github.com/voip-push/worker/internal/testkit"
	"github.com/voip-push/worker/internal/voip"
)

// held is a publisher that treats some messages in its own way.
type held struct {
	Publisher

	subject string // they begin with it
	publish func(next Publisher, msg *nats.Msg, then func(jetstream.PubAck, error))
}

func (h held) PublishThen(msg *nats.Msg, then func(jetstream.PubAck, error)) {
	if strings.HasPrefix(msg.Subject, h.subject) {
		h.publish(h.Publisher, msg, then)
		return
	}
	h.Publisher.PublishThen(msg, then)
}

// TestStopBetweenClaimAndStart: a push that was claimed and no more is given
// back as one of which nothing is unknown.
func TestStopBetweenClaimAndStart(t *testing.T) {
	r := newRig(t)
	claimed, stopped := make(chan struct{}), make(chan struct{})
	first := r.start(t, reported, func(_ *Config, p *Parts, _ *Handler) {
		p.Publisher = held{p.Publisher, callsPrefix, func(next Publisher, msg *nats.Msg, then func(jetstream.PubAck, error)) {
			next.PublishThen(msg, func(ack jetstream.PubAck, err error) {
				close(claimed)
				go func() { <-stopped; then(ack, err) }()
			})
		}}
	})
	r.push(t, pushOf("c-1"), nil)
	testkit.Receive(t, "the claim", claimed)
	first.stop()
	<-first.stopping
	close(stopped)
	<-first.done
	if rec, found := r.record(t, "c-1"); !found || !rec.Clean || rec.Progress.Pending || rec.Progress.Unknown {
		t.Errorf("record %+v (found: %v), want a clean one", rec, found)
	}
	began := time.Now()
	r.start(t, reported)
	if res := r.result(t, "c-1"); res.Outcome != voip.Reported || time.Since(began) > ackWait {
		t.Errorf("%s after %v, want it given back at once", res.Outcome, time.Since(began))
	}
	if got := r.seen.all(); !slices.Equal(got, []string{"c-1.r0.a1"}) {
		t.Errorf("attempts %v", got)
	}
}

// TestStopWithoutAnAnswer: a result that the broker does not acknowledge holds
// up no stop, and its push goes to the next worker, under the same key.
func TestStopWithoutAnAnswer(t *testing.T) {
	r := newRig(t)
	sent := make(chan struct{})
	first := r.start(t, reported, func(c *Config, p *Parts, _ *Handler) {
		c.DrainTimeout = 2 * time.Second
		silent := held{p.Publisher, voip.SubjectResult, func(Publisher, *nats.Msg, func(jetstream.PubAck, error)) { close(sent) }}
		p.Publisher, p.Notifier = silent, notifier.New(silent, p.Log)
	})
	r.push(t, pushOf("c-1"), nil)
	testkit.Receive(t, "the result", sent)
	began := time.Now()
	first.stop()
	<-first.done
	if took := time.Since(began); took > first.cfg.DrainTimeout {
		t.Errorf("stopped after %v, the drain timeout is %v", took, first.cfg.DrainTimeout)
	}
	began = time.Now()
	r.start(t, reported)
	if res := r.result(t, "c-1"); res.Outcome != voip.Reported || time.Since(began) > ackWait/2 {
		t.Errorf("%s after %v, want it given back at the stop", res.Outcome, time.Since(began))
	}
	if got := r.seen.all(); !slices.Equal(got, []string{"c-1.r0.a1", "c-1.r0.a1"}) {
		t.Errorf("attempts %v", got)
	}
}

// TestStopAfterTheClaim: nor is anything unknown of a push whose claim was made
// ahead when the stop came first.
func TestStopAfterTheClaim(t *testing.T) {
	r := newRig(t)
	n := r.start(t, reported)
	d := fakeDelivery(7, 1)
	d.envelope = voip.OpenPush([]byte(pushOf("c-1")))
	mine := n.own(d)
	if _, err := n.calls.create(t.Context(), mine); err != nil {
		t.Fatal(err)
	}
	d.end(voip.ErrStopping)
	if n.process(d, mine) {
		t.Error("it is held on to")
	}
	if rec, found := r.record(t, "c-1"); !found || !rec.Clean {
		t.Errorf("record %+v (found: %v), want a clean one", rec, found)
	}
}
