package report

import (
	"context"
	"errors"
	"log/slog"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/voip-push/worker/internal/callkit"
	"github.com/voip-push/worker/internal/testkit"
	"github.com/voip-push/worker/internal/voip"
)

// bench is a stage on a bridge that can be taken away, and what became of the
// calls that were made.
type bench struct {
	*Stage

	log      testkit.Log
	mu       sync.Mutex
	away     step // what the bridge does instead of an answer; nil: it is there
	takes    time.Duration
	now, top int // attempts under way, and the most of them while it was away
	attempts []string
	opened   []bool
	ends     map[string]end
	all      sync.WaitGroup
}

type end struct {
	reason   voip.Reason
	at       time.Time
	attempts int
	err      error
}

func newBench(t *testing.T, concurrency int) *bench {
	t.Helper()
	b := &bench{ends: map[string]end{}}
	cfg := settings()
	cfg.Concurrency = concurrency
	s, err := New(cfg, b, b, b.log.Logger())
	if err != nil {
		t.Fatal(err)
	}
	b.Stage = s
	return b
}

func (b *bench) Attempt(string) {}

func (b *bench) CircuitOpen(open bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.opened = append(b.opened, open)
}

// Report is the bridge. It shadows the stage's, which is made of it.
func (b *bench) Report(ctx context.Context, req *voip.Request) (voip.Answer, error) {
	b.mu.Lock()
	away, takes := b.away, b.takes
	b.attempts = append(b.attempts, req.Attribute.CallID)
	if b.now++; away != nil {
		b.top = max(b.top, b.now)
	}
	b.mu.Unlock()
	defer func() {
		b.mu.Lock()
		defer b.mu.Unlock()
		b.now--
	}()
	if away != nil {
		return away(ctx)
	}
	return slow(takes, ok())(ctx)
}

func (b *bench) set(away step) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.away, b.attempts, b.top = away, nil, 0
}

// call makes a call that lives for d, and notes its end.
func (b *bench) call(t *testing.T, id string, d time.Duration, tn voip.Turn) context.CancelCauseFunc {
	t.Helper()
	ctx, cancel := life(t, d)
	b.all.Go(func() {
		req := request()
		req.Attribute.CallID = id
		p, err := b.Stage.Report(ctx, req, voip.Progress{}, tn)
		b.mu.Lock()
		defer b.mu.Unlock()
		b.ends[id] = end{reasonOf(err), time.Now(), p.Total, err}
	})
	return cancel
}

func (b *bench) end(id string) end {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.ends[id]
}

// trip opens the circuit with a call that lives for d.
func (b *bench) trip(t *testing.T, away step, d time.Duration) {
	t.Helper()
	b.set(away)
	b.call(t, "first", d, alwaysRuns{})
	for !b.breaker.isOpen() {
		time.Sleep(10 * time.Millisecond)
	}
}

