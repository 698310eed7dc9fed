package voip

import (
	"encoding/json"
	"math"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// The limits of a push.
const (
	MaxPushBytes     = 160 << 10 // of the whole body
	MaxCallIDBytes   = 128
	MaxUserNameBytes = 256
	MinDensity       = 0.5
	MaxDensity       = 4.0
	MinTTL           = time.Second
	MaxTTL           = 300 * time.Second
	// AvatarVP is the side of the square that Call Kit shows the caller's
	// picture in, in vp (Call Kit's guide: 32vp displays clearly).
	AvatarVP = 32
	// IncomingLife is how long after the push an incoming call may still be
	// reported (Call Kit's guide for reportIncomingCall).
	IncomingLife = 10 * time.Second
)

// Defaults are the values of what a push leaves out.
type Defaults struct {
	UserName    string // empty: a push without a name is INVALID_ATTRIBUTE
	AbilityName string
	Density     float64 // px per vp
	TTL         time.Duration
}

// Push is a decoded push: who calls whom, and how it is to be shown.
type Push struct {
	CallID string
	// Data is the push's data as it came: a JSON string or object.
	Data         json.RawMessage
	UserName     string
	VoipCallType VoipCallType
	Avatar       Avatar
	Density      float64
	AbilityName  string
	Direction    Direction
	DeviceID     string
	BundleName   string
	TTL          time.Duration
	Switches
}

// Avatar is what a push says of its caller's picture.
type Avatar struct {
	Given bool
	// Source is the given text; a value that was no string leaves it empty,
	// and is the avatar stage's to refuse.
	Source string
}

// AvatarSide is the side of the picture in px: 32vp at the given density.
func AvatarSide(density float64) int { return int(math.Round(AvatarVP * density)) }

// Envelope is a push of which only the callId has been read: enough to claim
// the call before anything else about it is judged.
type Envelope struct {
	CallID string // empty: there is none that counts
	data   json.RawMessage
	fault  string // why the whole is no push; empty: it is one
}

// OpenPush reads the envelope of a push in any of its three forms: the
// device's PushPayload verbatim, or {data, callId} with data as a string or an
// object. It never fails; what is wrong is said by Decode, so that a malformed
// push with a callId can still be claimed.
func OpenPush(body []byte) Envelope {
	outer, ok := fields(body)
	if !ok {
		return Envelope{fault: "the body is not a JSON object"}
	}
	e := Envelope{CallID: callID(outer.get("callId")), data: outer.get("data")}
	if e.CallID == "" {
		e = openPayload(outer.get("data"))
	}
	switch {
	case len(body) > MaxPushBytes:
		e.fault = "the body is longer than 160 KiB"
	case !utf8.Valid(body):
		e.fault = "the body is not UTF-8"
	}
	return e
}

// openPayload opens a PushPayload, whose data is a string of JSON that holds
// {data, callId}.
func openPayload(data json.RawMessage) Envelope {
	if s, ok := text(data); ok {
		if inner, ok := fields([]byte(s)); ok {
			id := callID(inner.get("callId"))
			if _, exact := exactText(data); !exact && strings.ContainsRune(id, utf8.RuneError) {
				id = "" // what it was before the outer string was read cannot be known
			}
			if id != "" {
				return Envelope{CallID: id, data: inner.get("data")}
			}
		}
	}
	return Envelope{fault: "there is no callId (1 to 128 bytes of UTF-8 without control characters or outer spaces)"}
}

func callID(raw json.RawMessage) string {
	s, ok := exactText(raw)
	if !ok || !ValidCallID(s) {
		return ""
	}
	return s
}

// ValidCallID says whether s can be a callId: 1 to 128 bytes of UTF-8 without
// control characters or outer spaces.
func ValidCallID(s string) bool {
	return s != "" && len(s) <= MaxCallIDBytes && utf8.ValidString(s) &&
		strings.TrimSpace(s) == s && !strings.ContainsFunc(s, unicode.IsControl)
}

// Decode reads the whole push. Its error is a *MalformedPushError or an
// *InvalidAttributeError; the Push that comes with it holds what could be read.
func (e Envelope) Decode(d Defaults) (*Push, error) {
	p := &Push{
		CallID: e.CallID, Data: e.data, UserName: d.UserName, Density: d.Density, AbilityName: d.AbilityName,
		Direction: Outgoing, TTL: d.TTL, Switches: DefaultSwitches(),
	}
	if e.fault != "" {
		return p, &MalformedPushError{Detail: e.fault}
	}
	holder, ok := attributesOf(e.data)
	if !ok {
		return p, &MalformedPushError{Detail: "data is " + kind(e.data) + ", want a string or an object"}
	}
	attributes := members(holder)
	var bad []FieldError
	for i := range pushFields {
		f := &pushFields[i]
		if raw := attributes.get(f.name); raw != nil && !f.set(p, raw) {
			bad = append(bad, f.error(raw))
		}
	}
	if d.UserName == "" && attributes.get("userName") == nil {
		bad = append(bad, FieldError{Field: "userName", Got: "nothing", Want: "a name: CALL_DEFAULT_USER_NAME is empty"})
	}
	if len(bad) > 0 {
		return p, &InvalidAttributeError{Fields: bad}
	}
	return p, nil
}

// attributesOf is the JSON object that data's fields are in; a string that holds
// none is opaque and has no fields.
func attributesOf(data json.RawMessage) (object []byte, ok bool) {
	if s, isText := text(data); isText {
		if b := []byte(s); isObject(b) {
			return b, true
		}
		return []byte("{}"), true
	}
	return data, len(data) > 0 && data[0] == '{' // part of a body that was found well-formed
}

// DecodePush opens and decodes a push in one step.
func DecodePush(body []byte, d Defaults) (*Push, error) { return OpenPush(body).Decode(d) }

// Attribute is Call Kit's view of the push, with the picture that was rendered
// for it.
func (p *Push) Attribute(picture UserProfile) VoipCallAttribute {
	return VoipCallAttribute{
		CallID: p.CallID, VoipCallType: p.VoipCallType, UserName: p.UserName, UserProfile: picture,
		AbilityName: p.AbilityName, VoipCallState: p.Direction.State(), Switches: p.Switches,
	}
}
