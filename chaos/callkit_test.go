package chaos

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/voip-push/worker/internal/voip"
)

// TestBridge: the bridge is away under load, and loses answers after it has
// accepted the calls, while workers die.
func TestBridge(t *testing.T) {
	r := alone(t, 2)
	stored := r.gateway.load("c", form(500, 8000), form(80, 200))
	pass(time.Second)
	r.outage(r.bridge.down) // what it had answered may not have arrived
	pass(form(2*time.Second, 10*time.Second))
	if ready, text := r.workers[0].readyz(); !ready {
		t.Errorf("a bridge that is away made the worker unready: %s", text)
	}
	r.bridge.up()
	r.bridge.losing(0.2)
	for range form(2, 10) {
		pass(time.Duration(r.dice.Int64N(int64(time.Second))))
		r.workers[r.dice.IntN(2)].crash()
	}
	stored()
	r.bridge.losing(0)
	r.verdict()
}

// TestCancels: calls are cancelled before their push, in the connection step,
// while they wait for their turn at a bridge that is slow, and while it is away.
// Whichever worker has them knows in time.
func TestCancels(t *testing.T) {
	r := alone(t, 2, "REPORT_CONCURRENCY=1", "CONNECT_SUBJECT=connect")
	calls := form(50, 200)
	silent := r.connects("connect")
	r.cancel("early", calls)
	r.gateway.load("early", calls, 400)()

	silent.Store(true)
	r.gateway.load("asking", calls, 400)()
	r.taken()
	r.cancel("asking", calls)
	r.settled(patience)
	silent.Store(false)

	r.bridge.least = time.Second
	r.gateway.load("queued", calls, 400)()
	r.taken()
	r.cancel("queued", calls)
	r.settled(patience) // an attempt that was on its way is let finish

	r.bridge.down()
	r.gateway.load("held", calls, 400)()
	r.taken()
	r.cancel("held", calls)
	r.settled(patience)
	r.bridge.up()

	late := r.lateness("asking", "queued", "held")
	t.Logf("from cancel to result: p50 %.1f ms, p99 %.1f ms, max %.1f ms", at(late, 0.5), at(late, 0.99), at(late, 1))
	if limit := form(10_000.0, 100); at(late, 1) > limit { // in the short form: far from what would end them else
		t.Errorf("a cancel took more than %.0f ms", limit)
	}
	r.verdict()
}

// connects answers the connection step's questions, with a yes or, while silent
// is set, not at all.
func (r *rig) connects(subject string) (silent *atomic.Bool) {
	r.t.Helper()
	silent = new(atomic.Bool)
	nc := r.connect()
	_, err := nc.Subscribe(subject, func(m *nats.Msg) {
		if !silent.Load() {
			_ = m.Respond([]byte(`{"code":0}`)) // the connection may be gone
		}
	})
	if err == nil {
		err = nc.Flush()
	}
	if err != nil {
		r.t.Fatal(err)
	}
	return silent
}

// cancel cancels the calls of a load.
func (r *rig) cancel(name string, calls int) {
	r.t.Helper()
	for i := range calls {
		id := fmt.Sprintf("%s-%d", name, i)
		body, err := voip.EncodeCancel(id)
		if err != nil {
			r.t.Fatal(err)
		}
		r.gateway.publish(&nats.Msg{Subject: voip.SubjectCancel, Data: body})
		r.gateway.cancels[id] = true
	}
}

// taken waits until the workers have read every push.
func (r *rig) taken() {
	r.t.Helper()
	eventually(r.t, patience, "the workers have the calls", func() bool {
		c, err := r.js.Consumer(r.ctx, voip.StreamPush, voip.ConsumerWorkers)
		return err == nil && c.CachedInfo().NumPending == 0
	})
	pass(500 * time.Millisecond) // and come as far as they can
}

// lateness is the time from cancel to result, in milliseconds and in order.
func (r *rig) lateness(names ...string) (ms []float64) {
	r.t.Helper()
	cancelled := map[string]time.Time{}
	for _, m := range r.read(voip.StreamCancel) {
		id, err := voip.DecodeCancel(m.Data())
		meta, metaErr := m.Metadata()
		if err := errors.Join(err, metaErr); err != nil {
			r.t.Fatal(err)
		}
		cancelled[id] = meta.Timestamp
	}
	for id, results := range r.outcomes().results {
		name, _, _ := strings.Cut(id, "-")
		if slices.Contains(names, name) && results[0].Outcome == voip.Cancelled {
			ms = append(ms, voip.Millis(results[0].CompletedAt.Sub(cancelled[id])))
		}
	}
	slices.Sort(ms)
	return ms
}
