package report

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/voip-push/worker/internal/voip"
)

// reasonOf is how a call ended, in one word.
func reasonOf(err error) voip.Reason {
	if errors.Is(err, voip.ErrStopping) {
		return "stopping"
	}
	if errors.Is(err, voip.ErrLeaseLost) {
		return "lease lost"
	}
	return voip.ReasonOf(err)
}

// TestEveryReason walks the table: how often each reason is tried, and what
// the call ends with.
func TestEveryReason(t *testing.T) {
	for _, rule := range voip.Rules() {
		if !rule.Attempt {
			continue
		}
		t.Run(string(rule.Reason), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				transport := &script{steps: []step{fails(voip.ReportError{Reason: rule.Reason, Arrival: voip.Answered})}}
				rec := counts{}
				ctx, cancel := life(t, time.Minute)
				defer cancel(nil)
				began := time.Now()
				p, err := newStage(t, transport, rec).Report(ctx, request(), voip.Progress{}, &turn{})
				if got := reasonOf(err); got != rule.Reason {
					t.Errorf("ended with %s", got)
				}
				want, atLeast := 1, 1
				switch rule.Retry {
				case voip.RetryNever:
				case voip.RetryTwice:
					want, atLeast = 3, 3
				case voip.RetryFew:
					want, atLeast = 5, 5
				case voip.RetryUntilDeadline:
					want, atLeast = 100, 12
					if left := time.Minute - time.Since(began); left < 0 || left > 5*time.Second {
						t.Errorf("ended %v before the deadline", left)
					}
				}
				if p.Total < atLeast || p.Total > want {
					t.Errorf("%d attempts, want %d to %d", p.Total, atLeast, want)
				}
				if rec[string(rule.Reason)] != p.Total || p.LastReason() != rule.Reason {
					t.Errorf("recorded %v, last %s", rec, p.LastReason())
				}
			})
		})
	}
}

// TestEveryAnswer: what Call Kit can say, and what it means.
func TestEveryAnswer(t *testing.T) {
	tests := []struct {
		code     voip.Code
		reason   voip.ErrorReason
		want     voip.Reason
		attempts int
	}{
		{0, 0, voip.ReasonNone, 1},
		{0, 1, voip.ReasonCellularCallExists, 5},
		{0, 2, voip.ReasonVoipCallExists, 5},
		{0, 3, voip.ReasonInvalidCall, 1},
		{0, 4, voip.ReasonUserAnswerCellularFirst, 1},
		{0, 77, voip.ReasonUnknownErrorReason, 1},
		{201, 0, voip.ReasonCallKitRejected, 1},
		{401, 0, voip.ReasonCallKitRejected, 1},
		{801, 0, voip.ReasonCallKitRejected, 1},
		{1007200001, 0, voip.ReasonCallKitRejected, 1},
		{1007200003, 0, voip.ReasonCallKitInternal, 3},
		{1007200999, 0, voip.ReasonCallKitInternal, 3},
		{5, 0, voip.ReasonCallKitRejected, 1},
	}
	for _, tt := range tests {
		t.Run(fmt.Sprint(tt.code, "/", tt.reason), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				transport := &script{steps: []step{says(tt.code, tt.reason)}}
				ctx, cancel := life(t, time.Minute)
				defer cancel(nil)
				p, err := newStage(t, transport, counts{}).Report(ctx, request(), voip.Progress{}, &turn{})
				if reasonOf(err) != tt.want || p.Total != tt.attempts {
					t.Errorf("%s after %d attempts, want %s after %d", reasonOf(err), p.Total, tt.want, tt.attempts)
				}
				if p.LastAnswer == nil || p.LastAnswer.Code != tt.code || *p.Attempts[0].Code != tt.code {
					t.Errorf("last answer %+v, first attempt %+v", p.LastAnswer, p.Attempts[0])
				}
			})
		})
	}
}

