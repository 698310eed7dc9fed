package chaos

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/voip-push/worker/internal/voip"
)

// TestWorkerKilled: workers die at random moments under load.
func TestWorkerKilled(t *testing.T) {
	r := alone(t, 2)
	stored := r.gateway.load("c", form(500, 15000), form(100, 300))
	for range form(5, 40) {
		pass(time.Duration(r.dice.Int64N(int64(time.Second))))
		r.workers[r.dice.IntN(len(r.workers))].crash()
	}
	stored()
	r.verdict()
}

// TestWorkerFrozen: a worker stands still for longer than its ack wait and goes
// on, while others have its calls.
func TestWorkerFrozen(t *testing.T) {
	r := alone(t, 2)
	r.bridge.slow = 100 * time.Millisecond
	stored := r.gateway.load("c", form(600, 8000), form(70, 250))
	for i := range form(1, 4) {
		pass(time.Second)
		r.workers[i%2].freeze(6 * time.Second)
	}
	stored()
	r.verdict()
}

// TestRoll: all workers are replaced one by one under load. Nothing is
// reported again, and nobody waits long.
func TestRoll(t *testing.T) {
	r := alone(t, form(2, 4), "CONSUMER_ACK_WAIT=30s") // so that a busy machine loses no lease
	r.bridge.slow = 20 * time.Millisecond
	rate, seconds := form(50, 200), form(2, 20)
	r.gateway.load("quiet", rate*seconds, rate)()
	r.settled(patience)
	rolled := make(chan struct{})
	var load sync.WaitGroup
	load.Go(func() {
		for i := 0; !receive(rolled, 0); i++ {
			r.gateway.load(fmt.Sprintf("roll-%d", i), rate, rate)()
		}
	})
	for range form(1, 3) {
		for _, w := range r.workers {
			w.roll()
		}
	}
	close(rolled)
	load.Wait()
	if repeats := r.verdict(); repeats > 0 {
		t.Errorf("%d reports were repeated by a rolling restart", repeats)
	}
	o := r.outcomes()
	quiet, roll := o.latencies("quiet"), o.latencies("roll")
	t.Logf("push to result: quiet p50 %.1f ms, p99 %.1f ms; rolling p50 %.1f ms, p99 %.1f ms, max %.1f ms",
		at(quiet, 0.5), at(quiet, 0.99), at(roll, 0.5), at(roll, 0.99), at(roll, 1))
	limit := 3 * at(quiet, 0.99)
	if !*long { // beside other tests: nobody was left to the ack wait
		limit = 10_000
	}
	if at(roll, 0.99) > limit {
		t.Errorf("p99 during the roll is over %.1f ms", limit)
	}
}

// TestKillingPush: a push that kills every worker that reports it ends as
// CRASH_LOOP, and alone does: innocents beside it get through.
func TestKillingPush(t *testing.T) {
	const killer = "killer"
	r := alone(t, 2, "CONSUMER_ACK_WAIT=1s")
	r.bridge.slow = 200 * time.Millisecond // so that there are innocents beside it
	r.bridge.deadly = func(id string) bool { return id == killer }
	innocents := form(200, 1000)
	stored := r.gateway.load("innocent", innocents/2, innocents)
	r.gateway.expect(killer, voip.Failed)
	r.gateway.publish(push(killer))
	rest := r.gateway.load("beside", innocents-innocents/2, innocents)
	deaths := 0
	eventually(t, patience, "the killing push is settled", func() bool {
		deaths += r.revive()
		return r.countOf(voip.StreamDLQ) > 0
	})
	stored()
	rest()
	r.settled(patience)
	o := r.outcomes()
	if len(o.dead) != 1 || o.dead[killer] != voip.ReasonCrashLoop {
		t.Errorf("dead letters: %v, want %s alone, as CRASH_LOOP", o.dead, killer)
	}
	r.verdict()
	t.Logf("%d workers died of it, %d innocents", deaths, innocents)
}

// revive starts again the workers that have died.
func (r *rig) revive() (died int) {
	r.t.Helper()
	for _, w := range r.workers {
		if receive(w.ended, 0) {
			died++
			r.excuse(w.life)
			w.start()
		}
	}
	return died
}

// countOf is how many messages a stream holds.
func (r *rig) countOf(stream string) uint64 {
	r.t.Helper()
	s, err := r.js.Stream(r.ctx, stream)
	if err != nil {
		r.t.Fatal(err)
	}
	return s.CachedInfo().State.Msgs
}
