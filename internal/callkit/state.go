package callkit

import (
	"slices"
	"strings"
	"time"

	"github.com/voip-push/worker/internal/voip"
)

// Ref is a call's identity (rule 3). An empty DeviceID is a device of its own
// for each call.
type Ref struct {
	BundleName string `json:"bundleName"`
	DeviceID   string `json:"deviceId"`
	CallID     string `json:"callId"`
}

func refOf(req *voip.Request) Ref {
	return Ref{BundleName: req.BundleName, DeviceID: req.DeviceID, CallID: req.Attribute.CallID}
}

// next is rule 8: the states that an app may report after each. IDLE and
// HOLDING are never taken. A hang-up may skip DISCONNECTING, and may come
// before any answer (model).
func next(s voip.VoipCallState) []voip.VoipCallState {
	switch s {
	case voip.StateDialing, voip.StateAnswered:
		return []voip.VoipCallState{voip.StateActive, voip.StateDisconnecting, voip.StateDisconnected}
	case voip.StateRinging:
		return []voip.VoipCallState{voip.StateAnswered, voip.StateDisconnecting, voip.StateDisconnected}
	case voip.StateActive:
		return []voip.VoipCallState{voip.StateDisconnecting, voip.StateDisconnected}
	case voip.StateDisconnecting:
		return []voip.VoipCallState{voip.StateDisconnected}
	case voip.StateIdle, voip.StateHolding, voip.StateDisconnected:
	}
	return nil
}

// ReportCallStateChange is what the app tells of a call that was reported.
func (m *Model) ReportCallStateChange(ref Ref, to voip.VoipCallState) voip.Code {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.down {
		return voip.CodeCannotConnect
	}
	now := m.opts.Now()
	d, id := m.find(ref, now)
	c := d.find(ref.BundleName, ref.CallID)
	if c == nil || !slices.Contains(next(c.state), to) {
		return voip.CodeInvalidValue
	}
	c.state = to
	if to == voip.StateDisconnected {
		d.end(c)
	}
	if ref.DeviceID == "" {
		m.alone.drop(m.fingerprint(ref))
	}
	m.place(id, d, now)
	return voip.CodeOK
}

// Answer is the user who takes an incoming call.
func (m *Model) Answer(ref Ref) voip.Code { return m.ReportCallStateChange(ref, voip.StateAnswered) }

// Disconnect is either side that hangs up.
func (m *Model) Disconnect(ref Ref) voip.Code {
	return m.ReportCallStateChange(ref, voip.StateDisconnected)
}

// State is where a call stands; ok is false when no such call is live.
func (m *Model) State(ref Ref) (s voip.VoipCallState, ok bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if ref.DeviceID == "" {
		if c := m.lastingAlone(ref); c != nil {
			return c.state, true
		}
		outgoing, live := m.alone.get(m.fingerprint(ref), m.opts.Now())
		return newState(outgoing), live
	}
	d, _ := m.find(ref, m.opts.Now())
	if c := d.find(ref.BundleName, ref.CallID); c != nil {
		return c.state, true
	}
	return 0, false
}

// find gives the device that a call is on, and the id that it is kept under. A
// call on a device of its own, of which only a fingerprint is kept, becomes a
// whole one here: something is about to happen to it.
func (m *Model) find(ref Ref, now time.Time) (d *device, id string) {
	if ref.DeviceID != "" {
		return m.device(ref.DeviceID, now), ref.DeviceID
	}
	id = ownDevice(ref)
	if d, ok := m.lasting[id]; ok {
		return d, id
	}
	outgoing, live := m.alone.get(m.fingerprint(ref), now)
	if !live {
		return &device{}, id
	}
	d = &device{calls: []call{{bundle: ref.BundleName, id: ref.CallID, outgoing: outgoing, state: newState(outgoing), reported: now}}}
	return d, id
}

func (m *Model) fingerprint(ref Ref) fingerprint { return m.printer.pair(ref.BundleName, ref.CallID) }

// lastingAlone is a call on a device of its own that was answered.
func (m *Model) lastingAlone(ref Ref) *call {
	if len(m.lasting) == 0 {
		return nil
	}
	if d, ok := m.lasting[ownDevice(ref)]; ok {
		return d.find(ref.BundleName, ref.CallID)
	}
	return nil
}

// ownDevice is what the device of a call without one is kept under; no
// deviceId that could be meant begins with a zero byte.
func ownDevice(ref Ref) string {
	return strings.Join([]string{"", ref.BundleName, ref.CallID}, "\x00")
}

func newState(outgoing bool) voip.VoipCallState {
	if outgoing {
		return voip.StateDialing
	}
	return voip.StateRinging
}

// SetDown stops the service, or starts it again (rule 10): every call is gone
// then. Carrier calls go on, and the bridge in front of the service keeps its
// keys (model).
func (m *Model) SetDown(down bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.down = down
	m.alone.clear()
	m.devices.clear()
	for id, d := range m.lasting {
		d.calls = nil
		if !d.carrier {
			delete(m.lasting, id)
		}
	}
}