// TestKeys: the key grows after an answer, and stays while an attempt under it
// may have arrived.
func TestKeys(t *testing.T) {
	away, there, lost, answered := unavailable(voip.NotArrived), unavailable(voip.TurnedAway), unavailable(voip.MayHaveArrived), says(0, 2)
	tests := []struct {
		name  string
		past  voip.Progress
		steps []step
		want  string // the n of every key
		end   voip.Reason
	}{
		{name: "answers use keys up", steps: []step{answered, answered, ok()}, want: "1 2 3"},
		{name: "nobody there", steps: []step{away, away, ok()}, want: "1 1 1"},
		{name: "lost", steps: []step{lost, lost, ok()}, want: "1 1 1"},
		{name: "turned away", steps: []step{there, there, ok()}, want: "1 2 3"},
		{name: "turned away under a key that may have arrived", steps: []step{lost, there, away, there, ok()}, want: "1 1 1 1 1"},
		{name: "pending ends with an answer", steps: []step{lost, answered, there, ok()}, want: "1 1 2 3"},
		{name: "past keys", past: voip.Progress{Key: 4}, steps: []step{ok()}, want: "5"},
		{name: "a crash", past: voip.Progress{}.Interrupted(), steps: []step{there, answered, ok()}, want: "1 1 2"},
		{name: "duplicate after lost", steps: []step{lost, duplicate(voip.CodeInvalidValue)}, want: "1 1"},
		{name: "duplicate long after lost", steps: []step{lost, answered, answered, duplicate(voip.CodeInvalidValue)}, want: "1 1 2 3"},
		{name: "duplicate after a crash", past: voip.Progress{}.Interrupted(), steps: []step{duplicate(voip.CodeInvalidValue)}, want: "1"},
		{name: "409 after lost", steps: []step{lost, fails(voip.ReportError{Reason: voip.ReasonReportRejected, Arrival: voip.Answered, Duplicate: true})}, want: "1 1"},
		{name: "bare duplicate", steps: []step{duplicate(voip.CodeInvalidValue)}, want: "1", end: voip.ReasonCallKitRejected},
		{name: "bare duplicate after nobody was there", steps: []step{away, duplicate(voip.CodeInvalidValue)}, want: "1 1", end: voip.ReasonCallKitRejected},
		{name: "bare 409", steps: []step{fails(voip.ReportError{Reason: voip.ReasonReportRejected, Duplicate: true})}, want: "1", end: voip.ReasonReportRejected},
		{name: "bare 1007200001 after lost", steps: []step{lost, says(voip.CodeInvalidValue, 0)}, want: "1 1", end: voip.ReasonCallKitRejected},
		{name: "duplicate of a refusal that is kept trying", steps: []step{duplicate(voip.CodeInternal), ok()}, want: "1 2"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				transport := &script{steps: tt.steps}
				ctx, cancel := life(t, time.Minute)
				defer cancel(nil)
				p, err := newStage(t, transport, counts{}).Report(ctx, request(), tt.past, &turn{})
				end := tt.end
				if end == "" {
					end = voip.ReasonNone
				}
				if reasonOf(err) != end {
					t.Errorf("ended with %v, want %s", err, end)
				}
				var got []string
				for _, k := range transport.keys {
					got = append(got, strings.TrimPrefix(k, "c-1.r0.a"))
				}
				if s := strings.Join(got, " "); s != tt.want {
					t.Errorf("keys %s, want %s", s, tt.want)
				}
				if inferred := end == voip.ReasonNone && strings.Contains(tt.name, "after"); p.Inferred != inferred {
					t.Errorf("inferred %v, want %v", p.Inferred, inferred)
				}
				if p.LastReason() != end {
					t.Errorf("last attempt says %s", p.LastReason())
				}
			})
		})
	}
}

func TestLastAnswerOutlivesATransportFailure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		transport := &script{steps: []step{says(0, 2), unavailable(voip.NotArrived)}}
		ctx, cancel := life(t, 10*time.Second)
		defer cancel(nil)
		p, err := newStage(t, transport, counts{}).Report(ctx, request(), voip.Progress{}, &turn{})
		if reasonOf(err) != voip.ReasonReportUnavailable || p.LastAnswer == nil || *p.LastAnswer.ErrorReason != voip.VoipCallExists {
			t.Errorf("%v, last answer %+v", err, p.LastAnswer)
		}
	})
}