// TestVerdicts: what an attempt's end says of the bridge.
func TestVerdicts(t *testing.T) {
	unavailable := func(status int) error { return statusError(status, 0) }
	answer := func(code voip.Code, r voip.ErrorReason) outcome { return outcomeOf(says(code, r)(t.Context())) }
	tests := []struct {
		name string
		out  outcome
		cut  bool
		want verdict
	}{
		{"success", answer(0, 0), false, itAnswered},
		{"a busy device", answer(0, 2), false, itAnswered},
		{"an unknown errorReason", answer(0, 77), false, itAnswered},
		{"a rejection", answer(voip.CodeInvalidValue, 0), false, itAnswered},
		{"one device's service away", answer(voip.CodeCannotConnect, 0), false, itAnswered},
		{"a refusal of this request", outcomeOf(voip.Answer{}, unavailable(400)), false, itAnswered},
		{"409", outcomeOf(voip.Answer{}, unavailable(409)), false, itAnswered},
		{"an answer that cannot be read", outcomeOf(readAnswer(t.Context(), []byte("x"), slog.New(slog.DiscardHandler))), false, itAnswered},
		{"425", outcomeOf(voip.Answer{}, unavailable(425)), false, itAnswered},
		{"429", outcomeOf(voip.Answer{}, unavailable(429)), false, itAnswered},
		{"302", outcomeOf(voip.Answer{}, unavailable(302)), false, itFailed},
		{"401", outcomeOf(voip.Answer{}, unavailable(401)), false, itFailed},
		{"403", outcomeOf(voip.Answer{}, unavailable(403)), false, itFailed},
		{"404", outcomeOf(voip.Answer{}, unavailable(404)), false, itFailed},
		{"405", outcomeOf(voip.Answer{}, unavailable(405)), false, itFailed},
		{"408", outcomeOf(voip.Answer{}, unavailable(408)), false, itFailed},
		{"500", outcomeOf(voip.Answer{}, unavailable(500)), false, itFailed},
		{"503", outcomeOf(voip.Answer{}, unavailable(503)), false, itFailed},
		{"nobody there", outcomeOf(voip.Answer{}, notArrived("")), false, itFailed},
		{"a timeout", outcomeOf(voip.Answer{}, unknownOutcome("")), false, itFailed},
		{"a timeout of the call's own", outcomeOf(voip.Answer{}, unknownOutcome("")), true, learnedNothing},
		{"an error of the transport", outcomeOf(voip.Answer{}, errors.New("x")), false, itFailed},
		{"nothing that could be sent", outcomeOf(voip.Answer{}, unwritable()), false, learnedNothing},
	}
	for _, tt := range tests {
		if got := tt.out.verdict(tt.cut); got != tt.want {
			t.Errorf("%s: %d, want %d", tt.name, got, tt.want)
		}
	}
}

// TestCircuit: calls are held while the bridge is away, asked of with one at a
// time, and all reported when it is back.
func TestCircuit(t *testing.T) {
	for name, away := range map[string]step{
		"nobody there": unavailable(voip.NotArrived), "503": unavailable(voip.TurnedAway), "it hangs": hangs,
		"it says Retry-After": fails(voip.ReportError{Reason: voip.ReasonReportUnavailable, Arrival: voip.TurnedAway, RetryAfter: time.Hour}),
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newBench(t, 16)
				b.set(away)
				for i := range 40 {
					b.call(t, strconv.Itoa(i), time.Minute, alwaysRuns{})
				}
				time.Sleep(10 * time.Second)
				b.set(away)
				time.Sleep(10 * time.Second)
				b.mu.Lock()
				if b.top != 1 || len(b.attempts) < 1 || len(b.attempts) > 20 {
					t.Errorf("%d attempts in 10 s of outage, %d at once", len(b.attempts), b.top)
				}
				b.away = nil
				back := time.Now()
				b.mu.Unlock()
				b.all.Wait()
				late := 0
				for id, e := range b.ends {
					if name == "it says Retry-After" && e.attempts > 0 && e.reason == voip.ReasonReportUnavailable {
						late++ // it was asked to wait for longer than it lives
						continue
					}
					if took := e.at.Sub(back); e.reason != voip.ReasonNone || took > 10*time.Second {
						t.Errorf("call %s ended with %s, %v after the bridge's return", id, e.reason, took)
					}
				}
				if late > 40 { // a few: how many is chance
					t.Errorf("%d calls failed", late)
				}
				if len(b.opened) != 2 || !b.opened[0] || b.opened[1] {
					t.Errorf("told of %v", b.opened)
				}
			})
		})
	}
}

// TestHeldCalls: how a call that is held ends when nobody comes back.
func TestHeldCalls(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, 4)
		b.trip(t, hangs, 40*time.Second)
		began := time.Now()
		for i := range 30 { // more than there are probes
			b.call(t, strconv.Itoa(i), 15*time.Second, alwaysRuns{})
		}
		// Those with the most time left are the last to be asked with.
		tn := &turn{}
		cancel, stop := b.call(t, "cancelled", time.Minute, tn), b.call(t, "stopped", time.Minute, alwaysRuns{})
		time.Sleep(7 * time.Second)
		synctest.Wait()
		if len(b.slots) > 1 || tn.paused != 1 {
			t.Errorf("%d slots are held, the turn was handed on %d times", len(b.slots), tn.paused)
		}
		at := time.Now()
		cancel(voip.ErrCancelled)
		stop(voip.ErrStopping)
		synctest.Wait()
		for id, want := range map[string]voip.Reason{"cancelled": voip.ReasonCancelled, "stopped": "stopping"} {
			if e := b.end(id); e.reason != want || !e.at.Equal(at) {
				t.Errorf("%s: %+v", id, e)
			}
		}
		b.all.Wait()
		var expired, failed int
		for i := range 30 {
			e := b.ends[strconv.Itoa(i)]
			if took := e.at.Sub(began); took != 15*time.Second {
				t.Errorf("call %d ended after %v", i, took)
			}
			switch {
			case e.reason == voip.ReasonExpired && e.attempts == 0 && strings.Contains(e.err.Error(), "could not be reached"):
				expired++
			case e.reason == voip.ReasonReportUnavailable && e.attempts > 0:
				failed++
			default:
				t.Errorf("call %d: %+v", i, e)
			}
		}
		if expired == 0 || failed == 0 {
			t.Errorf("%d expired, %d failed", expired, failed)
		}
		if e := b.ends["first"]; e.reason != voip.ReasonReportUnavailable {
			t.Errorf("the call that was tried first: %+v", e)
		}
	})
}

