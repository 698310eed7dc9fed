package voip_test

import (
	"encoding/json"
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/voip-push/worker/internal/voip"
)

// A push decodes to a valid push or to a typed error, and whatever decodes is
// the same push once it is encoded again, in every form.
func FuzzDecodePush(f *testing.F) {
	for _, body := range forms {
		f.Add([]byte(body(`"c-1"`, `{"userName":"Li Lei","scene":"video","avatar":"https://example.com/a.png","ttlSeconds":60}`)))
		f.Add([]byte(body(`"a.b"`, `{"density":0.5,"direction":"incoming","voipCallType":1,"isConferenceCall":true}`)))
	}
	for _, body := range []string{
		``, `null`, `{}`, `{"callId":"c-1"}`, `{"callId":7,"data":""}`, `{"callId":"\ud800","data":""}`, `{"callId":"c-1","data":"opaque"}`,
		`{"callId":"c-1","data":{"userName":7,"avatar":7,"density":1e400}}`, `{"data":"{\"callId\":\"\ud800\",\"data\":\"\"}"}`, `{"data":"{\"data\":null,\"callId\":\"c-1\"}"}`,
	} {
		f.Add([]byte(body))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		p, err := voip.DecodePush(body, defaults)
		if e := voip.OpenPush(body); e.CallID != p.CallID {
			t.Fatalf("the envelope's callId is %q, the push's %q", e.CallID, p.CallID)
		}
		if p.CallID != "" && !voip.ValidCallID(p.CallID) {
			t.Fatalf("the callId is %q", p.CallID)
		}
		if err != nil {
			_, malformed := errors.AsType[*voip.MalformedPushError](err)
			_, invalid := errors.AsType[*voip.InvalidAttributeError](err)
			if malformed == invalid {
				t.Fatalf("the error is a %T: %v", err, err)
			}
			return
		}
		mustBeValid(t, p)
		for _, form := range voip.Forms() {
			again, err := voip.EncodePush(form, p.CallID, fieldsOf(p))
			if err != nil {
				t.Fatal(err)
			}
			back, err := voip.DecodePush(again, voip.Defaults{})
			p.Data = back.Data // it has only what a worker reads
			if len(again) <= voip.MaxPushBytes && (err != nil || !reflect.DeepEqual(back, p)) {
				t.Fatalf("%s: %s\ndecodes to %+v, %v\nwant %+v", form, again, back, err, p)
			}
		}
	})
}

func mustBeValid(t *testing.T, p *voip.Push) {
	t.Helper()
	side := voip.AvatarSide(p.Density)
	if p.CallID == "" || p.UserName == "" || len(p.UserName) > voip.MaxUserNameBytes || side < 16 || side > 128 ||
		p.TTL < time.Second || p.TTL > 5*time.Minute || p.Direction != voip.Outgoing && p.Direction != voip.Incoming ||
		p.VoipCallType != voip.VoipCallVoice && p.VoipCallType != voip.VoipCallVideo || !json.Valid(p.Data) {
		t.Fatalf("a push is %+v", p)
	}
}

func fieldsOf(p *voip.Push) *voip.PushFields {
	f := &voip.PushFields{
		UserName: &p.UserName, VoipCallType: &p.VoipCallType, Density: &p.Density, AbilityName: &p.AbilityName, Direction: &p.Direction,
		ShowBannerForIncomingCall: &p.ShowBannerForIncomingCall, IsConferenceCall: &p.IsConferenceCall, IsVoiceAnswerSupported: &p.IsVoiceAnswerSupported,
		IsUserMuteRingToneAllowed: &p.IsUserMuteRingToneAllowed, IsDialingAllowedDuringCarrierCall: &p.IsDialingAllowedDuringCarrierCall,
		DeviceID: &p.DeviceID, BundleName: &p.BundleName, TTLSeconds: new(int(p.TTL / time.Second)),
	}
	if p.Avatar.Given {
		f.Avatar = &p.Avatar.Source
	}
	return f
}

// Whatever else of a push is wrong, no error tells the name or the picture's
// address.
func FuzzErrorsTellNoPrivateValue(f *testing.F) {
	for _, rest := range []string{`{}`, `{"density":9,"direction":"sideways","ttlSeconds":null}`, `{"scene":[],"voipCallType":{}}`} {
		f.Add(rest)
	}
	const marker = "31415926535"
	f.Fuzz(func(t *testing.T, rest string) {
		var m map[string]any
		if json.Unmarshal([]byte(rest), &m) != nil || strings.Contains(rest, marker) {
			t.Skip()
		}
		if m == nil {
			m = map[string]any{}
		}
		m["avatar"] = "https://example.com/" + marker
		for _, name := range []any{
			strings.Repeat(marker, 30), json.Number(marker), json.Number("-0." + marker), map[string]any{marker: marker}, []any{marker}, map[string]any{"a": json.Number(marker)},
		} {
			m["userName"] = name
			data, err := json.Marshal(m)
			if err != nil {
				t.Skip()
			}
			for form, body := range forms {
				_, err := voip.DecodePush([]byte(body(`"c-1"`, string(data))), defaults)
				if err == nil || strings.Contains(err.Error(), marker) {
					t.Fatalf("%s, %s: the error is %v", form, data, err)
				}
				if voip.ReasonOf(err) != voip.ReasonInvalidAttribute && len(data) < voip.MaxPushBytes/8 {
					t.Fatalf("%s, %s: the error is %v", form, data, err)
				}
			}
		}
	})
}
