package voip_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/voip-push/worker/internal/voip"
)

func TestDecide(t *testing.T) {
	tests := []struct {
		name    string
		err     error
		reason  voip.Reason
		outcome voip.Outcome
		dead    bool
		message string
	}{
		{"success", nil, "ERROR_NONE", "reported", false, ""},
		{"malformed", &voip.MalformedPushError{Detail: "no"}, "MALFORMED_PUSH", "failed", true, "malformed push: no"},
		{
			"invalid", &voip.InvalidAttributeError{Fields: []voip.FieldError{{Field: "density", Got: "null", Want: "a number"}, {Field: "direction", Got: `""`, Want: "one"}}},
			"INVALID_ATTRIBUTE", "failed", true, `invalid attribute: density is null, want a number; direction is "", want one`,
		},
		{"avatar", &voip.AvatarError{Reason: voip.AvatarTimeout, Detail: "after 1s"}, "AVATAR_REJECTED", "failed", true, "avatar: timeout: after 1s"},
		{"avatar without detail", &voip.AvatarError{Reason: voip.AvatarTooLarge}, "AVATAR_REJECTED", "failed", true, "avatar: too_large"},
		{"report", &voip.ReportError{Reason: voip.ReasonCallKitInternal, Detail: "thrice"}, "CALLKIT_INTERNAL", "failed", true, "CALLKIT_INTERNAL: thrice"},
		{"report without detail", &voip.ReportError{Reason: voip.ReasonInvalidCall}, "INVALID_CALL", "failed", true, "INVALID_CALL"},
		{"report with a reason of tomorrow", &voip.ReportError{Reason: "NEWER"}, "NEWER", "failed", true, "NEWER"},
		{"connect", &voip.ReportError{Reason: voip.ReasonConnectFailed}, "CONNECT_FAILED", "failed", true, "CONNECT_FAILED"},
		{"expired", voip.ErrExpired, "EXPIRED", "expired", false, "the deadline passed before the first attempt"},
		{"cancelled", voip.ErrCancelled, "CANCELLED", "cancelled", false, "the call was cancelled"},
		{"crash loop", voip.ErrCrashLoop, "CRASH_LOOP", "failed", true, "its worker died each time that it was begun alone"},
		{"a defect of ours", errors.New("a bug"), "UNKNOWN_ERROR_REASON", "failed", true, "a bug"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := voip.Result{Message: "stale", DeadLettered: !tt.dead}
			r.Decide(tt.err)
			want := voip.Result{Schema: "voip.report.result/v1", Reason: tt.reason, Outcome: tt.outcome, DeadLettered: tt.dead, Message: tt.message}
			if r.Schema != want.Schema || r.Reason != want.Reason || r.Outcome != want.Outcome || r.DeadLettered != want.DeadLettered || r.Message != want.Message {
				t.Errorf("got %+v, want %+v", r, want)
			}
			if tt.err == nil {
				return
			}
			if got := voip.ReasonOf(fmt.Errorf("outside: %w", tt.err)); got != tt.reason {
				t.Errorf("wrapped: got %s", got)
			}
		})
	}
}

func TestOverdue(t *testing.T) {
	var p voip.Progress
	if err := p.Overdue(); !errors.Is(err, voip.ErrExpired) {
		t.Errorf("before the first attempt: got %v", err)
	}
	if err := new(p.Interrupted()).Overdue(); !errors.Is(err, voip.ErrExpired) {
		t.Errorf("after a crash, no attempt being known of: got %v", err)
	}
	answer := &voip.Answer{Code: voip.CodeCannotConnect}
	p.Add(voip.NewAttempt(at(0), time.Second, voip.ReasonReportUnavailable, nil))
	p.Add(voip.NewAttempt(at(0), time.Second, voip.ReasonCallKitUnavailable, answer))
	p.LastAnswer = answer
	err, ok := errors.AsType[*voip.ReportError](p.Overdue())
	if !ok || err.Reason != voip.ReasonCallKitUnavailable || err.Answer != answer {
		t.Errorf("after attempts: got %+v", err)
	}
}

