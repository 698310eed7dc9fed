package consumer

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/voip-push/worker/internal/broker"
	"github.com/voip-push/worker/internal/notifier"
	"github.com/voip-push/worker/internal/testkit"
	"github.com/voip-push/worker/internal/voip"
)

// ackWait is short, so that a crash is over soon, and long beside a noisy
// machine's hiccups.
const ackWait = 4 * time.Second

func shortAckWait() time.Duration { return ackWait }

// longAckWait is longer than any test: what is delivered again was given back.
const longAckWait = 5 * time.Minute

// noise is what a noisy machine may add to what is timed.
const noise = 5 * time.Second

// rig is a broker with the project's streams, and any number of workers on it.
type rig struct {
	*testkit.Server
	js   jetstream.JetStream
	seen requests
}

func newRig(t *testing.T) *rig {
	t.Helper()
	return newRigOf(t, ackWait)
}

func newRigOf(t *testing.T, ackWait time.Duration) *rig {
	t.Helper()
	s := testkit.Broker(t, testkit.Provisioned(), testkit.WithConfig(func(c *broker.Config) { c.AckWait = ackWait }))
	return &rig{Server: s, js: s.JS(t)}
}

// requests is what Call Kit's side has received, by idempotency key.
type requests struct {
	mu   sync.Mutex
	keys []string
}

func (r *requests) add(key string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.keys = append(r.keys, key)
}

func (r *requests) all() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]string{}, r.keys...)
}

// counts are what a test asks of the metrics.
type counts struct {
	noMetrics
	duplicates, redeliveries, withoutID, dead, outcomes, queued atomic.Int32

	oldest, everOldest, inQueue atomic.Int64 // as time.Duration
}

func (c *counts) Duplicate()        { c.duplicates.Add(1) }
func (c *counts) Redelivery()       { c.redeliveries.Add(1) }
func (c *counts) PushWithoutID()    { c.withoutID.Add(1) }
func (c *counts) DeadLetter(string) { c.dead.Add(1) }
func (c *counts) Oldest(age time.Duration) {
	c.oldest.Store(int64(age))
	c.everOldest.Store(max(c.everOldest.Load(), int64(age))) // one goroutine tells
}

func (c *counts) Stage(name string, took time.Duration) {
	if name == stageQueue {
		c.queued.Add(1)
		c.inQueue.Store(int64(took))
	}
}

func (c *counts) Outcome(string, string, time.Duration) { c.outcomes.Add(1) }

// node is one running worker.
type node struct {
	*Consumer
	counts *counts
	states chan error
	stop   func()        // as SIGTERM does
	done   chan struct{} // its Run has returned
	nc     *nats.Conn
}

type nodeOption func(*Config, *Parts, *Handler)

// start runs a worker whose attempts are answered by send.
func (r *rig) start(t *testing.T, send transport, options ...nodeOption) *node {
	t.Helper()
	nc := r.Conn(t)
	js, err := broker.JetStream(nc)
	if err != nil {
		t.Fatal(err)
	}
	calls, err := js.Stream(t.Context(), broker.CallsStream)
	if err != nil {
		t.Fatal(err)
	}
	publisher, err := broker.NewPublisher(nc)
	if err != nil {
		t.Fatal(err)
	}
	log := slog.New(slog.NewTextHandler(t.Output(), nil))
	h := newHandler(t, func(ctx context.Context, req *voip.Request) (voip.Answer, error) {
		r.seen.add(req.IdempotencyKey)
		return send(ctx, req)
	})
	n := &node{counts: &counts{}, states: make(chan error, 1024), done: make(chan struct{}), nc: nc}
	cfg := Config{MaxInFlight: 64, AckWait: func() time.Duration { return r.Config.AckWait }, MaxStarts: 3, DrainTimeout: 5 * time.Second, Claim: ClaimAlways, Worker: "test/" + fmt.Sprintf("%p", n)}
	parts := Parts{
		Conn: nc, JS: js, Calls: calls, Publisher: publisher, Handler: h, Notifier: notifier.New(publisher, log), Recorder: n.counts, Log: log,
		Hooks: Hooks{State: func(err error) {
			select {
			case n.states <- err:
			default: // a test that does not look
			}
		}},
	}
	for _, o := range options {
		o(&cfg, &parts, h)
	}
	n.Consumer = New(cfg, parts)
	ctx, cancel := context.WithCancel(context.Background())
	n.stop = cancel
	go func() {
		defer close(n.done)
		n.Run(ctx)
	}()
	t.Cleanup(func() {
		cancel()
		<-n.done
		if err := publisher.Close(); err != nil {
			t.Errorf("close the publisher: %v", err)
		}
	})
	return n
}

