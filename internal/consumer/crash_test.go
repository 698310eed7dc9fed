package consumer

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/voip-push/worker/internal/broker"
	"github.com/voip-push/worker/internal/testkit"
	"github.com/voip-push/worker/internal/voip"
)

// TestCrashInAnAttempt: the next worker asks again under the same key, so that
// the far side can tell, and the call has one result.
func TestCrashInAnAttempt(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	begun := make(chan struct{})
	dies := r.start(t, func(ctx context.Context, _ *voip.Request) (voip.Answer, error) {
		close(begun)
		<-ctx.Done()
		return voip.Answer{}, &voip.ReportError{Reason: voip.ReasonReportUnavailable, Arrival: voip.MayHaveArrived}
	})
	r.push(t, pushOf("c-1"), nil)
	<-begun
	dies.crash()
	lives := r.start(t, func(context.Context, *voip.Request) (voip.Answer, error) {
		return voip.Answer{Code: voip.CodeInvalidValue, Duplicate: true}, nil
	})
	res := r.result(t, "c-1")
	if keys := r.seen.all(); !slices.Equal(keys, []string{"c-1.r0.a1", "c-1.r0.a1"}) {
		t.Errorf("keys %v, want the same twice", keys)
	}
	if res.Outcome != voip.Reported || !res.Inferred || res.Push.Deliveries != 2 {
		t.Errorf("%s, inferred %t, delivery %d: the duplicate answer tells of the attempt before the crash", res.Outcome, res.Inferred, res.Push.Deliveries)
	}
	// The ack wait of a dead worker is no time in the queue.
	if dies.counts.queued.Load() != 1 || lives.counts.queued.Load() != 0 {
		t.Errorf("the push came out of the queue %d and %d times, want 1 and 0", dies.counts.queued.Load(), lives.counts.queued.Load())
	}
}

// TestCrashThenExpired: what may have rung is said to.
func TestCrashThenExpired(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	begun := make(chan struct{})
	dies := r.start(t, func(ctx context.Context, _ *voip.Request) (voip.Answer, error) {
		close(begun)
		<-ctx.Done()
		return voip.Answer{}, &voip.ReportError{Reason: voip.ReasonReportUnavailable}
	})
	r.push(t, `{"callId":"c-1","data":{"ttlSeconds":1}}`, nil)
	<-begun
	dies.crash()
	r.start(t, reported)
	res := r.result(t, "c-1")
	if res.Outcome != voip.Expired || res.Message != voip.ErrExpired.Error()+mayHaveRung {
		t.Errorf("%s: %q", res.Outcome, res.Message)
	}
}

