package consumer

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/voip-push/worker/internal/broker"
	"github.com/voip-push/worker/internal/testkit"
	"github.com/voip-push/worker/internal/voip"
)

func TestEveryPushHasOneResult(t *testing.T) {
	r := newRig(t)
	for range 2 {
		r.start(t, reported)
	}
	const calls = 300
	for i := range calls {
		r.push(t, pushOf(fmt.Sprint("c-", i)), nil)
	}
	if got := len(r.settled(t)); got != calls {
		t.Errorf("%d results for %d calls", got, calls)
	}
	if got := len(r.seen.all()); got != calls {
		t.Errorf("%d attempts for %d calls", got, calls)
	}
}

// TestDuplicates: the claim comes before everything else, so a duplicate makes
// no second result whatever else it is.
func TestDuplicates(t *testing.T) {
	for name, second := range map[string]struct {
		body   string
		header nats.Header
	}{
		"the same":  {body: pushOf("c-1")},
		"malformed": {body: `{"callId":"c-1"}`},
		"expired":   {body: pushOf("c-1"), header: nats.Header{voip.HeaderExpiresAt: {"2000-01-01T00:00:00Z"}}},
		"another form": {
			body: `{"data":"{\"callId\":\"c-1\",\"data\":{}}"}`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t)
			n := r.start(t, reported)
			r.push(t, pushOf("c-1"), nil)
			r.result(t, "c-1")
			r.push(t, second.body, second.header)
			if res := r.result(t, "c-1"); res.Outcome != voip.Reported {
				t.Errorf("outcome %s", res.Outcome)
			}
			if n.counts.duplicates.Load() != 1 || r.count(t, voip.StreamDLQ) != 0 || len(r.seen.all()) != 1 {
				t.Errorf("%d duplicates, %d dead letters, attempts %v; want 1, 0, one", n.counts.duplicates.Load(), r.count(t, voip.StreamDLQ), r.seen.all())
			}
		})
	}
}

func TestPushWithoutCallID(t *testing.T) {
	r := newRig(t)
	n := r.start(t, reported)
	r.push(t, "not a push", nil)
	r.settled(t)
	dead := testkit.Messages(t, r.js, voip.StreamDLQ)
	if len(dead) != 1 || dead[0].Subject != "voip.dlq.MALFORMED_PUSH._" || string(dead[0].Data) != "not a push" {
		t.Fatalf("dead letters: %v", dead)
	}
	if r.count(t, voip.StreamResult) != 0 || n.counts.withoutID.Load() != 1 {
		t.Errorf("%d results, %d counted without a callId", r.count(t, voip.StreamResult), n.counts.withoutID.Load())
	}
}

// TestRedriveIsItsOwnCall: a redriven push is claimed as its own, its keys are
// its own, and its header alone is its deadline.
func TestRedriveIsItsOwnCall(t *testing.T) {
	r := newRig(t)
	r.start(t, reported)
	r.push(t, pushOf("c-1"), nil)
	r.settled(t)
	expires := time.Now().Add(4 * time.Minute).UTC().Truncate(time.Second)
	header := nats.Header{
		voip.HeaderRedrives: {"1"}, voip.HeaderOriginSequence: {"1"}, voip.HeaderExpiresAt: {expires.Format(time.RFC3339)},
	}
	r.push(t, pushOf("c-1"), header)
	testkit.Eventually(t, "a second result", func() bool { return r.count(t, voip.StreamResult) == 2 })
	results := testkit.Messages(t, r.js, voip.StreamResult)
	second, err := voip.DecodeResult(results[1].Data)
	if err != nil {
		t.Fatal(err)
	}
	if second.Redrives != 1 || !second.ExpiresAt.Equal(expires) || !slices.Contains(r.seen.all(), "c-1.r1.a1") {
		t.Errorf("redrives %d, expires %v, keys %v", second.Redrives, second.ExpiresAt, r.seen.all())
	}
	if _, ok := r.record(t, "c-1.1.r1"); !ok {
		t.Error("the redriven push has no record of its own")
	}
}

