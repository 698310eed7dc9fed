package chaos

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/voip-push/worker/internal/broker"
	"github.com/voip-push/worker/internal/voip"
)

// TestStreamFull: the stream of pushes says no to its gateways until there is
// room, and that of the results to the workers. Nothing is lost.
func TestStreamFull(t *testing.T) {
	r := alone(t, 2, "NATS_PUSH_MAX_BYTES=1MiB", "CONSUMER_ACK_WAIT=30s")
	var sent sync.WaitGroup
	for i := range 100 {
		sent.Go(func() {
			id := fmt.Sprint("large-", i)
			msg := push(id)
			msg.Data = fmt.Appendf(nil, `{"callId":%q,"padding":"%020000d","data":{"userName":"Li Lei"}}`, id, i)
			r.gateway.expect(id, voip.Reported)
			r.gateway.publish(msg)
		})
	}
	eventually(t, patience, "a push is refused", func() bool {
		r.gateway.mu.Lock()
		defer r.gateway.mu.Unlock()
		return r.gateway.refused > 0
	})
	r.provision("NATS_PUSH_MAX_BYTES=64MiB")
	sent.Wait()
	r.settled(patience)

	results, err := r.js.Stream(r.ctx, voip.StreamResult)
	if err != nil {
		t.Fatal(err)
	}
	cfg := results.CachedInfo().Config
	full := cfg
	full.Discard, full.MaxMsgs = jetstream.DiscardNew, int64(r.countOf(voip.StreamResult))
	r.update(full)
	r.gateway.load("late", 100, 200)()
	pass(time.Second)
	if have := r.countOf(voip.StreamResult); have != uint64(full.MaxMsgs) {
		t.Errorf("%d results in a stream that is full at %d", have, full.MaxMsgs)
	}
	r.update(cfg)
	if repeats := r.verdict(); repeats > 0 {
		t.Errorf("%d reports were repeated because of full streams", repeats)
	}
}

func (r *rig) update(cfg jetstream.StreamConfig) {
	r.t.Helper()
	if _, err := r.js.UpdateStream(r.ctx, cfg); err != nil {
		r.t.Fatal(err)
	}
}

// TestDuplicates: pushes come again, with and without a message id of their
// own, while workers die. Whichever is first has the call.
func TestDuplicates(t *testing.T) {
	r := alone(t, 2)
	calls := form(200, 2000)
	var sent sync.WaitGroup
	for i := range calls {
		id := fmt.Sprint("c-", i)
		r.gateway.expect(id, voip.Reported)
		for _, msgID := range []string{id, id, "again-" + id, ""} {
			msg := push(id)
			if msg.Header.Set(voip.HeaderMsgID, msgID); msgID == "" {
				msg.Header.Del(voip.HeaderMsgID)
			}
			sent.Go(func() { r.gateway.publish(msg) })
		}
		if i%(calls/4) == calls/8 {
			r.workers[r.dice.IntN(2)].crash()
		}
		pass(2 * time.Millisecond)
	}
	sent.Wait()
	r.allRead()
	r.verdict()
}

// allRead waits until every push is settled.
func (r *rig) allRead() {
	r.t.Helper()
	eventually(r.t, patience, "every push is settled", func() bool {
		pushes, err := r.js.Stream(r.ctx, voip.StreamPush)
		if err != nil {
			return false
		}
		c, err := r.js.Consumer(r.ctx, voip.StreamPush, voip.ConsumerWorkers)
		return err == nil && c.CachedInfo().AckFloor.Stream == pushes.CachedInfo().State.LastSeq
	})
}

// TestGatewaySkew: a gateway's clock may bring a call's end forward and never
// put it off, be it an hour wrong.
func TestGatewaySkew(t *testing.T) {
	r := alone(t, 1)
	for name, skew := range map[string]time.Duration{"behind": -time.Hour, "ahead": time.Hour} {
		for i := range 20 {
			id := fmt.Sprintf("%s-%d", name, i)
			r.gateway.call(id, voip.HeaderExpiresAt, time.Now().Add(skew+life).Format(time.RFC3339Nano),
				voip.HeaderTraceparent, "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01")
			if skew < 0 {
				r.gateway.expect(id, voip.Expired)
			}
		}
	}
	r.verdict()
	for id, results := range r.outcomes().results {
		if end := results[0].ExpiresAt.Sub(results[0].Push.ReceivedAt); end > life {
			t.Errorf("%s ends %v after its push, want at most %v", id, end, life)
		}
	}
}

// TestGone: the consumer, and each stream, is deleted under load. The workers
// say which and keep saying it, and go on when it is back.
func TestGone(t *testing.T) {
	t.Parallel()
	for name, remove := range map[string]func(ctx context.Context, js jetstream.JetStream) error{
		voip.ConsumerWorkers: func(ctx context.Context, js jetstream.JetStream) error {
			return js.DeleteConsumer(ctx, voip.StreamPush, voip.ConsumerWorkers)
		},
		voip.StreamPush:    deleting(voip.StreamPush),
		voip.StreamResult:  deleting(voip.StreamResult),
		voip.StreamDLQ:     deleting(voip.StreamDLQ),
		voip.StreamCancel:  deleting(voip.StreamCancel),
		broker.CallsStream: deleting(broker.CallsStream),
	} {
		t.Run(name, func(t *testing.T) {
			r := alone(t, 2)
			stored := func() {}
			switch name { // what these two hold goes with them
			case voip.StreamPush:
				r.gateway.load("before", 600, 400)()
				r.settled(patience)
			case voip.StreamResult:
			default:
				r.gateway.load("before", 200, 400)()
				r.settled(patience)
				stored = r.gateway.load("c", form(400, 4000), 100)
			}
			if err := remove(r.ctx, r.js); err != nil {
				t.Fatal(err)
			}
			if name == voip.StreamResult {
				stored = r.gateway.load("c", form(400, 4000), 100)
			}
			for _, w := range r.workers {
				t.Logf("%s is unready after %v", w.life, w.unready(truth, name))
			}
			for range 40 {
				if ready, _ := r.workers[0].readyz(); ready {
					t.Error("it says that it is ready, though nothing has changed")
				}
				pass(100 * time.Millisecond)
			}
			if name == voip.StreamPush {
				stored = r.gateway.load("after", 200, 100)
			}
			r.provision()
			for _, w := range r.workers {
				t.Logf("%s is ready after %v", w.life, w.ready(truth))
			}
			stored()
			r.verdict()
		})
	}
}

func deleting(stream string) func(ctx context.Context, js jetstream.JetStream) error {
	return func(ctx context.Context, js jetstream.JetStream) error { return js.DeleteStream(ctx, stream) }
}