// TestRedeliveries: what the record and the stored result say of a push that
// comes again.
func TestRedeliveries(t *testing.T) {
	t.Parallel()
	decidedResult := voip.Result{CallID: "c-1", Attempts: []voip.Attempt{}, AttemptsTotal: 1, Push: voip.PushRef{Sequence: 1}}
	decidedResult.Decide(&voip.ReportError{Reason: voip.ReasonInvalidCall})
	for name, tt := range map[string]struct {
		record   *record // before the worker starts; sequence 1 is the push's
		result   bool    // its result is stored
		attempts []string
		reason   voip.Reason
		dead     int

		refused    bool // by Call Kit, for good
		mode       ClaimMode
		deliveries int // before the worker starts
	}{
		"the result is stored": {record: &record{Sequence: 1, Deliveries: 1}, result: true},
		"decided, nothing published": {
			record: &record{Sequence: 1, Deliveries: 1, Decided: &decided{Stage: voip.StageReport, Result: decidedResult}},
			reason: voip.ReasonInvalidCall, dead: 1,
		},
		"decided, result published": {
			record: &record{Sequence: 1, Deliveries: 1, Decided: &decided{Stage: voip.StageReport, Result: decidedResult}},
			result: true, dead: 1,
		},
		"begun and not heard of": {record: &record{Sequence: 1, Deliveries: 1}, attempts: []string{"c-1.r0.a1"}, reason: voip.ReasonNone},
		"given back after two answers": {
			record:   &record{Sequence: 1, Deliveries: 1, Clean: true, Progress: voip.Progress{Total: 2, Key: 2, Few: 2}},
			attempts: []string{"c-1.r0.a3"}, reason: voip.ReasonNone,
		},
		"given back, then begun and not heard of": {
			record:   &record{Sequence: 1, Deliveries: 1, Progress: voip.Progress{Total: 2, Key: 2, Few: 2}},
			attempts: []string{"c-1.r0.a3"}, reason: voip.ReasonNone,
		},
		// The server forgot deliveries, or this one is late: a later one is another
		// worker's. The push comes again, and is done by then.
		"a later delivery is known":           {record: &record{Sequence: 1, Deliveries: 2}, attempts: []string{"c-1.r0.a1"}, reason: voip.ReasonNone},
		"another push has the call":           {record: &record{Sequence: 99, Deliveries: 1}},
		"another push has the call, for long": {record: &record{Sequence: 99, Deliveries: 1, Pushed: time.Now().Add(-callLife + time.Minute).UnixMilli()}},
		"another push had it, written not so long": {
			record:   &record{Sequence: 99, Deliveries: 1, Pushed: time.Now().Add(-callLife).UnixMilli(), Decided: &decided{Stage: voip.StageReport, Result: decidedResult}},
			attempts: []string{"c-1.r0.a1"}, reason: voip.ReasonNone,
		},
		"a later call has the id": {
			record:   &record{Sequence: 99, Deliveries: 1, Pushed: time.Now().Add(callLife + time.Minute).UnixMilli()},
			attempts: []string{"c-1.r0.a1"}, reason: voip.ReasonNone,
		},
		"a later call has the id, and this one its result": {
			record: &record{Sequence: 99, Deliveries: 1, Pushed: time.Now().Add(callLife + time.Minute).UnixMilli()}, result: true,
		},
		"claimed by its id, after an earlier call, and the result is stored": {
			mode: ClaimMsgID, deliveries: 1, record: &record{Sequence: 99, Deliveries: 1, Pushed: time.Now().Add(-callLife).UnixMilli()}, result: true,
		},
		"claimed by its id, after an earlier call": {
			mode: ClaimMsgID, deliveries: 1, record: &record{Sequence: 99, Deliveries: 1, Pushed: time.Now().Add(-callLife).UnixMilli()},
			attempts: []string{"c-1.r0.a1"}, reason: voip.ReasonNone,
		},
		"claimed by its id beside an earlier call, and refused": {
			mode: ClaimMsgID, record: &record{Sequence: 99, Deliveries: 1, Pushed: time.Now().Add(-callLife).UnixMilli()},
			refused: true, attempts: []string{"c-1.r0.a1"}, reason: voip.ReasonInvalidCall, dead: 1,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t)
			r.push(t, pushOf("c-1"), nats.Header{voip.HeaderMsgID: {"c-1"}})
			r.deliver(t, tt.deliveries)
			r.putRecord(t, "c-1", tt.record)
			if tt.result {
				if _, err := r.js.PublishMsg(t.Context(), &nats.Msg{
					Subject: voip.SubjectResult, Data: []byte(`{"callId":"c-1"}`), Header: nats.Header{voip.HeaderMsgID: {voip.ResultMsgID(1)}},
				}); err != nil {
					t.Fatal(err)
				}
			}
			send := reported
			if tt.refused {
				send = func(context.Context, *voip.Request) (voip.Answer, error) { return answer(voip.InvalidCall) }
			}
			r.start(t, send, func(c *Config, _ *Parts, _ *Handler) { c.Claim = cmp.Or(tt.mode, c.Claim) })
			res := r.settled(t)["c-1"]
			if got := r.seen.all(); !slices.Equal(got, tt.attempts) && len(got)+len(tt.attempts) > 0 {
				t.Errorf("attempts %v, want %v", got, tt.attempts)
			}
			if res.Reason != tt.reason {
				t.Errorf("reason %q, want %q", res.Reason, tt.reason)
			}
			if got := r.count(t, voip.StreamDLQ); got != tt.dead {
				t.Errorf("%d dead letters, want %d", got, tt.dead)
			}
		})
	}
}

// TestCrashLoop: a suspect that was begun alone as often as is allowed is dead,
// without being decoded; one that was begun less often runs.
// TestForgottenDelivery: a server that was killed may deliver again, under the
// same count, what another worker still has. That is left alone until the other
// one has let an ack wait pass.
func TestForgottenDelivery(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.push(t, pushOf("c-1"), nil)
	r.putRecord(t, "c-1", &record{Sequence: 1, Deliveries: 1, Worker: "another"})
	r.start(t, reported)
	if res := r.result(t, "c-1"); res.Outcome != voip.Reported || res.Push.Deliveries != 2 {
		t.Errorf("%s at delivery %d, want reported at the second", res.Outcome, res.Push.Deliveries)
	}
}