// TestCancel: known before the push, in a wait, and in an attempt, which is let
// finish.
func TestCancel(t *testing.T) {
	t.Run("before the push", func(t *testing.T) {
		r := newRig(t)
		r.cancelCall(t, "c-1")
		r.start(t, reported)
		r.push(t, pushOf("c-1"), nil)
		if res := r.result(t, "c-1"); res.Outcome != voip.Cancelled || len(r.seen.all()) != 0 {
			t.Errorf("%s after %v", res.Outcome, r.seen.all())
		}
	})
	t.Run("in a wait", func(t *testing.T) {
		r := newRig(t)
		r.start(t, func(context.Context, *voip.Request) (voip.Answer, error) {
			return voip.Answer{}, &voip.ReportError{Reason: voip.ReasonReportUnavailable, RetryAfter: time.Minute / 2, Arrival: voip.TurnedAway}
		})
		r.push(t, pushOf("c-1"), nil)
		testkit.Eventually(t, "an attempt", func() bool { return len(r.seen.all()) == 1 })
		r.cancelCall(t, "c-1")
		if res := r.result(t, "c-1"); res.Outcome != voip.Cancelled || res.AttemptsTotal != 1 {
			t.Errorf("%s after %d attempts", res.Outcome, res.AttemptsTotal)
		}
	})
	t.Run("in an attempt", func(t *testing.T) {
		r := newRig(t)
		begun, finish := make(chan struct{}), make(chan struct{})
		n := r.start(t, func(context.Context, *voip.Request) (voip.Answer, error) {
			close(begun)
			<-finish
			return answer(voip.ErrorNone)
		})
		r.push(t, pushOf("c-1"), nil)
		<-begun
		r.cancelCall(t, "c-1")
		testkit.Eventually(t, "the cancel to be known", func() bool {
			n.cancels.mu.Lock()
			defer n.cancels.mu.Unlock()
			return len(n.cancels.known) == 1
		})
		close(finish)
		if res := r.result(t, "c-1"); res.Outcome != voip.Reported {
			t.Errorf("%s, want reported: the attempt was on its way", res.Outcome)
		}
	})
}

// TestMsgIDMode: the stream's duplicate window claims what carries its callId
// as Nats-Msg-Id; the rest is claimed in the bucket.
func TestMsgIDMode(t *testing.T) {
	r := newRig(t)
	msgid := func(c *Config, _ *Parts, _ *Handler) { c.Claim = ClaimMsgID }
	n := r.start(t, reported, msgid)
	r.push(t, pushOf("trusted"), nats.Header{voip.HeaderMsgID: {"trusted"}})
	r.push(t, pushOf("claimed"), nats.Header{voip.HeaderMsgID: {"something-else"}})
	r.settled(t)
	if _, ok := r.record(t, "trusted"); ok {
		t.Error("a trusted push was claimed in the bucket all the same")
	}
	if _, ok := r.record(t, "claimed"); !ok {
		t.Error("a push that is not trusted was not claimed")
	}
	r.push(t, pushOf("claimed"), nats.Header{voip.HeaderMsgID: {"a-third"}})
	r.settled(t)
	if n.counts.duplicates.Load() != 1 {
		t.Errorf("%d duplicates, want 1", n.counts.duplicates.Load())
	}
	n.stop()
	<-n.done
	// A trusted push that is delivered again asks first whether its result is stored.
	seq := r.push(t, pushOf("again"), nats.Header{voip.HeaderMsgID: {"again"}})
	r.deliver(t, 1)
	if _, err := r.js.PublishMsg(t.Context(), &nats.Msg{
		Subject: voip.SubjectResult, Data: []byte(`{"callId":"again"}`), Header: nats.Header{voip.HeaderMsgID: {voip.ResultMsgID(seq)}},
	}); err != nil {
		t.Fatal(err)
	}
	before := len(r.seen.all())
	r.start(t, reported, msgid)
	r.settled(t)
	if got := r.seen.all()[before:]; len(got) != 0 {
		t.Errorf("attempted %v though its result is stored", got)
	}
}

