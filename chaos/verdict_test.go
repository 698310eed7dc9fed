package chaos

import (
	"context"
	"encoding/json"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/voip-push/worker/internal/voip"
)

// outcomes is what the streams hold.
type outcomes struct {
	results map[string][]voip.Result
	dead    map[string]voip.Reason
}

// read is what a stream holds. A broker that has just come back is asked again.
func (r *rig) read(stream string) (all []jetstream.Msg) {
	r.t.Helper()
	eventually(r.t, patience, "read "+stream, func() bool {
		var err error
		all, err = r.tryRead(stream)
		return err == nil
	})
	return all
}

func (r *rig) tryRead(stream string) (all []jetstream.Msg, err error) {
	ctx, cancel := context.WithTimeout(r.ctx, patience/4)
	defer cancel()
	s, err := r.js.Stream(ctx, stream)
	if err != nil || s.CachedInfo().State.Msgs == 0 {
		return nil, err
	}
	c, err := s.OrderedConsumer(ctx, jetstream.OrderedConsumerConfig{})
	if err != nil {
		return nil, err
	}
	messages, err := c.Messages()
	if err != nil {
		return nil, err
	}
	defer messages.Stop()
	for uint64(len(all)) < s.CachedInfo().State.Msgs {
		m, err := messages.Next(jetstream.NextContext(ctx))
		if err != nil {
			return nil, err
		}
		all = append(all, m)
	}
	return all, nil
}

func (r *rig) outcomes() outcomes {
	r.t.Helper()
	o := outcomes{map[string][]voip.Result{}, map[string]voip.Reason{}}
	for _, m := range r.read(voip.StreamResult) {
		result, err := voip.DecodeResult(m.Data())
		if err != nil {
			r.t.Fatal(err)
		}
		o.results[result.CallID] = append(o.results[result.CallID], result)
	}
	for _, m := range r.read(voip.StreamDLQ) {
		o.dead[m.Headers().Get(voip.HeaderCallID)] = voip.Reason(m.Headers().Get(voip.HeaderReason))
	}
	return o
}

// latencies are those from push to result, in milliseconds and in order, of the
// calls whose names begin so.
func (o *outcomes) latencies(prefix string) (ms []float64) {
	for id, results := range o.results {
		if strings.HasPrefix(id, prefix) {
			ms = append(ms, results[0].LatencyMs)
		}
	}
	slices.Sort(ms)
	return ms
}

// at is a quantile of what is sorted.
func at(sorted []float64, q float64) float64 {
	return sorted[min(len(sorted)-1, int(q*float64(len(sorted))))]
}

// settled waits until there is a result for every call that was sent.
func (r *rig) settled(within time.Duration) {
	r.t.Helper()
	r.gateway.mu.Lock()
	calls := len(r.gateway.sent)
	r.gateway.mu.Unlock()
	var have uint64
	end := time.Now().Add(within)
	for have < uint64(calls) && time.Now().Before(end) {
		pass(50 * time.Millisecond)
		ctx, cancel := context.WithTimeout(r.ctx, 2*time.Second)
		if s, err := r.js.Stream(ctx, voip.StreamResult); err == nil {
			have = s.CachedInfo().State.Msgs
		}
		cancel()
	}
	if have < uint64(calls) {
		r.t.Errorf("%d results of %d calls after %v", have, calls, within)
	}
}

// verdict is how every test ends. It returns how many reports were repeated.
func (r *rig) verdict() (repeats int) {
	r.t.Helper()
	r.settled(patience)
	o := r.outcomes()
	r.bridge.mu.Lock()
	defer r.bridge.mu.Unlock()
	for id, want := range r.gateway.sent {
		results := o.results[id]
		if len(results) != 1 {
			r.t.Errorf("%s has %d results: %+v", id, len(results), results)
			continue
		}
		_, rang := r.bridge.accepted[id]
		if r.gateway.cancels[id] && !rang {
			want = voip.Cancelled
		}
		if got := results[0]; got.Outcome != want || rang != (want == voip.Reported) {
			r.t.Errorf("%s: %s, %s (%s), rang: %t; want %s", id, got.Outcome, got.Reason, got.Message, rang, want)
		}
		if _, dead := o.dead[id]; dead && rang {
			r.t.Errorf("%s rang and is a dead letter, %s", id, o.dead[id])
		}
	}
	for id := range o.results {
		if _, sent := r.gateway.sent[id]; !sent {
			r.t.Errorf("a result for %s, which nobody sent", id)
		}
	}
	repeats = r.ledgerHolds()
	r.audit()
	for _, p := range r.lives {
		if log := p.log.String(); strings.Contains(log, "DATA RACE") || strings.Contains(log, "panic") {
			r.t.Errorf("%s: a race or a panic: see its log, with -artifacts", p.name)
		}
	}
	late := o.latencies("")
	r.t.Logf("%d calls, %d reports repeated under their keys, %d publishes refused; push to result: p50 %.0f ms, p99 %.0f ms, max %.0f ms",
		len(r.gateway.sent), repeats, r.gateway.refused, at(late, 0.5), at(late, 0.99), at(late, 1))
	return repeats
}

// ledgerHolds sees to it that no call rang twice, and that none was reported
// again but where a fault cut the life before off, or lost its answer.
func (r *rig) ledgerHolds() (repeats int) {
	r.t.Helper()
	for _, call := range r.bridge.rungTwice {
		r.t.Errorf("%s rang twice", call)
	}
	before := map[string]*receipt{}
	because := map[string]int{}
	for _, now := range r.bridge.ledger {
		if now.repeated {
			repeats++
			because[r.cause(before[now.key], now)]++
		}
		before[now.key] = now
	}
	if repeats > 0 {
		r.t.Logf("reports were repeated because of %v", because)
	}
	return repeats
}

// cause is why a report was repeated. Without one it should not have been.
func (r *rig) cause(before, now *receipt) string {
	r.t.Helper()
	switch {
	case before.lost:
		return "a lost answer"
	case r.excused[before.life]:
		return "a worker's fault"
	case r.out(before.at, now.at):
		return "an outage"
	case r.excused[now.life]:
		return "a worker that stood still in its attempt"
	case r.lost(before):
		return "a machine too busy to keep a lease"
	}
	r.t.Errorf("%s was reported again by %s after %s, and nothing excuses it", now.key, now.life, before.life)
	return "nothing"
}

// lost says whether the life that made a report has said that it lost the lease
// of the call.
func (r *rig) lost(before *receipt) bool {
	for _, p := range r.lives {
		if p.name != before.life {
			continue
		}
		for line := range strings.Lines(p.log.String()) {
			if strings.Contains(line, "call_id="+before.call+" ") && (strings.Contains(line, "lease was lost") || strings.Contains(line, "another worker's now")) {
				return true
			}
		}
	}
	return false
}

// audit is the operator's own judge: it judges the calls whose life is over. A
// server of several that was cut off and does not know it yet, or is behind,
// tells of the past: what is wrong for good stays so.
func (r *rig) audit() {
	r.t.Helper()
	for began := time.Now(); ; pass(time.Second) {
		p := start(r.t, "audit", []string{"NATS_URL=" + r.direct()}, command("voipctl"), "audit", "--json", "--grace", "0s")
		code := p.exit(patience)
		out := p.log.String()
		if code == 0 && json.Valid([]byte(out)) {
			return
		}
		if len(r.servers) == 1 || time.Since(began) > patience/2 {
			r.t.Errorf("audit: exit code %d: %s", code, out)
			return
		}
	}
}