// TestDelays: each wait is half to one and a half times its interval, and the
// turn is handed on for it.
func TestDelays(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		transport, tn := &script{steps: []step{says(voip.CodeCannotConnect, 0)}}, &turn{}
		ctx, cancel := life(t, time.Minute)
		defer cancel(nil)
		p, _ := newStage(t, transport, counts{}).Report(ctx, request(), voip.Progress{}, tn)
		interval := 250 * time.Millisecond
		for i := 1; i < len(transport.at); i++ {
			d := transport.at[i] - transport.at[i-1]
			if d < interval/2 || d > interval*3/2+time.Millisecond || d > 5*time.Second {
				t.Errorf("wait %d is %v, want about %v", i, d, interval)
			}
			interval = min(2*interval, 5*time.Second*2/3)
		}
		if tn.paused != p.Total-1 || tn.resumed != p.Total || tn.checked != p.Total {
			t.Errorf("%+v for %d attempts", tn, p.Total)
		}
	})
}

func TestRetryAfter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		asks := func(d time.Duration) step {
			return fails(voip.ReportError{Reason: voip.ReasonReportUnavailable, Arrival: voip.TurnedAway, RetryAfter: d})
		}
		transport := &script{steps: []step{asks(7 * time.Second), asks(time.Millisecond), asks(time.Hour)}}
		ctx, cancel := life(t, time.Minute)
		defer cancel(nil)
		p, err := newStage(t, transport, counts{}).Report(ctx, request(), voip.Progress{}, &turn{})
		if p.Total != 3 || reasonOf(err) != voip.ReasonReportUnavailable {
			t.Fatalf("%d attempts, %v", p.Total, err)
		}
		if transport.at[1] != 7*time.Second {
			t.Errorf("waited %v, want 7s", transport.at[1])
		}
		if d := transport.at[2] - transport.at[1]; d < 250*time.Millisecond {
			t.Errorf("waited %v: the backoff is longer than what was asked for", d)
		}
	})
}

func TestTimeoutAndDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := life(t, 8*time.Second)
		defer cancel(nil)
		began := time.Now()
		p, err := newStage(t, &script{steps: []step{hangs}}, counts{}).Report(ctx, request(), voip.Progress{}, &turn{})
		if reasonOf(err) != voip.ReasonReportUnavailable || !p.Unknown || !p.Pending || p.Key != 0 {
			t.Errorf("%v, %+v", err, p)
		}
		if took := time.Since(began); took > 8*time.Second {
			t.Errorf("took %v", took)
		}
		for i, a := range p.Attempts {
			if a.DurationMs > 3000 {
				t.Errorf("attempt %d took %v ms, REPORT_TIMEOUT is 3 s", i, a.DurationMs)
			}
		}
	})
}

func TestExpired(t *testing.T) {
	earlier := voip.Progress{Unknown: true}
	earlier.Add(voip.Attempt{Reason: voip.ReasonVoipCallExists})
	tests := []struct {
		name string
		past voip.Progress
		want voip.Reason
	}{
		{"never tried", voip.Progress{}, voip.ReasonExpired},
		{"a crash before anything was known", voip.Progress{}.Interrupted(), voip.ReasonExpired},
		{"tried by another worker", earlier, voip.ReasonVoipCallExists},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := life(t, 0)
				defer cancel(nil)
				transport := &script{steps: []step{ok()}}
				p, err := newStage(t, transport, counts{}).Report(ctx, request(), tt.past, &turn{})
				if reasonOf(err) != tt.want || len(transport.keys) != 0 || p.Total != tt.past.Total {
					t.Errorf("%v after %d attempts, want %s", err, len(transport.keys), tt.want)
				}
			})
		})
	}
}

