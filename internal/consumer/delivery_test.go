package consumer

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/voip-push/worker/internal/broker"
	"github.com/voip-push/worker/internal/testkit"
	"github.com/voip-push/worker/internal/voip"
)

func fakeDelivery(seq, deliveries uint64) *delivery {
	d := &delivery{sequence: seq, deliveries: deliveries, leased: time.Now(), ackWait: shortAckWait, done: make(chan struct{}), reply: "ack"}
	d.hard = context.Background()
	d.call, d.cancel = context.WithCancelCause(d.hard)
	return d
}

// TestLeaseEnds: one ack wait after the last sign of the broker a worker falls
// silent about a push, and stays silent.
func TestLeaseEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := fakeDelivery(1, 1)
		time.Sleep(ackWait - time.Millisecond)
		if err := d.alive(); err != nil {
			t.Fatalf("before the ack wait is over: %v", err)
		}
		d.renew(time.Now())
		time.Sleep(ackWait - time.Millisecond)
		if err := d.alive(); err != nil {
			t.Fatalf("after a mark: %v", err)
		}
		time.Sleep(time.Millisecond)
		if err := d.alive(); !errors.Is(err, voip.ErrLeaseLost) || !errors.Is(context.Cause(d.call), voip.ErrLeaseLost) {
			t.Fatalf("after the ack wait: %v, the call's cause %v", err, context.Cause(d.call))
		}
		turn := &turn{turns: newTurns(), weight: 1, of: d}
		if _, err := turn.Check(t.Context()); !errors.Is(err, voip.ErrLeaseLost) {
			t.Errorf("another attempt may begin: %v", err)
		}
		d.renew(time.Now())
		if d.alive() == nil {
			t.Error("a lost lease came back: another worker may have the push")
		}
	})
}

// TestHold: the next delivery of a push that is still in hand is adopted, for
// nobody had it in between; any other waits its turn.
func TestHold(t *testing.T) {
	for name, tt := range map[string]struct {
		next  uint64
		lost  bool
		adopt bool
	}{
		"the next delivery":                 {next: 2, adopt: true},
		"the next, after the lease is lost": {next: 2, lost: true},
		"one that others had before":        {next: 4},
		"one that the server counts anew":   {next: 1, adopt: true},
	} {
		l := newLeases(nil, shortAckWait, slog.New(slog.DiscardHandler))
		d := fakeDelivery(7, 1)
		if earlier, _, _ := l.hold(d); earlier != nil {
			t.Fatalf("%s: held before it came", name)
		}
		if tt.lost {
			d.forsake()
		}
		next := fakeDelivery(7, tt.next)
		next.reply = "ack again"
		earlier, adopted, count := l.hold(next)
		reply, deliveries := d.current()
		if earlier != d || adopted != tt.adopt || count != 1 || (reply == next.reply) != tt.adopt || tt.adopt && deliveries != tt.next {
			t.Errorf("%s: reply %q, delivery %d, %d held", name, reply, deliveries, count)
		}
		if l.release(d); (l.count() == 0) != tt.adopt {
			t.Errorf("%s: %d held after the first is let go", name, l.count())
		}
	}
}

// TestTurnsOfTheSweep: they follow the ack wait when it is made shorter; the probes count on
// as many as at the start when it is made longer.
func TestTurnsOfTheSweep(t *testing.T) {
	now := 6 * time.Second
	l := newLeases(nil, func() time.Duration { return now }, slog.New(slog.DiscardHandler))
	l.most = 2 * time.Second
	d := fakeDelivery(7, 1)
	d.ackWait = l.ackWait
	d.leased = time.Now().Add(-3 * time.Second)
	for _, tt := range []struct {
		ackWait, interval time.Duration
		alive             bool
	}{{6 * time.Second, 2 * time.Second, true}, {30 * time.Second, 2 * time.Second, true}, {1500 * time.Millisecond, 500 * time.Millisecond, false}} {
		if now = tt.ackWait; l.interval() != tt.interval || (d.alive() == nil) != tt.alive {
			t.Errorf("ack wait %v: a turn every %v, alive: %v; want %v and %v", now, l.interval(), d.alive(), tt.interval, tt.alive)
		}
	}
}