// TestProbesRotate: a call that the bridge fails for the call's own sake keeps
// the circuit open for no longer than the next probe.
func TestProbesRotate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, 4)
		poison := func(ctx context.Context) (voip.Answer, error) { return unavailable(voip.MayHaveArrived)(ctx) }
		b.trip(t, poison, 20*time.Second)
		b.transport = transportFunc(func(ctx context.Context, req *voip.Request) (voip.Answer, error) {
			if req.Attribute.CallID == "first" {
				return poison(ctx)
			}
			return ok()(ctx)
		})
		began := time.Now()
		for i := range 5 {
			b.call(t, strconv.Itoa(i), time.Minute, alwaysRuns{})
		}
		b.all.Wait()
		for i := range 5 {
			if took := b.ends[strconv.Itoa(i)].at.Sub(began); took > lastProbe*2 {
				t.Errorf("call %d took %v", i, took)
			}
		}
	})
}

// TestFewFailuresOpenNothing: failures that answers come between, and those
// that say nothing of the bridge.
func TestFewFailuresOpenNothing(t *testing.T) {
	lost := unavailable(voip.MayHaveArrived)
	busy := fails(voip.ReportError{Reason: voip.ReasonReportUnavailable, Arrival: voip.TurnedAway, Busy: true})
	for name, steps := range map[string][]step{
		"some": {lost, lost, lost, lost, ok()}, "answers between": {lost, lost, lost, busy, lost, lost, lost, says(0, 1), lost, lost, ok()},
		"429":                                  {busy, busy, busy, busy, busy, busy, busy, ok()},
		"a service that is down on one device": {says(voip.CodeCannotConnect, 0), says(voip.CodeCannotConnect, 0), says(voip.CodeCannotConnect, 0), says(voip.CodeCannotConnect, 0), says(voip.CodeCannotConnect, 0), says(voip.CodeCannotConnect, 0), ok()},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newBench(t, 4)
				b.transport = &script{steps: steps}
				b.call(t, "c", time.Minute, alwaysRuns{})
				b.all.Wait()
				if e := b.ends["c"]; e.reason != voip.ReasonNone || len(b.opened) > 0 {
					t.Errorf("%+v, told of %v", e, b.opened)
				}
			})
		})
	}
	t.Run("deadlines", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			b := newBench(t, 12)
			b.set(hangs)
			for i := range 12 { // each hangs for less than REPORT_TIMEOUT, and then its time is over
				b.call(t, strconv.Itoa(i), 2*time.Second, alwaysRuns{})
			}
			b.all.Wait()
			if len(b.opened) > 0 {
				t.Errorf("told of %v", b.opened)
			}
		})
	})
}