// TestMsgIDDead: a dead settle writes the record that the claim left out.
func TestMsgIDDead(t *testing.T) {
	r := newRig(t)
	r.start(t, func(context.Context, *voip.Request) (voip.Answer, error) { return answer(voip.InvalidCall) },
		func(c *Config, _ *Parts, _ *Handler) { c.Claim = ClaimMsgID })
	r.push(t, pushOf("c-1"), nats.Header{voip.HeaderMsgID: {"c-1"}})
	if res := r.result(t, "c-1"); res.Reason != voip.ReasonInvalidCall || !res.DeadLettered {
		t.Errorf("%s, dead lettered %t", res.Reason, res.DeadLettered)
	}
	if rec, ok := r.record(t, "c-1"); !ok || rec.Decided == nil {
		t.Error("the decision is not in the record")
	}
}

// TestPullsFitTheSlots: a worker holds what it has slots for, and the rest
// stays with the broker.
func TestPullsFitTheSlots(t *testing.T) {
	r := newRig(t)
	release := make(chan struct{})
	r.start(t, func(context.Context, *voip.Request) (voip.Answer, error) {
		<-release
		return answer(voip.ErrorNone)
	}, func(c *Config, _ *Parts, _ *Handler) { c.MaxInFlight = 4 })
	const calls = 40
	for i := range calls {
		r.push(t, pushOf(fmt.Sprint("c-", i)), nil)
	}
	testkit.Eventually(t, "four attempts", func() bool { return len(r.seen.all()) == 4 })
	c, err := r.js.Consumer(t.Context(), voip.StreamPush, voip.ConsumerWorkers)
	if err != nil {
		t.Fatal(err)
	}
	if got := c.CachedInfo().NumAckPending; got != 4 {
		t.Errorf("%d pushes are held, want 4", got)
	}
	close(release)
	if got := len(r.settled(t)); got != calls {
		t.Errorf("%d results for %d calls", got, calls)
	}
}

// TestLeaseHolds: a call that waits far longer than the ack wait is not
// delivered again, and its age is known.
func TestLeaseHolds(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	var attempts atomic.Int32
	n := r.start(t, func(context.Context, *voip.Request) (voip.Answer, error) {
		if attempts.Add(1) == 1 {
			return voip.Answer{}, &voip.ReportError{Reason: voip.ReasonReportUnavailable, RetryAfter: ackWait * 3 / 2, Arrival: voip.TurnedAway}
		}
		return answer(voip.ErrorNone)
	})
	r.push(t, pushOf("c-1"), nil)
	if res := r.result(t, "c-1"); res.Push.Deliveries != 1 || res.AttemptsTotal != 2 {
		t.Errorf("%d deliveries, %d attempts; want 1 and 2", res.Push.Deliveries, res.AttemptsTotal)
	}
	if oldest := time.Duration(n.counts.everOldest.Load()); oldest < ackWait || oldest > 4*ackWait {
		t.Errorf("the oldest call was %v old, want more than %v", oldest, ackWait)
	}
	testkit.Eventually(t, "none is held", func() bool { return n.counts.oldest.Load() == 0 })
}

// TestTimeInTheQueue: it ends when the push is here, however long ago the worker
// asked for it, and is told by the broker's clock alone.
func TestTimeInTheQueue(t *testing.T) {
	n := newRig(t).start(t, reported)
	n.stop() // nothing else sets its clock any more
	<-n.done
	const age = 20 * time.Second
	for _, ahead := range []time.Duration{0, time.Hour, -time.Hour} {
		n.clock.ahead.Store(int64(ahead))
		stored := time.Now().Add(ahead - age)
		n.take(&nats.Msg{
			Reply: fmt.Sprintf("$JS.ACK.VOIP_PUSH.voip-workers.1.99.1.%d.0", stored.UnixNano()),
			Sub:   &nats.Subscription{}, Data: []byte(pushOf("c-1")),
		}, stored.Add(-age))
		n.running.Wait()
		if got := time.Duration(n.counts.inQueue.Load()); got < age || got > 2*age {
			t.Errorf("the broker is %v ahead: %v in the queue, want %v", ahead, got, age)
		}
	}
}

