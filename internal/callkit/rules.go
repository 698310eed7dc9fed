package callkit

import (
	"strings"
	"time"

	"github.com/voip-push/worker/internal/voip"
)

// An avatar over these is not shown (doc: at most 221 px a side, and fewer
// than 196,608 bytes of pixels).
const (
	maxAvatarSide  = 221
	maxPixelBytes  = 196_608
	bytesEachPixel = 4 // the system passes raw RGBA rows (src)
)

func resolve(r voip.ErrorReason, message string) voip.Answer {
	return voip.Answer{ErrorReason: &r, Message: message}
}

func resolved(r voip.ErrorReason, message string) *voip.Answer {
	a := resolve(r, message)
	return &a
}

func reject(c voip.Code, message string) *voip.Answer {
	return &voip.Answer{Code: c, Message: message}
}

// checkRequest is what can be said of a request by itself: rules 1, 2 and 6.
// nil: nothing is wrong with it.
func checkRequest(req *voip.Request) *voip.Answer {
	a := &req.Attribute
	switch {
	case req.Method != voip.MethodOutgoing && req.Method != voip.MethodIncoming:
		return reject(voip.CodeUnsupported, "no such method") // (model)
	case a.UserName == "":
		return reject(voip.CodeParameter, "userName is missing") // rule 1 (doc)
	case len(a.UserProfile.Data) == 0:
		return reject(voip.CodeParameter, "userProfile is missing")
	case a.AbilityName == "":
		return reject(voip.CodeParameter, "abilityName is missing")
	case !validCall(req):
		return resolved(voip.InvalidCall, "callId is not the push's") // rule 6
	case a.VoipCallType != voip.VoipCallVoice && a.VoipCallType != voip.VoipCallVideo:
		return reject(voip.CodeInvalidValue, "voipCallType is out of range")
	case a.UserProfile.Width <= 0 || a.UserProfile.Height <= 0:
		return reject(voip.CodeInvalidValue, "userProfile has no size")
	case a.VoipCallState != stateFor(req.Method):
		return reject(voip.CodeInvalidValue, "voipCallState does not suit the method") // rule 2 (doc)
	}
	return nil
}

// validCall is rule 6. The push's own callId is known to the bridge from the
// idempotency key alone (model): a key of another call makes the callId wrong.
func validCall(req *voip.Request) bool {
	id := req.Attribute.CallID
	if !voip.ValidCallID(id) {
		return false
	}
	rest, ok := strings.CutPrefix(req.IdempotencyKey, voip.Token(id))
	return req.IdempotencyKey == "" || ok && strings.HasPrefix(rest, ".")
}

func stateFor(method string) voip.VoipCallState {
	if method == voip.MethodIncoming {
		return voip.StateRinging
	}
	return voip.StateDialing
}

// shown is rule 9: the call is accepted with any picture, and one that is too
// large is left out of the banner (doc: FAQ).
func shown(p *voip.UserProfile) bool {
	return p.Width <= maxAvatarSide && p.Height <= maxAvatarSide && p.Width*p.Height*bytesEachPixel < maxPixelBytes
}

// duplicate is rule 3 for a live call: a second outgoing report is an invalid
// value (doc), a second incoming one succeeds without a second banner. One of
// the other direction is invalid as well (model).
func (m *Model) duplicate(req *voip.Request, liveOutgoing bool) *voip.Answer {
	outgoing := req.Method == voip.MethodOutgoing
	if outgoing || liveOutgoing {
		a := reject(voip.CodeInvalidValue, "the call was reported already")
		a.Duplicate = m.opts.SayDuplicate
		return a
	}
	if !m.opts.SayDuplicate {
		return m.success
	}
	a := *m.success
	a.Duplicate = true
	return &a
}

// reportAlone reports a call on a device of its own: nothing but the same call
// can be in its way, so its fingerprint is all that is kept of it.
func (m *Model) reportAlone(req *voip.Request, e *Event, now time.Time) *voip.Answer {
	if c := m.lastingAlone(e.Ref); c != nil {
		return m.duplicate(req, c.outgoing)
	}
	id := m.fingerprint(e.Ref)
	if outgoing, live := m.alone.get(id, now); live {
		return m.duplicate(req, outgoing)
	}
	e.Banner = banner(req)
	m.alone.put(id, req.Method == voip.MethodOutgoing, now)
	m.remember(e.Ref)
	return m.success
}

// reportOn reports a call on a named device: rules 3, 5 and 4, in this order
// (model).
func (m *Model) reportOn(req *voip.Request, e *Event, now time.Time) *voip.Answer {
	d, outgoing := m.device(req.DeviceID, now), req.Method == voip.MethodOutgoing
	if c := d.find(req.BundleName, req.Attribute.CallID); c != nil {
		return m.duplicate(req, c.outgoing)
	}
	if d.carrier && !req.Attribute.IsDialingAllowedDuringCarrierCall {
		return m.carrierInTheWay()
	}
	if free, others := d.room(req.BundleName, outgoing); !free {
		return m.busy(others)
	}
	e.Banner = banner(req)
	d.calls = append(d.calls, call{
		bundle: req.BundleName, id: req.Attribute.CallID, outgoing: outgoing,
		state: req.Attribute.VoipCallState, reported: now,
	})
	m.place(req.DeviceID, d, now)
	return m.success
}

func (m *Model) carrierInTheWay() *voip.Answer {
	if m.opts.CarrierIsInternal {
		return reject(voip.CodeInternal, "a carrier call is in the way")
	}
	return resolved(voip.CellularCallExists, "a carrier call is in the way")
}

func (m *Model) busy(others bool) *voip.Answer {
	if others && !m.opts.BusyIsInternal {
		return resolved(voip.VoipCallExists, "another app's call is in the way")
	}
	return reject(voip.CodeInternal, "too many calls on the device")
}

// banner says whether the report brings the banner up: an outgoing call always
// does (doc).
func banner(req *voip.Request) bool {
	return req.Method == voip.MethodOutgoing || req.Attribute.ShowBannerForIncomingCall
}