// TestRoom: it is bounded by what the held pushes weigh, too, however many it is.
func TestRoom(t *testing.T) {
	const heldBytes = 48 << 20
	c := &Consumer{cfg: Config{MaxInFlight: 1000, MaxHeldBytes: heldBytes}, leases: newLeases(nil, shortAckWait, slog.New(slog.DiscardHandler)), turns: newTurns(), window: window{most: 1000}}
	const large, small = heldBytes / voip.MaxPushBytes, 100
	var held []*delivery
	hold := func(size int) {
		d := fakeDelivery(uint64(len(held)), 1)
		d.size = size
		held = append(held, d)
		c.leases.hold(d)
	}
	if free, _ := c.room(); free < maxAhead {
		t.Errorf("room for %d when nothing is held, which slows the pulling down", free)
	}
	for range small {
		hold(300)
	}
	if free, _ := c.room(); free < maxAhead {
		t.Errorf("room for %d beside %d small pushes", free, small)
	}
	for range large {
		hold(voip.MaxPushBytes)
	}
	if free, _ := c.room(); free != 0 {
		t.Errorf("room for %d beside %d large pushes", free, large)
	}
	c.cfg.MaxHeldBytes = 0 // any
	if free, places := c.room(); free != places-small-large {
		t.Errorf("room for %d without a bound", free)
	}
	held[small].forsake()
	again := fakeDelivery(small, 2)
	again.size = voip.MaxPushBytes
	held = append(held, again)
	c.leases.hold(again)
	for _, d := range held {
		c.leases.release(d)
	}
	if count, size := c.leases.load(); count != 0 || size != 0 {
		t.Errorf("%d held, %d bytes, after all are let go", count, size)
	}
}

// TestSayTwice: an answer that comes while the drain gives its push back settles
// it on another goroutine; the race detector watches.
func TestSayTwice(t *testing.T) {
	l := newLeases(testkit.Broker(t).Conn(t), shortAckWait, slog.New(slog.DiscardHandler))
	d := fakeDelivery(7, 1)
	var both sync.WaitGroup
	for _, what := range [][]byte{msgAck, msgNak} {
		both.Go(func() {
			if err := l.say(d, what); err != nil {
				t.Errorf("say %s: %v", what, err)
			}
		})
	}
	both.Wait()
	if got := d.settlement(); got != string(msgAck) && got != string(msgNak) {
		t.Errorf("told %q", got)
	}
}

// TestTurns: pushes share, a suspect has it whole, first come, first served.
func TestTurns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		all := newTurns()
		one, two, suspect, late := &turn{turns: all, weight: 1}, &turn{turns: all, weight: 1}, &turn{turns: all, weight: whole}, &turn{turns: all, weight: 1}
		for _, u := range []*turn{one, two} {
			if err := u.Resume(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		order := make(chan string, 2)
		go func() { _ = suspect.Resume(t.Context()); order <- "suspect" }()
		synctest.Wait()
		go func() { _ = late.Resume(t.Context()); order <- "late" }()
		synctest.Wait()
		one.Pause(voip.Progress{})
		synctest.Wait()
		if len(order) != 0 {
			t.Fatalf("%s ran beside another", <-order)
		}
		two.release()
		synctest.Wait()
		if got := <-order; got != "suspect" || len(order) != 0 {
			t.Fatalf("%s came first", got)
		}
		suspect.release()
		synctest.Wait()
		if got := <-order; got != "late" {
			t.Errorf("%s came second", got)
		}
		late.release()
		ended, cancel := context.WithCancelCause(t.Context())
		cancel(voip.ErrCancelled)
		if err := one.Resume(ended); !errors.Is(err, voip.ErrCancelled) {
			t.Errorf("resumed for a call that was cancelled: %v", err)
		}
	})
}