// crash ends a worker as a SIGKILL does: nothing that it says arrives any more.
func (n *node) crash() {
	n.nc.Close()
	n.stop()
	n.kill(voip.ErrStopping)
}

func reported(context.Context, *voip.Request) (voip.Answer, error) { return answer(voip.ErrorNone) }

func (r *rig) push(t *testing.T, body string, header nats.Header) uint64 {
	t.Helper()
	ack, err := r.js.PublishMsg(t.Context(), &nats.Msg{Subject: voip.SubjectPush, Data: []byte(body), Header: header})
	if err != nil {
		t.Fatal(err)
	}
	return ack.Sequence
}

func pushOf(id string) string { return `{"callId":"` + id + `","data":{"userName":"Li Lei"}}` }

func (r *rig) cancelCall(t *testing.T, id string) {
	t.Helper()
	body, err := voip.EncodeCancel(id)
	if err == nil {
		_, err = r.js.Publish(t.Context(), voip.SubjectCancel, body)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// count is how many messages a stream holds.
func (r *rig) count(t *testing.T, stream string) int {
	t.Helper()
	s, err := r.js.Stream(t.Context(), stream)
	if err != nil {
		t.Fatal(err)
	}
	return int(s.CachedInfo().State.Msgs)
}

// settled waits until nothing is left to do, and returns the results by callId.
// A call with two fails the test.
func (r *rig) settled(t *testing.T) map[string]voip.Result {
	t.Helper()
	testkit.Eventually(t, "every push settled", func() bool {
		c, err := r.js.Consumer(t.Context(), voip.StreamPush, voip.ConsumerWorkers)
		if err != nil {
			return false
		}
		pushes, err := r.js.Stream(t.Context(), voip.StreamPush)
		return err == nil && c.CachedInfo().AckFloor.Stream == pushes.CachedInfo().State.LastSeq
	})
	results := map[string]voip.Result{}
	for _, m := range testkit.Messages(t, r.js, voip.StreamResult) {
		res, err := voip.DecodeResult(m.Data)
		if err != nil {
			t.Fatal(err)
		}
		if _, twice := results[res.CallID]; twice {
			t.Errorf("call %s has two results", res.CallID)
		}
		results[res.CallID] = res
	}
	return results
}

// result settles and returns one call's result.
func (r *rig) result(t *testing.T, id string) voip.Result {
	t.Helper()
	res, ok := r.settled(t)[id]
	if !ok {
		t.Fatalf("call %s has no result", id)
	}
	return res
}

// record reads and writes a call's record as another worker would.
func (r *rig) record(t *testing.T, key string) (record, bool) {
	t.Helper()
	s, err := r.js.Stream(t.Context(), broker.CallsStream)
	if err != nil {
		t.Fatal(err)
	}
	msg, err := s.GetLastMsgForSubject(t.Context(), broker.CallsPrefix+key)
	if err != nil {
		return record{}, false
	}
	var rec record
	if err := json.Unmarshal(msg.Data, &rec); err != nil {
		t.Fatal(err)
	}
	return rec, true
}

func (r *rig) putRecord(t *testing.T, key string, rec *record) {
	t.Helper()
	body, err := json.Marshal(rec)
	if err == nil {
		_, err = r.js.Publish(t.Context(), broker.CallsPrefix+key, body)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// deliver lets a push be delivered so many times, each time given back at once.
func (r *rig) deliver(t *testing.T, times int) {
	t.Helper()
	c, err := r.js.Consumer(t.Context(), voip.StreamPush, voip.ConsumerWorkers)
	if err != nil {
		t.Fatal(err)
	}
	for range times {
		msg, err := c.Next()
		if err == nil {
			err = msg.Nak()
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}
