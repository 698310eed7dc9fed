package voip_test

import (
	"encoding/json"
	"reflect"
	"testing"
	"time"

	"github.com/voip-push/worker/internal/voip"
)

func TestPushOnTheWire(t *testing.T) {
	for _, form := range voip.Forms() {
		b, err := voip.EncodePush(form, "c-1", everyField())
		if err != nil {
			t.Fatal(err)
		}
		golden(t, "push-"+string(form)+".json", b)
		got, err := voip.DecodePush(b, defaults)
		want := voip.Push{
			CallID: "c-1", Data: got.Data, UserName: `Li "Lei" <李雷>`, VoipCallType: voip.VoipCallVideo,
			Avatar: voip.Avatar{Given: true, Source: "https://example.com/a.png?s=1&t=2"}, Density: 2.625, AbilityName: "CallAbility",
			Direction: voip.Incoming, DeviceID: "d-1", BundleName: "com.example.calls", TTL: 45 * time.Second,
			Switches: voip.Switches{IsConferenceCall: true, IsUserMuteRingToneAllowed: true, IsDialingAllowedDuringCarrierCall: true},
		}
		if err != nil || !reflect.DeepEqual(*got, want) {
			t.Errorf("%s: decodes to %+v, %v\nwant %+v", form, got, err, want)
		}
	}
}

func everyField() *voip.PushFields {
	return &voip.PushFields{
		UserName: new(`Li "Lei" <李雷>`), Scene: new("voice"), VoipCallType: new(voip.VoipCallVideo), Avatar: new("https://example.com/a.png?s=1&t=2"),
		Density: new(2.625), AbilityName: new("CallAbility"), Direction: new(voip.Incoming), ShowBannerForIncomingCall: new(false),
		IsConferenceCall: new(true), IsVoiceAnswerSupported: new(false), IsUserMuteRingToneAllowed: new(true),
		IsDialingAllowedDuringCarrierCall: new(true), DeviceID: new("d-1"), BundleName: new("com.example.calls"), TTLSeconds: new(45),
	}
}

func TestPushWithoutFieldsOnTheWire(t *testing.T) {
	want := map[voip.Form]string{
		voip.FormPayload: `{"data":"{\"callId\":\"c-1\",\"data\":\"{}\"}"}`,
		voip.FormString:  `{"callId":"c-1","data":"{}"}`,
		voip.FormObject:  `{"callId":"c-1","data":{}}`,
	}
	for _, form := range voip.Forms() {
		if b, err := voip.EncodePush(form, "c-1", &voip.PushFields{}); err != nil || string(b) != want[form] {
			t.Errorf("%s: got %s, %v", form, b, err)
		}
	}
}

func TestEncodePushData(t *testing.T) {
	tests := []struct {
		form     voip.Form
		id, data string
		want     string
	}{
		{voip.FormString, "c-1", `"opaque"`, `{"callId":"c-1","data":"opaque"}`},
		{voip.FormPayload, "c-1", `"opaque"`, `{"data":"{\"callId\":\"c-1\",\"data\":\"opaque\"}"}`},
		{voip.FormString, "", `"x"`, `{"data":"x"}`},
		{voip.FormString, "c-1", ``, `{"callId":"c-1"}`},
	}
	for _, tt := range tests {
		if got, err := voip.EncodePushData(tt.form, tt.id, json.RawMessage(tt.data)); err != nil || string(got) != tt.want {
			t.Errorf("got %s, %v, want %s", got, err, tt.want)
		}
	}
	if _, err := voip.EncodePushData(voip.FormObject, "c-1", json.RawMessage("{")); err == nil {
		t.Error("data that is no JSON is encoded")
	}
}

func TestCancelOnTheWire(t *testing.T) {
	b, err := voip.EncodeCancel("c-1")
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "cancel.json", b)
	if id, err := voip.DecodeCancel(b); id != "c-1" || err != nil {
		t.Errorf("decodes to %q, %v", id, err)
	}
}

func TestRequestOnTheWire(t *testing.T) {
	picture := voip.UserProfile{ContentType: "image/png", Width: 112, Height: 112, Data: []byte("\x89PNG")}
	for name, body := range map[string]string{
		"request-string.json": `{"callId":"c-1","data":"{\"userName\":\"Li & <Lei>\",\"x\" : 1}"}`,
		"request-object.json": `{"callId":"a.b","data":{"userName":"Li & <Lei>","direction":"incoming","voipCallType":"video","x":"\u2028"}}`,
	} {
		p, err := voip.DecodePush([]byte(body), defaults)
		if err != nil {
			t.Fatal(err)
		}
		r := voip.Request{
			Schema: voip.RequestSchema, Method: p.Direction.Method(), Attribute: p.Attribute(picture), DeviceID: p.DeviceID, BundleName: p.BundleName,
			Data: p.Data, Attempt: 1, IdempotencyKey: voip.IdempotencyKey(p.CallID, 0, 1), ExpiresAt: p.Deadline(at(0), time.Time{}, false),
		}
		b, err := r.Encode()
		if err != nil {
			t.Fatal(err)
		}
		golden(t, name, b)
		var back voip.Request
		if err := json.Unmarshal(b, &back); err != nil || !reflect.DeepEqual(back, r) {
			t.Errorf("%s: decodes to %+v, %v\nwant %+v", name, back, err, r)
		}
	}
	if _, err := (&voip.Request{Data: json.RawMessage("{")}).Encode(); err == nil {
		t.Error("data that is no JSON is encoded")
	}
}

