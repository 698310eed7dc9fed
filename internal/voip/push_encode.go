package voip

import (
	"encoding/json"
	"fmt"
)

// Form is one of the three forms in which a push may be spelled.
type Form string

// The forms.
const (
	FormPayload Form = "payload" // the device's PushPayload: its data is a string that holds {data, callId}
	FormString  Form = "string"  // {callId, data}, data as a string
	FormObject  Form = "object"  // {callId, data}, data as an object
)

// Forms are all forms, in the contract's order.
func Forms() []Form { return []Form{FormPayload, FormString, FormObject} }

// PushFields are the fields of a push's data, under the names of the contract;
// nil leaves one out. They are not checked: a gateway may send what a worker
// refuses.
type PushFields struct {
	UserName                          *string       `json:"userName,omitempty"`
	Scene                             *string       `json:"scene,omitempty"`
	VoipCallType                      *VoipCallType `json:"voipCallType,omitempty"`
	Avatar                            *string       `json:"avatar,omitempty"`
	Density                           *float64      `json:"density,omitempty"`
	AbilityName                       *string       `json:"abilityName,omitempty"`
	Direction                         *Direction    `json:"direction,omitempty"`
	ShowBannerForIncomingCall         *bool         `json:"showBannerForIncomingCall,omitempty"`
	IsConferenceCall                  *bool         `json:"isConferenceCall,omitempty"`
	IsVoiceAnswerSupported            *bool         `json:"isVoiceAnswerSupported,omitempty"`
	IsUserMuteRingToneAllowed         *bool         `json:"isUserMuteRingToneAllowed,omitempty"`
	IsDialingAllowedDuringCarrierCall *bool         `json:"isDialingAllowedDuringCarrierCall,omitempty"`
	DeviceID                          *string       `json:"deviceId,omitempty"`
	BundleName                        *string       `json:"bundleName,omitempty"`
	TTLSeconds                        *int          `json:"ttlSeconds,omitempty"`
}

// EncodePush is a push as a gateway sends it.
func EncodePush(form Form, callID string, f *PushFields) ([]byte, error) {
	data, err := encodeJSON(f)
	if err != nil {
		return nil, fmt.Errorf("encode the push's data: %w", err)
	}
	if form == FormObject {
		return EncodePushData(form, callID, data)
	}
	quoted, err := encodeJSON(string(data))
	if err != nil {
		return nil, fmt.Errorf("encode the push's data: %w", err)
	}
	return EncodePushData(form, callID, quoted)
}

// EncodePushData is a push whose data is already JSON: a string, which may be
// opaque, or an object. FormPayload wraps the two in a PushPayload; the other
// forms are told apart by the data alone.
func EncodePushData(form Form, callID string, data json.RawMessage) ([]byte, error) {
	body, err := encodeJSON(struct {
		CallID string          `json:"callId,omitempty"`
		Data   json.RawMessage `json:"data,omitempty"`
	}{callID, data})
	if err != nil {
		return nil, fmt.Errorf("encode the push: %w", err)
	}
	if form != FormPayload {
		return body, nil
	}
	body, err = encodeJSON(struct {
		Data string `json:"data"`
	}{string(body)})
	if err != nil {
		return nil, fmt.Errorf("encode the push payload: %w", err)
	}
	return body, nil
}

// EncodeCancel is a message of voip.cancel.
func EncodeCancel(callID string) ([]byte, error) {
	b, err := encodeJSON(struct {
		CallID string `json:"callId"`
	}{callID})
	if err != nil {
		return nil, fmt.Errorf("encode the cancel: %w", err)
	}
	return b, nil
}
