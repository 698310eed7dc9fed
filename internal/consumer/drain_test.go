package consumer

import (
	"bytes"
	"fmt"
	"log/slog"
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

// whenLogged does something as a line with the words is logged.
type whenLogged struct {
	words string
	do    func()
}

func (w whenLogged) Write(line []byte) (int, error) {
	if bytes.Contains(line, []byte(w.words)) {
		w.do()
	}
	return len(line), nil
}

// TestStopBetweenClaimAndStart: pushes that were claimed and no more are given
// back as ones of which nothing is unknown, and once: none comes back to the
// worker that stops.
func TestStopBetweenClaimAndStart(t *testing.T) {
	t.Parallel()
	r := newRigOf(t, longAckWait)
	const pushes = 32
	var first *node
	claimed, stopped := make(chan struct{}, 4*pushes), make(chan struct{})
	first = r.start(t, reported, func(_ *Config, p *Parts, _ *Handler) {
		p.Log = slog.New(slog.NewTextHandler(whenLogged{"draining", func() {
			if first.isStopping() {
				t.Error("it gives pushes back while it still pulls")
			}
		}}, nil))
		p.Publisher = held{p.Publisher, callsPrefix, func(next Publisher, msg *nats.Msg, then func(jetstream.PubAck, error)) {
			next.PublishThen(msg, func(ack jetstream.PubAck, err error) {
				claimed <- struct{}{}
				go func() { <-stopped; then(ack, err) }()
			})
		}}
	})
	for i := range pushes {
		r.push(t, pushOf(fmt.Sprint("c-", i)), nil)
	}
	for range pushes {
		testkit.Receive(t, "a claim", claimed)
	}
	first.stop()
	<-first.stopping
	close(stopped)
	<-first.done
	for i := range pushes {
		id := fmt.Sprint("c-", i)
		if rec, found := r.record(t, id); !found || !rec.Clean || rec.Progress.Pending || rec.Progress.Unknown || rec.Deliveries != 1 {
			t.Errorf("%s: record %+v (found: %v), want a clean one of the first delivery", id, rec, found)
		}
	}
	r.start(t, reported)
	results := r.settled(t)
	for i := range pushes {
		id := fmt.Sprint("c-", i)
		if res := results[id]; res.Outcome != voip.Reported || res.Push.Deliveries != 2 {
			t.Errorf("%s: %s, delivered %d times, want reported and 2", id, res.Outcome, res.Push.Deliveries)
		}
	}
	if got := r.seen.all(); len(got) != pushes || slices.ContainsFunc(got, func(key string) bool { return !strings.HasSuffix(key, ".r0.a1") }) {
		t.Errorf("attempts %v", got)
	}
}

// TestStopWithoutAnAnswer: a result that the broker does not acknowledge holds
// up no stop, and its push goes to the next worker, under the same key.
func TestStopWithoutAnAnswer(t *testing.T) {
	t.Parallel()
	r := newRigOf(t, longAckWait)
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
	if took := time.Since(began); took > first.cfg.DrainTimeout+noise {
		t.Errorf("stopped after %v, the drain timeout is %v", took, first.cfg.DrainTimeout)
	}
	r.start(t, reported)
	if res := r.result(t, "c-1"); res.Outcome != voip.Reported {
		t.Error(res.Outcome)
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

// TestDrainParts: they leave the process a moment to end in.
func TestDrainParts(t *testing.T) {
	for _, timeout := range []time.Duration{time.Second, 2 * time.Second, 5 * time.Second, 20 * time.Second, 10 * time.Minute} {
		finish, grace, flush := (&Config{DrainTimeout: timeout}).drainParts()
		left := timeout - finish - grace - flush
		if finish < timeout*3/4 || grace < min(timeout/10, giveBackTimeout) || flush < timeout/10 && flush < 500*time.Millisecond ||
			left < min(timeout/20, 300*time.Millisecond) {
			t.Errorf("of %v: %v, %v, %v, and %v are left", timeout, finish, grace, flush, left)
		}
	}
}
