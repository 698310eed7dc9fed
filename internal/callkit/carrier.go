package callkit

import (
	"slices"

	"github.com/voip-push/worker/internal/voip"
)

// Ended is a call that was ended by something else than its app.
type Ended struct {
	Ref
	Was    voip.VoipCallState `json:"was"`
	Reason voip.ErrorReason   `json:"reason"`
}

// DialCellular is the user who dials a carrier call (rule 7, src): calls that
// are DIALING end with CELLULAR_CALL_EXISTS, those that are RINGING are
// rejected, ACTIVE ones survive. The carrier call goes on until EndCellular.
func (m *Model) DialCellular(deviceID string) []Ended {
	return m.carrier(deviceID, voip.CellularCallExists, voip.StateDialing, voip.StateRinging)
}

// AnswerCellular is the user who takes a carrier call (rule 7, src): calls that
// are DIALING end with USER_ANSWER_CELLULAR_FIRST. Those that are RINGING go on
// ringing (model).
func (m *Model) AnswerCellular(deviceID string) []Ended {
	return m.carrier(deviceID, voip.UserAnswerCellularFirst, voip.StateDialing)
}

func (m *Model) carrier(deviceID string, reason voip.ErrorReason, ends ...voip.VoipCallState) (ended []Ended) {
	m.mu.Lock()
	defer m.mu.Unlock()
	now := m.opts.Now()
	d := m.device(deviceID, now)
	d.carrier = true
	d.calls = slices.DeleteFunc(d.calls, func(c call) bool {
		if !slices.Contains(ends, c.state) {
			return false
		}
		ended = append(ended, Ended{Ref: Ref{BundleName: c.bundle, DeviceID: deviceID, CallID: c.id}, Was: c.state, Reason: reason})
		return true
	})
	m.place(deviceID, d, now)
	return ended
}

// EndCellular ends the carrier call on a device.
func (m *Model) EndCellular(deviceID string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	now := m.opts.Now()
	d := m.device(deviceID, now)
	d.carrier = false
	m.place(deviceID, d, now)
}
