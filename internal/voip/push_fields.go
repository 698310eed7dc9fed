package voip

import (
	"encoding/json"
	"time"
)

// field is one field of data: set returns false when the value is of a wrong
// type or out of its range.
type field struct {
	name    string
	want    string
	private bool // the value never reaches an error
	set     func(*Push, json.RawMessage) bool
}

// pushFields are data's fields in the contract's order, but that scene comes
// before voipCallType, which overrules it.
//
//nolint:gochecknoglobals // a table of constants, read only
var pushFields = []field{
	{name: "userName", want: "a string of 1 to 256 bytes", private: true, set: func(p *Push, raw json.RawMessage) bool {
		s, ok := text(raw)
		if ok = ok && s != "" && len(s) <= MaxUserNameBytes; ok {
			p.UserName = s
		}
		return ok
	}},
	{name: "scene", set: setScene},
	{name: "voipCallType", want: `"voice", "video", 0 or 1`, set: setVoipCallType},
	{name: "avatar", private: true, set: func(p *Push, raw json.RawMessage) bool {
		p.Avatar.Given = true
		p.Avatar.Source, _ = text(raw)
		return true
	}},
	{name: "density", want: "a number from 0.5 to 4.0", set: func(p *Push, raw json.RawMessage) bool {
		f, ok := number(raw)
		if ok = ok && f >= MinDensity && f <= MaxDensity; ok {
			p.Density = f
		}
		return ok
	}},
	{name: "abilityName", want: "a string", set: stringField(func(p *Push) *string { return &p.AbilityName })},
	{name: "direction", want: `"outgoing" or "incoming"`, set: func(p *Push, raw json.RawMessage) bool {
		s, _ := text(raw)
		if d := Direction(s); d == Outgoing || d == Incoming {
			p.Direction = d
			return true
		}
		return false
	}},
	{name: "showBannerForIncomingCall", want: "true or false", set: boolField(func(p *Push) *bool { return &p.ShowBannerForIncomingCall })},
	{name: "isConferenceCall", want: "true or false", set: boolField(func(p *Push) *bool { return &p.IsConferenceCall })},
	{name: "isVoiceAnswerSupported", want: "true or false", set: boolField(func(p *Push) *bool { return &p.IsVoiceAnswerSupported })},
	{name: "isUserMuteRingToneAllowed", want: "true or false", set: boolField(func(p *Push) *bool { return &p.IsUserMuteRingToneAllowed })},
	{name: "isDialingAllowedDuringCarrierCall", want: "true or false", set: boolField(func(p *Push) *bool { return &p.IsDialingAllowedDuringCarrierCall })},
	{name: "deviceId", want: "a string", set: stringField(func(p *Push) *string { return &p.DeviceID })},
	{name: "bundleName", want: "a string", set: stringField(func(p *Push) *string { return &p.BundleName })},
	{name: "ttlSeconds", want: "an integer from 1 to 300", set: func(p *Push, raw json.RawMessage) bool {
		n, ok := integer(raw)
		if ttl := time.Duration(n) * time.Second; ok && n >= 1 && n <= int(MaxTTL/time.Second) {
			p.TTL = ttl
			return true
		}
		return false
	}},
}

func setScene(p *Push, raw json.RawMessage) bool {
	if s, _ := text(raw); s == "video" {
		p.VoipCallType = VoipCallVideo
	}
	return true // any other scene is ignored
}

func setVoipCallType(p *Push, raw json.RawMessage) bool {
	s, isText := text(raw)
	n, isNumber := integer(raw)
	switch {
	case isText && s == "voice", isNumber && n == int(VoipCallVoice):
		p.VoipCallType = VoipCallVoice
	case isText && s == "video", isNumber && n == int(VoipCallVideo):
		p.VoipCallType = VoipCallVideo
	default:
		return false
	}
	return true
}

func stringField(at func(*Push) *string) func(*Push, json.RawMessage) bool {
	return func(p *Push, raw json.RawMessage) bool {
		s, ok := text(raw)
		if ok {
			*at(p) = s
		}
		return ok
	}
}

func boolField(at func(*Push) *bool) func(*Push, json.RawMessage) bool {
	return func(p *Push, raw json.RawMessage) bool {
		switch string(raw) {
		case "true":
			*at(p) = true
		case "false":
			*at(p) = false
		default:
			return false
		}
		return true
	}
}

// error says what is wrong with a field's value.
func (f *field) error(raw json.RawMessage) FieldError {
	got := kind(raw)
	if !f.private {
		got = shown(raw)
	}
	return FieldError{Field: f.name, Got: got, Want: f.want}
}
