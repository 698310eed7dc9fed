package report

import (
	"context"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/voip-push/worker/internal/voip"
)

// script answers the attempts one after the other; the last step goes on.
type script struct {
	steps []step
	keys  []string
	at    []time.Duration // since the first attempt
	began time.Time
}

type step func(ctx context.Context) (voip.Answer, error)

func (s *script) Report(ctx context.Context, req *voip.Request) (voip.Answer, error) {
	if s.began.IsZero() {
		s.began = time.Now()
	}
	n := min(len(s.keys), len(s.steps)-1)
	s.keys, s.at = append(s.keys, req.IdempotencyKey), append(s.at, time.Since(s.began))
	return s.steps[n](ctx)
}

func says(code voip.Code, reason voip.ErrorReason) step {
	return func(context.Context) (voip.Answer, error) {
		a := voip.Answer{Code: code, ErrorReason: &reason}
		if code != voip.CodeOK {
			a.ErrorReason = nil
		}
		return a, nil
	}
}

func ok() step { return says(0, 0) }

func duplicate(code voip.Code) step {
	return func(context.Context) (voip.Answer, error) { return voip.Answer{Code: code, Duplicate: true}, nil }
}

func fails(e voip.ReportError) step {
	return func(context.Context) (voip.Answer, error) { return voip.Answer{}, &e }
}

func unavailable(a voip.Arrival) step {
	return fails(voip.ReportError{Reason: voip.ReasonReportUnavailable, Arrival: a})
}

// hangs answers only when its time is over.
func hangs(ctx context.Context) (voip.Answer, error) {
	<-ctx.Done()
	return voip.Answer{}, unknownOutcome("no answer")
}

// slow answers after a time.
func slow(d time.Duration, s step) step {
	return func(ctx context.Context) (voip.Answer, error) {
		_ = pass(context.WithoutCancel(ctx), d)
		return s(ctx)
	}
}

// turn always runs, and counts what it was asked; check may refuse.
type turn struct {
	resumed, checked, paused int
	check                    func(n int) error
}

func (t *turn) Resume(ctx context.Context) error { t.resumed++; return context.Cause(ctx) }
func (t *turn) Pause(voip.Progress)              { t.paused++ }
func (t *turn) Check(ctx context.Context) (context.Context, error) {
	t.checked++
	if t.check != nil {
		if err := t.check(t.checked); err != nil {
			return nil, err
		}
	}
	return context.WithoutCancel(ctx), context.Cause(ctx)
}

// counts is a Recorder.
type counts map[string]int

func (c counts) Attempt(reason string) { c[reason]++ }
func (c counts) CircuitOpen(bool)      {}

func settings() Config {
	return Config{Timeout: 3 * time.Second, Concurrency: 4, MaxAttempts: 5, BackoffInitial: 250 * time.Millisecond, BackoffMax: 5 * time.Second}
}

func newStage(t testing.TB, transport Transport, rec Recorder) *Stage {
	t.Helper()
	s, err := New(settings(), transport, rec, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func request() voip.Request {
	return voip.Request{
		Method: voip.MethodOutgoing,
		Attribute: voip.VoipCallAttribute{
			CallID: "c-1", UserName: "Li Lei", AbilityName: "EntryAbility", VoipCallState: voip.StateDialing,
			UserProfile: voip.UserProfile{ContentType: "image/png", Width: 112, Height: 112, Data: []byte("png")},
		},
	}
}

// life is a call's context: it expires after a time, and can be cancelled with
// a cause before.
func life(t *testing.T, d time.Duration) (context.Context, context.CancelCauseFunc) {
	t.Helper()
	ctx, stop := context.WithDeadlineCause(t.Context(), time.Now().Add(d), voip.ErrExpired)
	t.Cleanup(stop)
	return context.WithCancelCause(ctx)
}

func containsAll(s string, words ...string) bool {
	return !slices.ContainsFunc(words, func(w string) bool { return !strings.Contains(s, w) })
}