func TestCrashLoop(t *testing.T) {
	for starts, want := range map[int]voip.Reason{2: voip.ReasonNone, 3: voip.ReasonCrashLoop} {
		r := newRig(t)
		r.push(t, pushOf("c-1"), nil)
		r.deliver(t, suspectFrom-1)
		r.putRecord(t, "c-1", &record{Sequence: 1, Deliveries: 2, Starts: starts})
		r.start(t, reported)
		res := r.result(t, "c-1")
		if res.Reason != want {
			t.Errorf("begun %d times: %s, want %s", starts, res.Reason, want)
		}
		if want != voip.ReasonCrashLoop {
			continue
		}
		dead := testkit.Messages(t, r.js, voip.StreamDLQ)
		if len(dead) != 1 || dead[0].Header.Get(voip.HeaderClass) != "crash" || dead[0].Header.Get(voip.HeaderStage) != "deliver" {
			t.Errorf("dead letter: %v", dead)
		}
		if len(r.seen.all()) != 0 || res.Direction != nil {
			t.Error("it was run, or decoded, all the same")
		}
	}
}

// TestSuspectRunsAlone: from its third delivery on nothing runs beside a push;
// its record counts it as begun while it runs, and not while it waits.
func TestSuspectRunsAlone(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.push(t, pushOf("suspect"), nil)
	r.deliver(t, suspectFrom-1)
	var mu sync.Mutex
	running, beside := 0, false
	var starts []int
	var tries atomic.Int32
	r.start(t, func(_ context.Context, req *voip.Request) (voip.Answer, error) {
		mu.Lock()
		running++
		suspect := req.Attribute.CallID == "suspect"
		beside = beside || suspect && running > 1
		mu.Unlock()
		defer func() {
			mu.Lock()
			running--
			mu.Unlock()
		}()
		if !suspect {
			return answer(voip.ErrorNone)
		}
		rec, _ := r.record(t, "suspect") //nolint:contextcheck // the test's own look
		mu.Lock()
		starts = append(starts, rec.Starts)
		mu.Unlock()
		if tries.Add(1) == 1 { // long enough for the test to see it wait
			return voip.Answer{}, &voip.ReportError{Reason: voip.ReasonReportUnavailable, Arrival: voip.TurnedAway, RetryAfter: 3 * time.Second}
		}
		return answer(voip.ErrorNone)
	})
	for i := range 60 {
		r.push(t, pushOf(fmt.Sprint("c-", i)), nil)
	}
	testkit.Eventually(t, "the suspect to wait", func() bool {
		rec, ok := r.record(t, "suspect")
		return ok && rec.Starts == 0 && rec.Progress.Total == 1
	})
	results := r.settled(t)
	mu.Lock()
	defer mu.Unlock()
	if beside {
		t.Error("something ran beside the suspect")
	}
	if !slices.Equal(starts, []int{1, 1}) {
		t.Errorf("begun %v times in its attempts, want 1 each", starts)
	}
	if len(results) != 61 || results["suspect"].AttemptsTotal != 2 {
		t.Errorf("%d results, the suspect's after %d attempts", len(results), results["suspect"].AttemptsTotal)
	}
}