// TestCancelsForget: a cancel counts for ten minutes.
func TestCancelsForget(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCancels(slog.New(slog.DiscardHandler))
		c.add("c-1", time.Now())
		time.Sleep(cancelLife)
		d := fakeDelivery(1, 1)
		d.envelope = voip.Envelope{CallID: "c-1"}
		c.watch(d)
		if context.Cause(d.call) != nil {
			t.Error("a cancel of ten minutes ago still counts")
		}
		time.Sleep(time.Second)
		c.add("c-2", time.Now())
		if len(c.known) != 1 || len(c.order) != 1 {
			t.Errorf("%d are remembered, want 1", len(c.known))
		}
		c.add("c-1", time.Now())
		if !errors.Is(context.Cause(d.call), voip.ErrCancelled) {
			t.Error("a held call is not told of its cancel")
		}
		c.unwatch(d)
		if len(c.watched) != 0 {
			t.Error("a call that is gone is still watched")
		}
	})
}

// TestRecordIsPrivate: what the far side said in its own words stays out of the
// bucket.
func TestRecordIsPrivate(t *testing.T) {
	r := record{Sequence: 1, Clean: true, Progress: voip.Progress{Total: 1, LastAnswer: &voip.Answer{Code: 401, Message: "Li Lei"}}}
	b, err := r.encode()
	if err != nil || bytes.Contains(b, []byte("Li Lei")) || !bytes.Contains(b, []byte("401")) {
		t.Errorf("%s (%v)", b, err)
	}
}

// TestRecordEncodes: a fresh record is what encoding/json would write.
func TestRecordEncodes(t *testing.T) {
	for _, r := range []record{
		{Sequence: 12, Deliveries: 1, Worker: "host-1/a2b3"},
		{Sequence: 12, Deliveries: 1, Worker: "host-1/a2b3", Pushed: 1767323045678},
		{Sequence: 12, Deliveries: 3, Worker: "host/x", Clean: true},
		{Sequence: 12, Deliveries: 3, Worker: "host/x", Starts: 2, Progress: voip.Progress{Unknown: true}},
	} {
		want, err := json.Marshal(&r)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := r.encode(); err != nil || string(got) != string(want) {
			t.Errorf("%s (%v), want %s", got, err, want)
		}
	}
}

// TestReplace: a call that is over is replaced by one push alone; the others see
// that at their next look.
func TestReplace(t *testing.T) {
	r := newRig(t)
	n := r.start(t, reported)
	r.putRecord(t, "c-1", &record{Sequence: 9, Pushed: 1})
	over, found, err := n.calls.read(t.Context(), "c-1")
	if !found || err != nil {
		t.Fatal(found, err)
	}
	for i, won := range []bool{true, false} {
		mine := &claim{key: "c-1", record: record{Sequence: uint64(10 + i)}}
		cl, what, err := n.replace(t.Context(), fakeDelivery(uint64(10+i), 1), mine, &over)
		if (err == nil) != won || errors.Is(err, errTaken) || what != fresh || (cl.revision == 0) == won {
			t.Errorf("push %d: %v, %v, revision %d", i, what, err, cl.revision)
		}
	}
	if rec, _ := r.record(t, "c-1"); rec.Sequence != 10 {
		t.Errorf("push %d has the call, want the first", rec.Sequence)
	}
}

// TestLost: a push is held against its worker's death alone: not when this very
// worker had it, when it was given back, or when others lost theirs, too.
func TestLost(t *testing.T) {
	r := newRig(t)
	n := r.start(t, reported)
	for name, tt := range map[string]struct {
		record record
		after  time.Duration // the disturbance, after the push; 0: there was none
		want   int
	}{
		"another worker's":                      {record{Worker: "another"}, 0, 1},
		"and once more":                         {record{Worker: "another", Lost: 1}, 0, 2},
		"our own":                               {record{Worker: n.cfg.Worker, Lost: 1}, 0, 1},
		"given back":                            {record{Worker: "another", Clean: true}, 0, 0},
		"an outage since":                       {record{Worker: "another"}, time.Second, 0},
		"an outage before":                      {record{Worker: "another"}, -time.Second, 1},
		"nobody's, delivered four times before": {record{Lost: 4, Worker: n.cfg.Worker}, 0, 4},
	} {
		d := fakeDelivery(1, 9)
		d.stored = time.Now()
		n.disturbance.Store(0)
		if tt.after != 0 {
			n.disturbance.Store(d.stored.Add(tt.after).UnixNano())
		}
		cl, what, err := n.takeOver(t.Context(), d, &claim{key: strings.ReplaceAll(name, " ", "-"), record: tt.record})
		if err != nil || what != again || cl.record.Lost != tt.want || cl.record.suspect() != (tt.want > 1) {
			t.Errorf("%s: %v, %v, lost %d times, want %d", name, what, err, cl.record.Lost, tt.want)
		}
	}
	n.disturbance.Store(0)
	d := fakeDelivery(1, 3)
	d.envelope.CallID, d.stored = "c-1", time.Now()
	if lost := n.own(d).record.Lost; lost != 2 {
		t.Errorf("without a record: lost %d times, want 2", lost)
	}
	if n.disturb(); n.own(d).record.Lost != 0 {
		t.Error("an outage counts")
	}
}