func TestProgressKeepsFirstAndLast(t *testing.T) {
	var p voip.Progress
	if p.LastReason() != "" {
		t.Errorf("no attempt has the reason %q", p.LastReason())
	}
	for n := 1; n <= 45; n++ {
		earlier := p
		p.Add(voip.Attempt{Reason: voip.Reason(fmt.Sprint("R", n))})
		if len(earlier.Attempts) != min(n-1, 20) {
			t.Fatalf("attempt %d changed an earlier copy", n)
		}
		if got := p.LastReason(); got != voip.Reason(fmt.Sprint("R", n)) {
			t.Fatalf("attempt %d: the last reason is %s", n, got)
		}
		var want []int
		for i := 1; i <= n; i++ {
			if i <= 10 || i > n-10 {
				want = append(want, i)
			}
		}
		var got []int
		for _, a := range p.Attempts {
			got = append(got, a.N)
		}
		if fmt.Sprint(got) != fmt.Sprint(want) || p.Total != n {
			t.Fatalf("after %d attempts: got %v of %d, want %v", n, got, p.Total, want)
		}
	}
	// A copy that is on its way into a record stays what it was.
	before := p
	p.Add(voip.Attempt{})
	if before.Attempts[10].N != 36 || before.Attempts[19].N != 45 {
		t.Errorf("an earlier copy has changed: %+v", before.Attempts)
	}
}

func TestInterrupted(t *testing.T) {
	p := voip.Progress{Total: 2, Key: 1, Few: 1}
	got := p.Interrupted()
	if !got.Pending || !got.Unknown || got.Total != 2 || got.Key != 1 || got.Few != 1 || p.Pending {
		t.Errorf("got %+v from %+v", got, p)
	}
}

func TestSetProgress(t *testing.T) {
	var r voip.Result
	r.SetProgress(voip.Progress{})
	if r.Attempts == nil || r.Code != nil || r.ErrorReason != nil || r.Inferred {
		t.Errorf("nothing tried: got %+v", r)
	}
	reason := voip.VoipCallExists
	p := voip.Progress{Inferred: true, LastAnswer: &voip.Answer{ErrorReason: &reason}}
	p.Add(voip.Attempt{})
	r.SetProgress(p)
	if len(r.Attempts) != 1 || r.AttemptsTotal != 1 || !r.Inferred || r.Code == nil || *r.Code != 0 || r.ErrorReason == nil || *r.ErrorReason != 2 {
		t.Errorf("answered: got %+v", r)
	}
	p.LastAnswer = &voip.Answer{Code: 801}
	r.SetProgress(p)
	if r.Code == nil || *r.Code != 801 || r.ErrorReason != nil {
		t.Errorf("rejected: got %+v", r)
	}
	p.LastAnswer = nil
	r.SetProgress(p)
	if r.Code != nil || r.ErrorReason != nil {
		t.Errorf("never answered: got %+v", r)
	}
}

func TestMillis(t *testing.T) {
	tests := map[time.Duration]float64{
		0: 0, -time.Second: 0, time.Nanosecond: 0, 499 * time.Nanosecond: 0, 500 * time.Nanosecond: 0.001, 1_234_567: 1.235,
		time.Hour: 3_600_000, 4200 * time.Microsecond: 4.2,
	}
	for d, want := range tests {
		if got := voip.Millis(d); got != want {
			t.Errorf("%v: got %v, want %v", d, got, want)
		}
	}
}

func TestComplete(t *testing.T) {
	r := voip.Result{Push: voip.PushRef{ReceivedAt: at(0)}}
	r.Complete(at(4200 * time.Microsecond).In(time.FixedZone("CST", 8*3600)))
	if r.LatencyMs != 4.2 || r.CompletedAt.Location() != time.UTC || !r.CompletedAt.Equal(at(4200*time.Microsecond)) {
		t.Errorf("got %v, %v", r.LatencyMs, r.CompletedAt)
	}
}