// untimed is a context whose deadline no timer has told of.
type untimed struct {
	context.Context //nolint:containedctx // it is one

	deadline time.Time
}

func (c untimed) Deadline() (time.Time, bool) { return c.deadline, true }

// TestNoTimerYet: a busy machine's timers are late, an attempt is not: none
// begins once its call's time is over.
func TestNoTimerYet(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx := untimed{t.Context(), time.Now().Add(time.Second)}
		transport := &script{steps: []step{ok()}}
		_, err := newStage(t, transport, counts{}).Report(ctx, request(), voip.Progress{}, &turn{check: func(int) error {
			return pass(ctx, time.Second) // the machine stands still after the last look at ctx
		}})
		if !errors.Is(err, voip.ErrExpired) || len(transport.keys) != 0 {
			t.Errorf("%v after %d attempts, want %v and none", err, len(transport.keys), voip.ErrExpired)
		}
	})
}

// TestInterrupted: what a cancel, a stop or a lost lease do to a call at each
// point of its way.
func TestInterrupted(t *testing.T) {
	busy, refused := says(0, 2), says(0, 3)
	tests := []struct {
		name  string
		steps []step
		after time.Duration // when the cause comes; attempts take one second
		cause error
		want  voip.Reason
		total int
	}{
		{"cancel in an attempt that succeeds", []step{ok()}, time.Second / 2, voip.ErrCancelled, voip.ReasonNone, 1},
		{"cancel in an attempt that fails for good", []step{refused}, time.Second / 2, voip.ErrCancelled, voip.ReasonInvalidCall, 1},
		{"cancel in an attempt that may be repeated", []step{busy}, time.Second / 2, voip.ErrCancelled, voip.ReasonCancelled, 1},
		{"cancel in a wait", []step{busy}, time.Second + time.Millisecond, voip.ErrCancelled, voip.ReasonCancelled, 1},
		{"cancel before", []step{ok()}, 0, voip.ErrCancelled, voip.ReasonCancelled, 0},
		{"stop in an attempt that succeeds", []step{ok()}, time.Second / 2, voip.ErrStopping, voip.ReasonNone, 1},
		{"stop in an attempt that fails for good", []step{refused}, time.Second / 2, voip.ErrStopping, voip.ReasonInvalidCall, 1},
		{"stop in an attempt that may be repeated", []step{busy}, time.Second / 2, voip.ErrStopping, "stopping", 1},
		{"stop in a wait", []step{busy}, time.Second + time.Millisecond, voip.ErrStopping, "stopping", 1},
		{"stop before", []step{ok()}, 0, voip.ErrStopping, "stopping", 0},
		{"lease lost in an attempt that may be repeated", []step{busy}, time.Second / 2, voip.ErrLeaseLost, "lease lost", 1},
		{"lease lost in a wait", []step{busy}, time.Second + time.Millisecond, voip.ErrLeaseLost, "lease lost", 1},
		{"lease lost in an attempt that succeeds", []step{ok()}, time.Second / 2, voip.ErrLeaseLost, voip.ReasonNone, 1},
		{"cancelled by nobody known", []step{busy}, time.Second / 2, nil, "stopping", 1},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				for i := range tt.steps {
					tt.steps[i] = slow(time.Second, tt.steps[i])
				}
				ctx, cancel := life(t, time.Minute)
				if tt.after == 0 {
					cancel(tt.cause)
				}
				stop := time.AfterFunc(tt.after, func() { cancel(tt.cause) })
				defer stop.Stop()
				began := time.Now()
				p, err := newStage(t, &script{steps: tt.steps}, counts{}).Report(ctx, request(), voip.Progress{}, &turn{})
				if reasonOf(err) != tt.want || p.Total != tt.total {
					t.Errorf("%v after %d attempts, want %s after %d", err, p.Total, tt.want, tt.total)
				}
				if took, want := time.Since(began), max(tt.after, time.Duration(tt.total)*time.Second); took != want {
					t.Errorf("took %v, want %v: a wait ends at once, an attempt is let finish", took, want)
				}
			})
		})
	}
}

