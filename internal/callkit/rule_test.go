package callkit

import (
	"errors"
	"math"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/voip-push/worker/internal/voip"
)

func TestParseFault(t *testing.T) {
	tests := []struct {
		text string
		want Fault
		back string // the rule as it is listed; empty: as it was written
	}{
		{"reason=2", Fault{Effect: AnswerWith, ErrorReason: voip.VoipCallExists}, ""},
		{"reason=77 call=c-*", Fault{Effect: AnswerWith, ErrorReason: 77, CallID: "c-*"}, ""},
		{"reason=CELLULAR_CALL_EXISTS,attempts=2", Fault{Effect: AnswerWith, ErrorReason: voip.CellularCallExists, Attempts: 2}, "reason=1 attempts=2"},
		{"code=1007200003 share=0.25", Fault{Effect: AnswerWith, Code: voip.CodeInternal, Share: 0.25}, ""},
		{"status=503 retry-after=2s after=10s for=30s", Fault{Effect: TurnAway, Status: 503, RetryAfter: 2 * time.Second, After: 10 * time.Second, For: 30 * time.Second}, ""},
		{" lost \n share=10%", Fault{Effect: LoseAnswer, Share: 0.1}, "lost share=0.1"},
		{"reset device=d1", Fault{Effect: Reset, DeviceID: "d1"}, ""},
		{"away", Fault{Effect: NobodyThere}, ""},
		{"latency=20ms", Fault{Latency: Latency{P50: 20 * time.Millisecond}}, ""},
		{"lost latency=20ms..300ms share=100%", Fault{Effect: LoseAnswer, Latency: Latency{20 * time.Millisecond, 300 * time.Millisecond}, Share: 1}, "lost latency=20ms..300ms share=1"},
	}
	for _, tt := range tests {
		got, err := ParseFault(tt.text)
		if err != nil || got != tt.want {
			t.Errorf("%q: %+v, %v", tt.text, got, err)
		}
		if back := got.String(); tt.back == "" && back != tt.text || tt.back != "" && back != tt.back {
			t.Errorf("%q is listed as %q", tt.text, back)
		}
		if again, err := ParseFault(got.String()); err != nil || again != got {
			t.Errorf("%q, listed as %q: %+v, %v", tt.text, got.String(), again, err)
		}
	}
}

func TestParseFaultRefuses(t *testing.T) {
	for text, want := range map[string]string{
		"":                               "does not say what goes wrong",
		"share=10%":                      "does not say what goes wrong",
		"explode":                        "want one of reason=",
		"lost reset":                     "lost and reset, want one",
		"lost=1":                         "want no value",
		"reason=NOPE":                    "USER_ANSWER_CELLULAR_FIRST",
		"reason=":                        "want a number or one of",
		"code=0":                         "other than 0",
		"code=x":                         "want a code",
		"status=200":                     "300 to 599",
		"lost retry-after=2s":            "without status=",
		"status=503 retry-after=soon":    "want a duration",
		"lost share=0":                   "more than 0",
		"lost share=101%":                "up to 100%",
		"lost share=NaN":                 "more than 0",
		"lost attempts=0":                "from 1 on",
		"lost after=-1s":                 "want a duration",
		"latency=fast":                   "want a duration",
		"latency=300ms..20ms":            "larger 99th",
		"latency=20ms..":                 "larger 99th",
		"lost for=30":                    "want a duration",
		"lost call=a unknown=b share=1%": `"unknown=b" in rule`,
	} {
		if f, err := ParseFault(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %+v, %v; want %q", text, f, err, want)
		}
	}
	if f, err := ParseFault("lost call=["); err != nil {
		t.Error(err)
	} else if _, err := New(Options{}).Inject(f); err == nil {
		t.Error("a pattern that cannot be read is taken")
	}
	if _, err := New(Options{}).Inject(Fault{Effect: TurnAway, Status: 200}); err == nil {
		t.Error("status 200 is taken")
	}
}

// TestRule11Window: down for a time.
func TestRule11Window(t *testing.T) {
	m, c := newTest(t, Options{})
	inject(t, m, Fault{Effect: AnswerWith, ErrorReason: voip.VoipCallExists, After: 10 * time.Second, For: 30 * time.Second})
	for _, step := range []struct {
		pass time.Duration
		want string
	}{{0, "0/0"}, {9 * time.Second, "0/0"}, {time.Second, "0/2"}, {29 * time.Second, "0/2"}, {time.Second, "0/0"}} {
		c.pass(step.pass)
		expect(t, m, step.want, request("c "+step.pass.String()+step.want))
		if active := m.Rules()[0].Active; active != (step.want == "0/2") {
			t.Errorf("after %v: active %v", step.pass, active)
		}
	}
	if m.ClearFaults(); len(m.Rules()) != 0 {
		t.Error("faults are left")
	}
}

// TestRule11Statuses: in process a status means what the report stage makes of it.
func TestRule11Statuses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := New(Options{})
		for status, want := range map[int]voip.ReportError{
			401: {Reason: voip.ReasonReportUnavailable, Arrival: voip.TurnedAway},
			400: {Reason: voip.ReasonReportRejected, Arrival: voip.Answered},
			409: {Reason: voip.ReasonReportRejected, Arrival: voip.Answered, Duplicate: true},
			429: {Reason: voip.ReasonReportUnavailable, Arrival: voip.TurnedAway, Busy: true},
			500: {Reason: voip.ReasonReportUnavailable, Arrival: voip.MayHaveArrived},
			503: {Reason: voip.ReasonReportUnavailable, Arrival: voip.TurnedAway},
		} {
			remove, err := m.Inject(Fault{Effect: TurnAway, Status: status})
			if err != nil {
				t.Fatal(err)
			}
			_, err = m.Report(t.Context(), request("c"))
			got, ok := errors.AsType[*voip.ReportError](err)
			if !ok {
				t.Fatalf("%d: %v", status, err)
			}
			if got.Reason != want.Reason || got.Arrival != want.Arrival || got.Duplicate != want.Duplicate || got.Busy != want.Busy {
				t.Errorf("%d: %+v", status, got)
			}
			remove()
		}
	})
}

// FuzzParseFault: a rule that is taken is listed as one that means the same.
func FuzzParseFault(f *testing.F) {
	for _, text := range []string{"lost share=10%", "status=503 retry-after=2s for=1h", "latency=1ms..2ms call=a?", "code=-1", "reason=1e3"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		fault, err := ParseFault(text)
		if err != nil {
			return
		}
		if math.IsNaN(fault.Share) {
			t.Fatalf("%q: a share that is no number", text)
		}
		again, err := ParseFault(fault.String())
		if err != nil || again != fault {
			t.Fatalf("%q is listed as %q: %+v, %v", text, fault.String(), again, err)
		}
	})
}
