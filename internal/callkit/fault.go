package callkit

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"net/http"
	"path"
	"time"

	"github.com/voip-push/worker/internal/voip"
)

// Effect is what an injected fault does to a request.
type Effect int

// The effects (rule 11).
const (
	Delay       Effect = iota // its latency alone
	AnswerWith                // Code or ErrorReason instead of the model's own answer
	LoseAnswer                // the model answers, and the answer never arrives
	Reset                     // the connection breaks before the bridge has read the request
	NobodyThere               // nobody listens
	TurnAway                  // the bridge answers with Status, and keeps nothing
)

// Fault is something that goes wrong, for the requests that it matches. Of
// those that match the latencies add up, and the first effect counts.
type Fault struct {
	CallID   string  // a pattern as path.Match reads it; empty: every call
	DeviceID string  // empty: every device
	Share    float64 // of the calls, above 0 to 1, chosen by callId: all attempts of a call share its fate; 0: all
	Attempts int     // only the first so many attempts of a call, as the requests number them; 0: all

	Latency     Latency
	Effect      Effect
	Code        voip.Code        // for AnswerWith
	ErrorReason voip.ErrorReason // for AnswerWith, when Code is 0
	Status      int              // for TurnAway, 300 to 599; 0: 503
	RetryAfter  time.Duration    // for TurnAway

	After time.Duration // it begins so long after it was injected
	For   time.Duration // and ends so long after that; 0: never
}

// defaultStatus is what TurnAway answers with unless another is said.
const defaultStatus = http.StatusServiceUnavailable

// Latency is a log-normal distribution with the given quantiles, the shape of
// most services; without a P99 above P50 it is P50 each time.
type Latency struct{ P50, P99 time.Duration }

// z99 is the 99th percentile of the standard normal distribution.
const z99 = 2.326

func (l Latency) draw() time.Duration {
	if l.P50 <= 0 || l.P99 <= l.P50 {
		return l.P50
	}
	sigma := math.Log(float64(l.P99)/float64(l.P50)) / z99
	return time.Duration(float64(l.P50) * math.Exp(sigma*rand.NormFloat64())) //nolint:gosec // it spreads latencies; nothing here is a secret
}

// wait lets the latency pass. When ctx ends first nobody knows the answer.
func (l Latency) wait(ctx context.Context) error {
	if l.P50 <= 0 {
		return nil
	}
	timer := time.NewTimer(l.draw())
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return &voip.ReportError{
			Reason: voip.ReasonReportUnavailable, Arrival: voip.MayHaveArrived, Detail: "no answer from the Call Kit model in time",
		}
	}
}

// fault is a Fault with its answer made.
type fault struct {
	Fault

	answer      voip.Answer
	from, until time.Time // until zero: for good
}

// Inject adds a fault, and returns what takes it away again. Its error names
// what cannot be meant.
func (m *Model) Inject(f Fault) (remove func(), err error) {
	if _, err := path.Match(f.CallID, ""); err != nil {
		return nil, fmt.Errorf("callId pattern %q: %w", f.CallID, err)
	}
	if f.Share < 0 || f.Share > 1 {
		return nil, fmt.Errorf("share %v of the calls, want 0 to 1", f.Share)
	}
	if f.Effect < Delay || f.Effect > TurnAway {
		return nil, fmt.Errorf("there is no effect %d", f.Effect)
	}
	f.Status = cmp.Or(f.Status, defaultStatus)
	if f.Status < 300 || f.Status > 599 {
		return nil, fmt.Errorf("status %d, want 300 to 599", f.Status)
	}
	in := &fault{Fault: f, answer: resolve(f.ErrorReason, "injected"), from: m.opts.Now().Add(f.After)}
	if f.For > 0 {
		in.until = in.from.Add(f.For)
	}
	if f.Code != voip.CodeOK {
		in.answer = voip.Answer{Code: f.Code, Message: "injected"}
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.faults = append(m.faults, in)
	return func() { m.remove(in) }, nil
}

func (m *Model) remove(f *fault) {
	m.mu.Lock()
	defer m.mu.Unlock()
	kept := make([]*fault, 0, len(m.faults))
	for _, o := range m.faults {
		if o != f {
			kept = append(kept, o)
		}
	}
	m.faults = kept
}