// TestStop: started attempts are finished, waiting and unstarted pushes are
// given back at once with what is known of them, and nothing is repeated.
func TestStop(t *testing.T) {
	r := newRig(t)
	begun, finish := make(chan struct{}), make(chan struct{})
	first := r.start(t, func(_ context.Context, req *voip.Request) (voip.Answer, error) {
		if req.Attribute.CallID == "busy" {
			return voip.Answer{}, &voip.ReportError{Reason: voip.ReasonReportUnavailable, Arrival: voip.TurnedAway, RetryAfter: 20 * time.Second}
		}
		close(begun)
		<-finish
		return answer(voip.ErrorNone)
	})
	r.push(t, pushOf("busy"), nil)
	testkit.Eventually(t, "the busy call to wait", func() bool { return len(r.seen.all()) == 1 })
	r.push(t, pushOf("started"), nil)
	<-begun
	first.stop()
	testkit.Eventually(t, "the waiting call to be given back", func() bool {
		rec, ok := r.record(t, "busy")
		return ok && rec.Clean && rec.Progress.Total == 1
	})
	second := r.start(t, reported)
	testkit.Eventually(t, "the waiting call to be done elsewhere", func() bool { return slices.Contains(r.seen.all(), "busy.r0.a2") })
	close(finish)
	<-first.done
	results := r.settled(t)
	if got := results["started"]; got.Outcome != voip.Reported || got.Worker != first.cfg.Worker || got.Push.Deliveries != 1 {
		t.Errorf("the started call: %s by %s, delivery %d", got.Outcome, got.Worker, got.Push.Deliveries)
	}
	if got := results["busy"]; got.Outcome != voip.Reported || got.Worker != second.cfg.Worker || got.AttemptsTotal != 2 {
		t.Errorf("the waiting call: %s by %s, %d attempts", got.Outcome, got.Worker, got.AttemptsTotal)
	}
	if keys := r.seen.all(); !slices.Equal(keys, []string{"busy.r0.a1", "started.r0.a1", "busy.r0.a2"}) {
		t.Errorf("attempts %v", keys)
	}
}

// TestStopGivesBackWhatIsNotStarted: all that was pulled and not begun goes to
// the next worker at once, and not after an ack wait.
func TestStopGivesBackWhatIsNotStarted(t *testing.T) {
	t.Parallel()
	r := newRigOf(t, longAckWait)
	first := r.start(t, reported, func(_ *Config, _ *Parts, h *Handler) { h.Avatars = slowPicture })
	const calls = 30
	for i := range calls {
		r.push(t, pushOf(fmt.Sprint("c-", i)), nil)
	}
	testkit.Eventually(t, "all to be held", func() bool { return first.leases.count() == calls })
	first.stop()
	<-first.done
	r.start(t, reported)
	if got := len(r.settled(t)); got != calls {
		t.Errorf("%d results for %d calls", got, calls)
	}
	if got := len(r.seen.all()); got != calls {
		t.Errorf("%d attempts for %d calls", got, calls)
	}
}

// TestStopInTime: an attempt that does not end is cut off, and its push goes to
// the next worker under the same key.
func TestStopInTime(t *testing.T) {
	t.Parallel()
	r := newRigOf(t, longAckWait)
	begun := make(chan struct{})
	first := r.start(t, func(ctx context.Context, _ *voip.Request) (voip.Answer, error) {
		close(begun)
		<-ctx.Done()
		return voip.Answer{}, &voip.ReportError{Reason: voip.ReasonReportUnavailable, Arrival: voip.MayHaveArrived}
	}, func(c *Config, _ *Parts, _ *Handler) { c.DrainTimeout = 3 * time.Second })
	r.push(t, pushOf("c-1"), nil)
	<-begun
	began := time.Now()
	first.stop()
	<-first.done
	if took := time.Since(began); took > first.cfg.DrainTimeout+noise {
		t.Errorf("stopped after %v, the drain timeout is %v", took, first.cfg.DrainTimeout)
	}
	r.start(t, reported)
	if res := r.result(t, "c-1"); res.Outcome != voip.Reported || !slices.Equal(r.seen.all(), []string{"c-1.r0.a1", "c-1.r0.a1"}) {
		t.Errorf("%s after %v", res.Outcome, r.seen.all())
	}
}