// TestCompletedByTheBrokersClock: a result's times can be told from one another.
func TestCompletedByTheBrokersClock(t *testing.T) {
	var c Consumer
	for _, ahead := range []time.Duration{0, time.Hour, -time.Hour} {
		c.clock.ahead.Store(int64(ahead))
		d := fakeDelivery(7, 1)
		d.settling = time.Now()
		d.stored = d.settling.Add(ahead - time.Second)
		r := c.result(d, &Verdict{})
		if want := d.settling.Add(ahead).UTC(); !r.CompletedAt.Equal(want) || r.LatencyMs != 1000 {
			t.Errorf("the broker is %v ahead: completed at %v after %v ms, want %v and 1000", ahead, r.CompletedAt, r.LatencyMs, want)
		}
	}
}

// TestPanicIsThePushsOwn: the worker lives, and the push is dead.
func TestPanicIsThePushsOwn(t *testing.T) {
	r := newRig(t)
	r.start(t, reported, func(_ *Config, _ *Parts, h *Handler) {
		h.Avatars = pictures(func(ctx context.Context, a voip.Avatar, side int) (voip.UserProfile, voip.AvatarResult, error) {
			if a.Given {
				panic("Li Lei")
			}
			return noPicture(ctx, a, side)
		})
	})
	r.push(t, `{"callId":"bad","data":{"avatar":"x"}}`, nil)
	r.push(t, pushOf("good"), nil)
	results := r.settled(t)
	if results["bad"].Reason != voip.ReasonUnknownErrorReason || results["good"].Reason != voip.ReasonNone {
		t.Errorf("bad: %s, good: %s", results["bad"].Reason, results["good"].Reason)
	}
	if strings.Contains(results["bad"].Message, "Li Lei") {
		t.Error("the message holds what the panic said")
	}
}

// TestConsumerGone: a worker whose consumer is gone says so, asks for it, and
// goes on when it is back.
func TestConsumerGone(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	var back atomic.Bool
	n := r.start(t, reported, func(_ *Config, p *Parts, _ *Handler) {
		p.Hooks.Verify = func(ctx context.Context) error {
			if !back.Load() {
				return errors.New("the consumer is missing")
			}
			_, err := broker.Provision(ctx, r.js, &r.Config)
			return err
		}
	})
	r.push(t, pushOf("before"), nil)
	r.settled(t)
	if err := r.js.DeleteConsumer(t.Context(), voip.StreamPush, voip.ConsumerWorkers); err != nil {
		t.Fatal(err)
	}
	for testkit.Receive(t, "a worker that says so", n.states) == nil { //nolint:revive // the states before it
	}
	back.Store(true)
	testkit.Eventually(t, "pulling again", func() bool { return n.puller.State() == nil })
	r.push(t, pushOf("after"), nil)
	if res := r.result(t, "after"); res.Outcome != voip.Reported {
		t.Error(res.Outcome)
	}
}

// TestServerRestart: what was under way when the server went is settled once.
func TestServerRestart(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	n := r.start(t, reported)
	const calls = 200
	for i := range calls {
		r.push(t, pushOf(fmt.Sprint("c-", i)), nil)
		if i == calls/2 {
			r.Restart(t)
			testkit.Eventually(t, "the test's own connection", func() bool {
				_, err := r.js.AccountInfo(t.Context())
				return err == nil
			})
		}
	}
	if got := len(r.settled(t)); got != calls {
		t.Errorf("%d results for %d calls", got, calls)
	}
	if n.counts.outcomes.Load() > calls {
		t.Errorf("%d outcomes counted", n.counts.outcomes.Load())
	}
	// What was lost so is held against no push.
	testkit.Eventually(t, "the outage to be noted", func() bool { return n.disturbance.Load() > 0 })
}