// TestStopAtTheEnd: a stop in an attempt after which it would be too late for
// another gives nothing back: the call has failed.
func TestStopAtTheEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := life(t, time.Second+time.Millisecond)
		time.AfterFunc(time.Second/2, func() { cancel(voip.ErrStopping) })
		_, err := newStage(t, &script{steps: []step{slow(time.Second, says(0, 1))}}, counts{}).Report(ctx, request(), voip.Progress{}, &turn{})
		if reasonOf(err) != voip.ReasonCellularCallExists {
			t.Errorf("ended with %v", err)
		}
	})
}

func TestDelayIsNeverOverItsMaximum(t *testing.T) {
	d := newDelays(Config{BackoffInitial: time.Second, BackoffMax: time.Second})
	for range 100 {
		if got := d.next(0); got > time.Second || got < time.Second/2 {
			t.Fatalf("a delay of %v, want half a second to one", got)
		}
	}
}

func TestStopWhenExhausted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		past := voip.Progress{Few: 4}
		ctx, cancel := life(t, time.Minute)
		time.AfterFunc(time.Second/2, func() { cancel(voip.ErrStopping) })
		p, err := newStage(t, &script{steps: []step{slow(time.Second, says(0, 1))}}, counts{}).Report(ctx, request(), past, &turn{})
		if reasonOf(err) != voip.ReasonCellularCallExists || p.Few != 5 {
			t.Errorf("%v, few %d", err, p.Few)
		}
	})
}

func TestCheckRefuses(t *testing.T) {
	for _, refusal := range []error{voip.ErrCancelled, voip.ErrStopping, voip.ErrLeaseLost, voip.ErrExpired} {
		synctest.Test(t, func(t *testing.T) {
			tn := &turn{check: func(n int) error {
				if n == 2 {
					return refusal
				}
				return nil
			}}
			ctx, cancel := life(t, time.Minute)
			defer cancel(nil)
			s := newStage(t, &script{steps: []step{says(0, 2)}}, counts{})
			_, err := s.Report(ctx, request(), voip.Progress{}, tn)
			want := reasonOf(refusal)
			if errors.Is(refusal, voip.ErrExpired) {
				want = voip.ReasonVoipCallExists
			}
			if reasonOf(err) != want || len(s.slots) != 0 {
				t.Errorf("%v: ended with %v, %d slots held", refusal, err, len(s.slots))
			}
		})
	}
}

// TestSlots: attempts share the slots, waits hold none, and a call that waits
// for a slot hears its deadline.
func TestSlots(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStage(t, &script{steps: []step{ok()}}, counts{})
		for range cap(s.slots) {
			s.slots <- struct{}{}
		}
		ctx, cancel := life(t, time.Second)
		defer cancel(nil)
		if _, err := s.Report(ctx, request(), voip.Progress{}, &turn{}); reasonOf(err) != voip.ReasonExpired {
			t.Errorf("ended with %v, want expired", err)
		}
	})
	synctest.Test(t, func(t *testing.T) {
		s := newStage(t, lost{}, nil2{})
		var all sync.WaitGroup
		began := time.Now()
		for range 40 { // ten times the slots, each with waits of seconds
			all.Go(func() {
				ctx, cancel := life(t, 20*time.Second)
				defer cancel(nil)
				_, _ = s.Report(ctx, request(), voip.Progress{}, &turn{})
			})
		}
		synctest.Wait()
		if len(s.slots) != 0 {
			t.Errorf("%d slots are held in waits", len(s.slots))
		}
		all.Wait()
		if took := time.Since(began); took > 20*time.Second {
			t.Errorf("took %v", took)
		}
	})
}

