package callkit

import (
	"fmt"
	"hash/fnv"
	"net/http"
	"path"
	"time"

	"github.com/voip-push/worker/internal/voip"
)

// effects are what all faults together do to one request.
type effects struct {
	latency Latency
	action  *fault // nil: nothing but the latency
}

func (m *Model) effects(req *voip.Request, now time.Time) (e effects) {
	for _, f := range m.faults {
		if !f.during(now) || !f.matches(req) {
			continue
		}
		e.latency.P50 += f.Latency.P50
		e.latency.P99 += f.Latency.P99
		if e.action == nil && f.Effect != Delay {
			e.action = f
		}
	}
	return e
}

func (f *fault) during(now time.Time) bool {
	return !now.Before(f.from) && (f.until.IsZero() || now.Before(f.until))
}

func (f *fault) matches(req *voip.Request) bool {
	id := req.Attribute.CallID
	if f.Attempts > 0 && req.Attempt > f.Attempts || f.DeviceID != "" && req.DeviceID != f.DeviceID {
		return false
	}
	if f.CallID != "" {
		if ok, err := path.Match(f.CallID, id); err != nil || !ok {
			return false
		}
	}
	return f.Share == 0 || f.Share == 1 || fate(id) < f.Share
}

// fate is a number from 0 to 1 that a callId always has, in every run.
func fate(callID string) float64 {
	h := fnv.New64a()
	_, _ = h.Write([]byte(callID)) // a hash takes everything
	// FNV's last bytes barely reach its upper bits: multiply them up.
	return float64(h.Sum64()*0x9e3779b97f4a7c15>>11) / (1 << 53)
}

// reaches says that the bridge sees the request at all.
func (f *fault) reaches() bool { return f.Effect == AnswerWith || f.Effect == LoseAnswer }

// err is what the caller sees of a transport fault.
func (f *fault) err() error {
	e := &voip.ReportError{Reason: voip.ReasonReportUnavailable, Arrival: voip.MayHaveArrived}
	switch f.Effect {
	case LoseAnswer:
		e.Detail = "the answer was lost (injected)"
	case Reset:
		e.Detail = "the connection was reset (injected)"
	case NobodyThere:
		e.Arrival, e.Detail = voip.NotArrived, "nobody is there (injected)"
	case TurnAway:
		f.turnAway(e)
	case Delay, AnswerWith:
		return nil
	}
	return e
}

// turnAway is what the report stage makes of a status, for a caller that asks
// in process.
func (f *fault) turnAway(e *voip.ReportError) {
	e.Arrival, e.RetryAfter, e.Detail = voip.TurnedAway, f.RetryAfter, fmt.Sprintf("turned away with %d (injected)", f.Status)
	switch f.Status {
	case http.StatusRequestTimeout, http.StatusInternalServerError, http.StatusBadGateway, http.StatusGatewayTimeout:
		e.Arrival = voip.MayHaveArrived
	case http.StatusTooManyRequests, http.StatusTooEarly:
		e.Busy = true
	case http.StatusUnauthorized, http.StatusForbidden, http.StatusNotFound, http.StatusMethodNotAllowed:
	default:
		if f.Status >= 400 && f.Status < 500 {
			e.Reason, e.Arrival, e.Duplicate = voip.ReasonReportRejected, voip.Answered, f.Status == http.StatusConflict
		}
	}
}