// TestOutcomeNotStored: a push is never settled unstored.
func TestOutcomeNotStored(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	results, err := r.js.Stream(t.Context(), voip.StreamResult)
	if err != nil {
		t.Fatal(err)
	}
	full := results.CachedInfo().Config
	full.MaxMsgs, full.Discard = 1, jetstream.DiscardNew
	if _, err := r.js.UpdateStream(t.Context(), full); err != nil {
		t.Fatal(err)
	}
	n := r.start(t, reported)
	r.push(t, pushOf("first"), nil)
	r.settled(t)
	r.push(t, pushOf("second"), nil)
	testkit.Eventually(t, "the second attempt", func() bool { return len(r.seen.all()) == 2 })
	testkit.Eventually(t, "the second push to be held", func() bool { return n.leases.count() == 1 })
	full.MaxMsgs = -1
	if _, err := r.js.UpdateStream(t.Context(), full); err != nil {
		t.Fatal(err)
	}
	if res := r.result(t, "second"); res.AttemptsTotal != 1 || len(r.seen.all()) != 2 {
		t.Errorf("%d attempts, all: %v", res.AttemptsTotal, r.seen.all())
	}
}

// TestOutcomeGivenBack: nor after a stop: the next worker publishes what was
// decided, and attempts nothing.
func TestOutcomeGivenBack(t *testing.T) {
	t.Parallel()
	for _, mode := range []ClaimMode{ClaimAlways, ClaimMsgID} {
		r := newRigOf(t, longAckWait)
		if err := r.js.DeleteStream(t.Context(), voip.StreamResult); err != nil {
			t.Fatal(err)
		}
		in := func(c *Config, _ *Parts, _ *Handler) { c.Claim, c.DrainTimeout = mode, 2*time.Second }
		first := r.start(t, reported, in)
		r.push(t, pushOf("c-1"), nats.Header{voip.HeaderMsgID: {"c-1"}})
		testkit.Eventually(t, "the attempt", func() bool { return len(r.seen.all()) == 1 })
		first.stop()
		<-first.done
		if _, err := broker.Provision(t.Context(), r.js, &r.Config); err != nil {
			t.Fatal(err)
		}
		second := r.start(t, reported, in)
		res := r.result(t, "c-1")
		if res.Outcome != voip.Reported || res.AttemptsTotal != 1 || res.Push.Deliveries != 1 || len(r.seen.all()) != 1 {
			t.Errorf("%s: %s after %d attempts, %v; want the first worker's result", mode, res.Outcome, res.AttemptsTotal, r.seen.all())
		}
		testkit.Eventually(t, "it to be counted", func() bool { return second.counts.outcomes.Load() == 1 })
		if dead := r.count(t, voip.StreamDLQ); dead != 0 || first.counts.outcomes.Load() != 0 {
			t.Errorf("%s: %d dead letters, %d outcomes of the first worker", mode, dead, first.counts.outcomes.Load())
		}
	}
}

// TestFirstPushHasTheCall: of pushes that arrive together the first has the
// call, also when it is the one that is wrong.
func TestFirstPushHasTheCall(t *testing.T) {
	r := newRig(t)
	const calls = 40
	for i := range calls {
		r.push(t, fmt.Sprintf(`{"callId":"c-%d"}`, i), nil) // malformed: it has no data
		r.push(t, pushOf(fmt.Sprint("c-", i)), nil)
	}
	r.start(t, reported)
	for id, res := range r.settled(t) {
		if res.Reason != voip.ReasonMalformedPush {
			t.Errorf("call %s: %s, want its first push's MALFORMED_PUSH", id, res.Reason)
		}
	}
	if got := len(r.seen.all()); got != 0 {
		t.Errorf("%d attempts for pushes that came second", got)
	}
}
