package report

import (
	"context"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"github.com/voip-push/worker/internal/callkit"
	"github.com/voip-push/worker/internal/voip"
)

// TestModel: the stage and the model of Call Kit together, as the demo runs them.
func TestModel(t *testing.T) {
	lose := callkit.Fault{Effect: callkit.LoseAnswer, Attempts: 2}
	tests := []struct {
		name     string
		opts     callkit.Options
		fault    callkit.Fault
		want     voip.Reason
		attempts int
		inferred bool
		accepted int64
	}{
		{name: "well", want: voip.ReasonNone, attempts: 1, accepted: 1},
		{name: "answers lost, a bridge that keeps keys", fault: lose, want: voip.ReasonNone, attempts: 3, accepted: 1},
		{name: "answers lost, a bridge that says duplicate", opts: callkit.Options{ForgetKeys: true, SayDuplicate: true}, fault: lose, want: voip.ReasonNone, attempts: 3, inferred: true, accepted: 1},
		{name: "answers lost, a bridge that does neither", opts: callkit.Options{ForgetKeys: true}, fault: lose, want: voip.ReasonCallKitRejected, attempts: 3, accepted: 1},
		{name: "503", fault: callkit.Fault{Effect: callkit.TurnAway, Attempts: 3}, want: voip.ReasonNone, attempts: 4, accepted: 1},
		{name: "nobody there at first", fault: callkit.Fault{Effect: callkit.NobodyThere, Attempts: 1}, want: voip.ReasonNone, attempts: 2, accepted: 1},
		{name: "device busy, then free", fault: callkit.Fault{Effect: callkit.AnswerWith, ErrorReason: voip.VoipCallExists, Attempts: 2}, want: voip.ReasonNone, attempts: 3, accepted: 1},
		{name: "device busy for good", fault: callkit.Fault{Effect: callkit.AnswerWith, ErrorReason: voip.VoipCallExists}, want: voip.ReasonVoipCallExists, attempts: 5},
		{name: "slower than the timeout", fault: callkit.Fault{Latency: callkit.Latency{P50: 4 * time.Second}, Attempts: 1}, want: voip.ReasonNone, attempts: 2, accepted: 1},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m := callkit.New(tt.opts)
				if _, err := m.Inject(tt.fault); err != nil {
					t.Fatal(err)
				}
				ctx, cancel := life(t, time.Minute)
				defer cancel(nil)
				p, err := newStage(t, m, counts{}).Report(ctx, request(), voip.Progress{}, &turn{})
				if reasonOf(err) != tt.want || p.Total != tt.attempts || p.Inferred != tt.inferred {
					t.Errorf("%v after %d attempts, inferred %v", err, p.Total, p.Inferred)
				}
				if got := m.Stats().Accepted; got != tt.accepted {
					t.Errorf("accepted %d times, want %d", got, tt.accepted)
				}
			})
		})
	}
}

// TestModelOutage: Call Kit is away, and every call is reported once it is back.
func TestModelOutage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := callkit.New(callkit.Options{})
		m.SetDown(true)
		time.AfterFunc(30*time.Second, func() { m.SetDown(false) })
		ctx, cancel := life(t, time.Minute)
		defer cancel(nil)
		began := time.Now()
		p, err := newStage(t, m, counts{}).Report(ctx, request(), voip.Progress{}, &turn{})
		if took := time.Since(began); err != nil || took < 30*time.Second || took > 36*time.Second {
			t.Errorf("%v after %v and %d attempts", err, took, p.Total)
		}
	})
}

// alwaysRuns is a Turn that allocates nothing.
type alwaysRuns struct{}

func (alwaysRuns) Resume(context.Context) error { return nil }
func (alwaysRuns) Pause(voip.Progress)          {}
func (alwaysRuns) Check(ctx context.Context) (context.Context, error) {
	return ctx, nil
}

// BenchmarkReport is one call that is reported at once.
func BenchmarkReport(b *testing.B) {
	s := newStage(b, callkit.New(callkit.Options{}), nil2{})
	ctx, cancel := context.WithTimeout(b.Context(), time.Hour)
	defer cancel()
	req := request()
	b.ReportAllocs()
	for i := range b.N {
		req.Attribute.CallID = strconv.Itoa(i)
		if _, err := s.Report(ctx, req, voip.Progress{}, alwaysRuns{}); err != nil {
			b.Fatal(err)
		}
	}
}