// TestServerForgetsDeliveries: a server that lost its consumer delivers what is
// in hand again, with a count of 1. Nothing of it is repeated.
func TestServerForgetsDeliveries(t *testing.T) {
	t.Parallel()
	for _, mode := range []ClaimMode{ClaimAlways, ClaimMsgID} {
		r := newRig(t)
		finish := make(chan struct{})
		n := r.start(t, func(ctx context.Context, _ *voip.Request) (voip.Answer, error) {
			select {
			case <-finish:
				return answer(voip.ErrorNone)
			case <-ctx.Done():
				return voip.Answer{}, &voip.ReportError{Reason: voip.ReasonReportUnavailable, Arrival: voip.MayHaveArrived}
			}
		}, func(c *Config, p *Parts, _ *Handler) {
			c.Claim = mode
			p.Hooks.Verify = func(ctx context.Context) error {
				_, err := broker.Provision(ctx, r.js, &r.Config)
				return err
			}
		})
		const calls = 20
		for i := range calls {
			id := fmt.Sprint("c-", i)
			r.push(t, pushOf(id), nats.Header{voip.HeaderMsgID: {id}})
		}
		testkit.Eventually(t, "the attempts", func() bool { return len(r.seen.all()) == 8 }) // REPORT_CONCURRENCY of the rig
		testkit.Eventually(t, "all to be held", func() bool { return n.leases.count() == calls })
		if err := r.js.DeleteConsumer(t.Context(), voip.StreamPush, voip.ConsumerWorkers); err != nil {
			t.Fatal(err)
		}
		testkit.Eventually(t, "the pushes to come again", func() bool {
			again, err := r.js.Consumer(t.Context(), voip.StreamPush, voip.ConsumerWorkers)
			return err == nil && again.CachedInfo().NumAckPending == calls
		})
		close(finish)
		if got := len(r.settled(t)); got != calls {
			t.Errorf("%s: %d results", mode, got)
		}
		if got := len(r.seen.all()); got != calls {
			t.Errorf("%s: %d attempts for %d calls: %v", mode, got, calls, r.seen.all())
		}
	}
}

// TestCancelsOfANewStream: cancels are followed in a stream that was deleted
// and made again, and its absence is said.
func TestCancelsOfANewStream(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	n := r.start(t, reported, func(_ *Config, p *Parts, _ *Handler) {
		p.Hooks.Verify = func(ctx context.Context) error {
			_, err := broker.Provision(ctx, r.js, &r.Config)
			return err
		}
	})
	r.cancelCall(t, "before")
	r.push(t, pushOf("before"), nil)
	if res := r.result(t, "before"); res.Outcome != voip.Cancelled {
		t.Fatal(res.Outcome)
	}
	if err := r.js.DeleteStream(t.Context(), voip.StreamCancel); err != nil {
		t.Fatal(err)
	}
	testkit.Eventually(t, "the new stream", func() bool {
		_, err := r.js.Stream(t.Context(), voip.StreamCancel)
		return err == nil
	})
	r.cancelCall(t, "after")
	testkit.Eventually(t, "the cancel to be known", func() bool {
		n.cancels.mu.Lock()
		defer n.cancels.mu.Unlock()
		_, known := n.cancels.known["after"]
		return known
	})
	r.push(t, pushOf("after"), nil)
	if res := r.result(t, "after"); res.Outcome != voip.Cancelled {
		t.Errorf("%s: the cancel in the new stream is not known", res.Outcome)
	}
}

// TestEmptyCancelWithAStatus: nor does one among the cancels keep anybody from
// reading the others.
func TestEmptyCancelWithAStatus(t *testing.T) {
	r := newRig(t)
	odd := func() {
		for _, status := range []string{"100", "404", "408", "409", "503", "weird"} {
			msg := &nats.Msg{Subject: voip.SubjectCancel, Header: nats.Header{"Status": {status}, "Description": {"Consumer Deleted"}}}
			if _, err := r.js.PublishMsg(t.Context(), msg); err != nil {
				t.Fatal(err)
			}
		}
	}
	odd()
	r.cancelCall(t, "before")
	n := r.start(t, reported)
	r.push(t, pushOf("before"), nil)
	if res := r.result(t, "before"); res.Outcome != voip.Cancelled {
		t.Errorf("before the start: %s", res.Outcome)
	}
	odd()
	r.cancelCall(t, "after")
	testkit.Eventually(t, "the cancel to be known", func() bool {
		n.cancels.mu.Lock()
		defer n.cancels.mu.Unlock()
		_, known := n.cancels.known["after"]
		return known
	})
}

// TestEmptyPushWithAStatus: a push may look like a word of the server's.
func TestEmptyPushWithAStatus(t *testing.T) {
	r := newRig(t)
	n := r.start(t, reported)
	for _, status := range []string{"100", "404", "408", "409", "503", "weird"} {
		r.push(t, "", nats.Header{"Status": {status}, "Description": {"Consumer Deleted"}})
	}
	r.settled(t)
	if got := r.count(t, voip.StreamDLQ); got != 6 || n.puller.State() != nil {
		t.Errorf("%d dead letters, want 6; pulling: %v", got, n.puller.State())
	}
}