// TestFreshCallsFirst: held calls take part of the slots when they are let go,
// and those that have the least time left go first.
func TestFreshCallsFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, 16)
		b.trip(t, unavailable(voip.NotArrived), time.Minute)
		for i := range 200 {
			b.call(t, strconv.Itoa(i), 50*time.Second-time.Duration(i)*time.Millisecond, alwaysRuns{})
		}
		synctest.Wait()
		b.takes = 100 * time.Millisecond
		b.set(nil)
		for b.breaker.isOpen() {
			time.Sleep(time.Millisecond)
		}
		closed := time.Now()
		for i := range 20 {
			b.call(t, "fresh "+strconv.Itoa(i), time.Minute, alwaysRuns{})
			time.Sleep(20 * time.Millisecond)
		}
		b.all.Wait()
		for i := range 20 {
			if took := b.ends["fresh "+strconv.Itoa(i)].at.Sub(closed) - time.Duration(i)*20*time.Millisecond; took != b.takes {
				t.Errorf("fresh call %d took %v", i, took)
			}
		}
		if took := b.ends["0"].at.Sub(closed); took > 4*time.Second {
			t.Errorf("the last held call took %v", took)
		}
		if first, last := b.ends["199"].at, b.ends["100"].at; first.After(last) {
			t.Errorf("the call with the least time left ended %v after one with more", first.Sub(last))
		}
	})
}

// TestReopens: the circuit opens again while held calls are let go.
func TestReopens(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, 64)
		b.trip(t, unavailable(voip.NotArrived), time.Minute)
		for i := range 100 {
			b.call(t, strconv.Itoa(i), time.Minute, alwaysRuns{})
		}
		b.takes = time.Second
		b.set(nil)
		for b.breaker.isOpen() {
			time.Sleep(time.Millisecond)
		}
		b.set(hangs)
		time.Sleep(10 * time.Second)
		if !b.breaker.isOpen() {
			t.Error("the circuit did not open again")
		}
		b.set(nil)
		b.all.Wait()
		for id, e := range b.ends {
			if e.reason != voip.ReasonNone {
				t.Errorf("call %s: %+v", id, e)
			}
		}
		if len(b.slots) != 0 || b.breaker.held.Len() != 0 {
			t.Errorf("%d slots, %d held", len(b.slots), b.breaker.held.Len())
		}
	})
}

// TestOutage is the outage run in virtual time: 200 calls a second that live
// for a minute, and a bridge that is away for 30 s of it.
func TestOutage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const rate, away = 200, 30 * time.Second
		b := newBench(t, 256)
		b.takes = 20 * time.Millisecond
		var back time.Time
		for i := range rate * 45 {
			switch i {
			case rate * 5:
				b.set(unavailable(voip.NotArrived))
			case rate*5 + int(away.Seconds())*rate:
				b.set(nil)
				back = time.Now()
			}
			b.call(t, strconv.Itoa(i), time.Minute, alwaysRuns{})
			time.Sleep(time.Second / rate)
		}
		b.all.Wait()
		var worst time.Duration
		for id, e := range b.ends {
			n, _ := strconv.Atoi(id)
			made := back.Add(time.Duration(n-rate*35) * time.Second / rate)
			took := e.at.Sub(back)
			if made.After(back) {
				took = e.at.Sub(made)
			}
			if worst = max(worst, took); e.reason != voip.ReasonNone || took > 10*time.Second {
				t.Errorf("call %s: %s, %v late", id, e.reason, took)
			}
		}
		t.Logf("%d calls, the last was reported %v after the bridge's return", len(b.ends), worst)
	})
}

// TestLateAnswer: an answer to an attempt from before the circuit opened brings
// the next probe forward.
func TestLateAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBreaker(4, nil2{}, slog.New(slog.DiscardHandler))
		old, _ := b.enter(time.Time{}, 0)
		for range tripAfter {
			p, _ := b.enter(time.Time{}, 0)
			b.done(p, itFailed, &outcome{retryAfter: time.Hour})
		}
		_, h := b.enter(time.Time{}, 0)
		began := time.Now()
		b.done(old, itAnswered, &outcome{})
		p := <-h.permit
		if took := time.Since(began); took != 0 {
			t.Errorf("the probe came after %v", took)
		}
		if b.done(p, itAnswered, &outcome{}); b.isOpen() {
			t.Error("still open")
		}
	})
}

// TestCircuitWithTheModel: whatever Call Kit itself says opens nothing.
func TestCircuitWithTheModel(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, m := newBench(t, 16), callkit.New(callkit.Options{})
		b.transport = m
		m.SetDown(true)
		for i := range 20 {
			b.call(t, strconv.Itoa(i), 20*time.Second, alwaysRuns{})
		}
		b.all.Wait()
		if len(b.opened) > 0 {
			t.Errorf("told of %v", b.opened)
		}
	})
}
