package voip

import "strconv"

// VoipCallType is Call Kit's voipCall.VoipCallType.
type VoipCallType int

// The call types.
const (
	VoipCallVoice VoipCallType = 0 // VOIP_CALL_VOICE
	VoipCallVideo VoipCallType = 1 // VOIP_CALL_VIDEO
)

// String is the documented name; an unknown value is shown with its number.
func (t VoipCallType) String() string {
	return enumName(int(t), "VoipCallType", "VOIP_CALL_VOICE", "VOIP_CALL_VIDEO")
}

// VoipCallState is Call Kit's voipCall.VoipCallState.
type VoipCallState int

// The call states. Only Dialing and Ringing may be reported for a new call.
const (
	StateIdle          VoipCallState = 0
	StateRinging       VoipCallState = 1
	StateActive        VoipCallState = 2
	StateHolding       VoipCallState = 3
	StateDisconnected  VoipCallState = 4
	StateDialing       VoipCallState = 5
	StateAnswered      VoipCallState = 6
	StateDisconnecting VoipCallState = 7
)

// String is the documented name; an unknown value is shown with its number.
func (s VoipCallState) String() string {
	return enumName(int(s), "VoipCallState",
		"VOIP_CALL_STATE_IDLE", "VOIP_CALL_STATE_RINGING", "VOIP_CALL_STATE_ACTIVE", "VOIP_CALL_STATE_HOLDING",
		"VOIP_CALL_STATE_DISCONNECTED", "VOIP_CALL_STATE_DIALING", "VOIP_CALL_STATE_ANSWERED", "VOIP_CALL_STATE_DISCONNECTING")
}

func enumName(v int, kind string, names ...string) string {
	if v >= 0 && v < len(names) {
		return names[v]
	}
	return kind + "(" + strconv.Itoa(v) + ")"
}

// Direction says who calls: it chooses the Call Kit method and the state.
type Direction string

// The directions.
const (
	Outgoing Direction = "outgoing"
	Incoming Direction = "incoming"
)

// The methods of Call Kit's voipCall module that a call is reported with.
const (
	MethodOutgoing = "reportOutgoingCall"
	MethodIncoming = "reportIncomingCall"
)

// Method is the Call Kit method that reports a call of this direction.
func (d Direction) Method() string {
	if d == Incoming {
		return MethodIncoming
	}
	return MethodOutgoing
}

// State is the VoipCallState that a new call of this direction is reported with.
func (d Direction) State() VoipCallState {
	if d == Incoming {
		return StateRinging
	}
	return StateDialing
}

// UserProfile is the caller's picture. Call Kit takes a PixelMap; on the wire
// it travels encoded (base64 in JSON), always square and at most 128 px.
type UserProfile struct {
	ContentType string `json:"contentType"`
	Width       int    `json:"width"`
	Height      int    `json:"height"`
	Data        []byte `json:"data"`
}

// VoipCallAttribute is Call Kit's voipCall.VoipCallAttribute, with the names
// that its documentation gives. The first six fields are mandatory there.
type VoipCallAttribute struct {
	CallID        string        `json:"callId"`
	VoipCallType  VoipCallType  `json:"voipCallType"`
	UserName      string        `json:"userName"`
	UserProfile   UserProfile   `json:"userProfile"`
	AbilityName   string        `json:"abilityName"`
	VoipCallState VoipCallState `json:"voipCallState"`
	Switches
}

// Switches are the optional booleans of VoipCallAttribute, which a push may
// set under the same names.
type Switches struct {
	ShowBannerForIncomingCall         bool `json:"showBannerForIncomingCall"`
	IsConferenceCall                  bool `json:"isConferenceCall"`
	IsVoiceAnswerSupported            bool `json:"isVoiceAnswerSupported"`
	IsUserMuteRingToneAllowed         bool `json:"isUserMuteRingToneAllowed"`
	IsDialingAllowedDuringCarrierCall bool `json:"isDialingAllowedDuringCarrierCall"`
}

// DefaultSwitches are the values that Call Kit documents as defaults.
func DefaultSwitches() Switches {
	return Switches{ShowBannerForIncomingCall: true, IsVoiceAnswerSupported: true}
}