func TestAnswerOnTheWire(t *testing.T) {
	for name, a := range map[string]voip.Answer{
		"answer.json":           {ErrorReason: new(voip.CellularCallExists), Message: "a cellular call", Duplicate: true},
		"answer-rejection.json": {Code: voip.CodeInvalidValue},
	} {
		b, err := json.Marshal(a)
		if err != nil {
			t.Fatal(err)
		}
		golden(t, name, b)
		if back, err := voip.DecodeAnswer(b); err != nil || !reflect.DeepEqual(back, a) {
			t.Errorf("%s: decodes to %+v, %v", name, back, err)
		}
	}
}

func TestResultOnTheWire(t *testing.T) {
	results := map[string]func(*voip.Result){
		"result-reported.json": func(r *voip.Result) {
			var p voip.Progress
			answer := &voip.Answer{ErrorReason: new(voip.ErrorNone)}
			p.Add(voip.NewAttempt(at(2*time.Millisecond), 1900*time.Microsecond, voip.ReasonNone, answer))
			p.LastAnswer = answer
			r.SetProgress(p)
			r.Avatar = &voip.AvatarResult{
				Status: voip.AvatarOK, ContentType: "image/png", Width: 112, Height: 112, Bytes: 9120,
				Source: &voip.AvatarSource{ContentType: "image/jpeg", Width: 640, Height: 640, Bytes: 88211},
			}
			r.Direction, r.VoipCallType, r.ExpiresAt = new(voip.Outgoing), new(voip.VoipCallVoice), new(at(time.Minute))
			r.Decide(nil)
		},
		"result-failed.json": func(r *voip.Result) {
			var p voip.Progress
			p.Add(voip.NewAttempt(at(time.Millisecond), 3*time.Second, voip.ReasonReportUnavailable, nil))
			answer := &voip.Answer{Code: voip.CodeInvalidValue, Message: "what the device says"}
			p.Add(voip.NewAttempt(at(4*time.Second), time.Millisecond, voip.ReasonCallKitRejected, answer))
			p.LastAnswer = answer
			r.SetProgress(p)
			r.Avatar = &voip.AvatarResult{Status: voip.AvatarFallback, Reason: voip.AvatarTimeout, ContentType: "image/png", Width: 112, Height: 112, Bytes: 812}
			r.Direction, r.VoipCallType, r.ExpiresAt = new(voip.Incoming), new(voip.VoipCallVideo), new(at(10*time.Second))
			r.Redrives = 1
			r.Decide(&voip.ReportError{Reason: voip.ReasonCallKitRejected, Answer: answer, Detail: "code 1007200001"})
		},
		"result-expired.json": func(r *voip.Result) {
			r.SetProgress(voip.Progress{})
			r.Direction, r.VoipCallType, r.ExpiresAt = new(voip.Outgoing), new(voip.VoipCallVoice), new(at(time.Millisecond))
			r.Decide(voip.ErrExpired)
		},
		"result-malformed.json": func(r *voip.Result) {
			r.SetProgress(voip.Progress{})
			_, err := voip.DecodePush([]byte(`{"callId":"c-1"}`), defaults)
			r.Decide(err)
		},
	}
	for name, fill := range results {
		t.Run(name, func(t *testing.T) {
			r := voip.Result{
				CallID: "c-1", Worker: "host/instance",
				Push: voip.PushRef{Stream: voip.StreamPush, Sequence: 12, Deliveries: 1, ReceivedAt: at(0)},
			}
			fill(&r)
			r.Complete(at(4200 * time.Microsecond))
			b, err := r.Encode()
			if err != nil {
				t.Fatal(err)
			}
			golden(t, name, b)
			if back, err := voip.DecodeResult(b); err != nil || !reflect.DeepEqual(back, r) {
				t.Errorf("decodes to %+v, %v\nwant %+v", back, err, r)
			}
		})
	}
	if _, err := voip.DecodeResult([]byte("Li Lei")); err == nil {
		t.Error("what is no result is decoded")
	}
	if _, err := (&voip.Result{CompletedAt: at(0).AddDate(9000, 0, 0)}).Encode(); err == nil {
		t.Error("a time that JSON cannot hold is encoded")
	}
	if b, err := (&voip.Result{CompletedAt: at(0).AddDate(9000, 0, 0)}).AppendJSON([]byte("before")); err == nil || string(b) != "before" {
		t.Errorf("a time that JSON cannot hold is appended: %q, %v", b, err)
	}
}

// A record of a call outlives its worker: what it says of the progress is read
// by others.
func TestProgressInARecord(t *testing.T) {
	p := voip.Progress{Key: 1, Pending: true, Unknown: true, Inferred: true, Few: 2, Twice: 1, LastAnswer: &voip.Answer{Code: 801, Message: "no"}}
	p.Add(voip.NewAttempt(at(0), time.Second, voip.ReasonCallKitRejected, p.LastAnswer))
	b, err := json.Marshal(p)
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "progress.json", b)
	var back voip.Progress
	if err := json.Unmarshal(b, &back); err != nil || !reflect.DeepEqual(back, p) {
		t.Errorf("decodes to %+v, %v", back, err)
	}
	if b, err := json.Marshal(voip.Progress{}); err != nil || string(b) != "{}" {
		t.Errorf("no progress is %s, %v", b, err)
	}
}