// TestConcurrency: never more attempts at once than there are slots, and a
// call that hangs takes one slot and delays nobody else.
func TestConcurrency(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var running, most atomic.Int64
		s := newStage(t, &script{steps: []step{ok()}}, nil2{})
		s.transport = transportFunc(func(ctx context.Context, req *voip.Request) (voip.Answer, error) {
			most.Store(max(most.Load(), running.Add(1)))
			defer running.Add(-1)
			if req.Attribute.CallID == "hangs" {
				return hangs(ctx)
			}
			return slow(time.Second, ok())(ctx)
		})
		report := func(id string) error {
			ctx, cancel := life(t, time.Minute)
			defer cancel(nil)
			req := request()
			req.Attribute.CallID = id
			_, err := s.Report(ctx, req, voip.Progress{}, alwaysRuns{})
			return err
		}
		var all sync.WaitGroup
		began := time.Now()
		all.Go(func() { _ = report("hangs") })
		synctest.Wait()
		var others sync.WaitGroup
		for range 30 { // three slots are left for them: ten seconds
			others.Go(func() {
				if err := report("c"); err != nil {
					t.Error(err)
				}
			})
		}
		others.Wait()
		if took := time.Since(began); took > 10*time.Second || most.Load() != 4 {
			t.Errorf("took %v, %d at once", took, most.Load())
		}
		all.Wait()
	})
}

type transportFunc func(context.Context, *voip.Request) (voip.Answer, error)

func (f transportFunc) Report(ctx context.Context, req *voip.Request) (voip.Answer, error) {
	return f(ctx, req)
}

type (
	lost struct{}
	nil2 struct{}
)

func (lost) Report(context.Context, *voip.Request) (voip.Answer, error) {
	return voip.Answer{}, &voip.ReportError{Reason: voip.ReasonReportUnavailable}
}
func (nil2) Attempt(string)   {}
func (nil2) CircuitOpen(bool) {}

// TestBadTransport: an error that is not ours, and a panic, are of unknown
// outcome, and nothing of them is shown.
func TestBadTransport(t *testing.T) {
	for name, bad := range map[string]step{
		"error": func(context.Context) (voip.Answer, error) { return voip.Answer{}, errors.New(secret) },
		"panic": func(context.Context) (voip.Answer, error) { panic(secret) },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var logged bytes.Buffer
				s := newStage(t, &script{steps: []step{bad}}, counts{})
				s.log = slog.New(slog.NewTextHandler(&logged, &slog.HandlerOptions{Level: slog.LevelDebug}))
				ctx, cancel := life(t, 10*time.Second)
				defer cancel(nil)
				p, err := s.Report(ctx, request(), voip.Progress{}, &turn{})
				if reasonOf(err) != voip.ReasonReportUnavailable || !p.Unknown || p.Total < 2 {
					t.Errorf("%v, %+v", err, p)
				}
				if strings.Contains(err.Error()+logged.String(), secret) {
					t.Error("shows what the transport said")
				}
			})
		})
	}
}

// TestLog: a failure is a warning once, and again when its reason changes.
func TestLog(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var logged bytes.Buffer
		s := newStage(t, &script{steps: []step{says(0, 1), says(0, 1), says(0, 2), ok()}}, counts{})
		s.log = slog.New(slog.NewTextHandler(&logged, nil))
		ctx, cancel := life(t, time.Minute)
		defer cancel(nil)
		if _, err := s.Report(ctx, request(), voip.Progress{}, &turn{}); err != nil {
			t.Fatal(err)
		}
		lines := slices.Collect(strings.Lines(logged.String()))
		if len(lines) != 3 || !strings.Contains(lines[0], "CELLULAR") || !strings.Contains(lines[1], "VOIP_CALL_EXISTS") || !strings.Contains(lines[2], "attempts=4") {
			t.Errorf("logged:\n%s", logged.String())
		}
	})
}

func TestConfig(t *testing.T) {
	_, err := New(Config{BackoffMax: -1}, nil, nil, nil)
	for _, name := range []string{"Timeout", "Concurrency", "MaxAttempts", "BackoffInitial", "BackoffMax"} {
		if err == nil || !strings.Contains(err.Error(), name+" is ") {
			t.Errorf("%s is not named in %v", name, err)
		}
	}
}