// TestCreateBehindARecord: one that was seen and has aged out since is no record.
func TestCreateBehindARecord(t *testing.T) {
	r := newRig(t)
	n := r.start(t, reported)
	mine := &claim{key: "c-1", revision: 12345, record: record{Sequence: 10}}
	if have, err := n.calls.create(t.Context(), mine); have != nil || err != nil {
		t.Fatal(have, err)
	}
	if rec, found := r.record(t, "c-1"); !found || rec.Sequence != 10 {
		t.Errorf("record %+v (found: %v)", rec, found)
	}
}

// TestSentAfter: a lease runs from the last time that the push was surely sent
// after: an answer of the server to a turn, but not to one that was late, for
// this worker stood still, and what it reads then is older.
func TestSentAfter(t *testing.T) {
	l := newLeases(testkit.Broker(t).Conn(t), shortAckWait, slog.New(slog.DiscardHandler))
	asked := time.Now()
	if got := l.sentAfter(asked); !got.Equal(asked) {
		t.Errorf("before any answer: %v, want when it was asked for", got)
	}
	l.turn = asked
	l.mark(t.Context())
	answered := l.sentAfter(asked)
	if !answered.After(asked) {
		t.Error("an answer of the server does not count")
	}
	l.turn = answered.Add(-ackWait)
	l.mark(t.Context())
	if got := l.sentAfter(asked); !got.Equal(answered) {
		t.Errorf("after standing still: %v later", got.Sub(answered))
	}
}

// oneWay publishes, and while it is deaf hears no ack.
type oneWay struct {
	Publisher

	deaf bool
}

func (p *oneWay) PublishMsg(ctx context.Context, msg *nats.Msg) (jetstream.PubAck, error) {
	ack, err := p.Publisher.PublishMsg(ctx, msg)
	if err == nil && p.deaf {
		return jetstream.PubAck{}, nats.ErrTimeout
	}
	return ack, err
}

// TestLostAckOfARecord: a write whose ack is lost is known again when it is
// repeated; another worker's is not taken for it.
func TestLostAckOfARecord(t *testing.T) {
	r := newRig(t)
	bucket, err := r.js.Stream(t.Context(), broker.CallsStream)
	if err != nil {
		t.Fatal(err)
	}
	link := &oneWay{Publisher: r.Publisher(t)}
	s := &calls{publisher: link, stream: bucket, prefix: callsPrefix}
	mine := &claim{key: "c-1", record: record{Sequence: 1, Deliveries: 1, Worker: "mine"}}
	for _, step := range []string{"create", "update"} {
		link.deaf = true
		if err := s.write(t.Context(), mine); !errors.Is(err, nats.ErrTimeout) {
			t.Fatalf("%s: %v, want no ack", step, err)
		}
		link.deaf = false
		if err := s.write(t.Context(), mine); err != nil {
			t.Fatalf("%s: the same write again: %v", step, err)
		}
		mine.record.Starts++
	}
	link.deaf = true
	if err := s.write(t.Context(), mine); !errors.Is(err, nats.ErrTimeout) {
		t.Fatal(err)
	}
	link.deaf = false
	r.putRecord(t, "c-1", &record{Sequence: 1, Deliveries: 2, Worker: "another"})
	if err := s.write(t.Context(), mine); !errors.Is(err, errTaken) {
		t.Errorf("after another worker's write: %v, want %v", err, errTaken)
	}
}
