package voip_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/voip-push/worker/internal/voip"
)

// plain is the push that leaves out all that it may.
func plain(data string) voip.Push {
	return voip.Push{
		CallID: "c-1", Data: json.RawMessage(data), UserName: "Unknown", VoipCallType: voip.VoipCallVoice,
		Density: 3.5, AbilityName: "EntryAbility", Direction: voip.Outgoing, TTL: time.Minute,
		Switches: voip.Switches{ShowBannerForIncomingCall: true, IsVoiceAnswerSupported: true},
	}
}

func TestDecodePushForms(t *testing.T) {
	const fields = `{"userName":"Li Lei","scene":"video","unknown":{"callId":"other"}}`
	want := map[voip.Form]string{
		voip.FormPayload: quote(fields), voip.FormString: quote(fields), voip.FormObject: fields,
	}
	for form, body := range forms {
		t.Run(string(form), func(t *testing.T) {
			p := plain(want[form])
			p.UserName, p.VoipCallType = "Li Lei", voip.VoipCallVideo
			got, err := voip.DecodePush([]byte(body(`"c-1"`, fields)), defaults)
			if err != nil || !reflect.DeepEqual(*got, p) {
				t.Errorf("got %+v, %v\nwant %+v", got, err, p)
			}
		})
	}
}

func TestDecodePushBodies(t *testing.T) {
	const noID = "malformed push: there is no callId (1 to 128 bytes of UTF-8 without control characters or outer spaces)"
	tests := []struct {
		name, body, id, err string
	}{
		{"unknown fields beside the envelope", `{"v":1,"callId":"c-1","data":"","x":[{}]}`, "c-1", ""},
		{"unknown fields in a payload", `{"v":1,"data":"{\"x\":1,\"data\":\"\",\"callId\":\"c-1\"}"}`, "c-1", ""},
		{"a payload's data as an object", `{"data":"{\"data\":{},\"callId\":\"c-1\"}"}`, "c-1", ""},
		{"white space", " {\n\"callId\" : \"c-1\" ,\t\"data\" : { } } ", "c-1", ""},
		{"the last of two callIds", `{"callId":"c-0","callId":"c-1","data":""}`, "c-1", ""},
		{"the outer callId comes first", `{"callId":"c-1","data":"{\"callId\":\"c-2\",\"data\":\"\"}"}`, "c-1", ""},
		{"an outer callId that counts as none", `{"callId":7,"data":"{\"callId\":\"c-2\",\"data\":\"\"}"}`, "c-2", ""},
		{"a name in escapes", `{"\u0063allId":"c-1","data":""}`, "c-1", ""},

		{"nothing", "", "", "malformed push: the body is not a JSON object"},
		{"no JSON", "hello", "", "malformed push: the body is not a JSON object"},
		{"cut off", `{"callId":"c-1","data":""`, "", "malformed push: the body is not a JSON object"},
		{"more behind it", `{"callId":"c-1","data":""}{}`, "", "malformed push: the body is not a JSON object"},
		{"an array", `[{"callId":"c-1","data":""}]`, "", "malformed push: the body is not a JSON object"},
		{"null", "null", "", "malformed push: the body is not a JSON object"},
		{"a string", `"c-1"`, "", "malformed push: the body is not a JSON object"},
		{"nested too deep", `{"callId":"c-1","data":` + strings.Repeat("[", 20_000) + strings.Repeat("]", 20_000) + `}`, "", "malformed push: the body is not a JSON object"},

		{"no callId", `{"data":{}}`, "", noID},
		{"no callId, opaque data", `{"data":"hello"}`, "", noID},
		{"a callId inside of a data object", `{"data":{"callId":"c-1","data":""}}`, "", noID},
		{"a callId inside of a payload's data", `{"data":"{\"data\":\"{\\\"callId\\\":\\\"c-1\\\"}\"}"}`, "", noID},
		{"CALLID", `{"CALLID":"c-1","data":""}`, "", noID},
		{"callid", `{"callid":"c-1","data":""}`, "", noID},
		{"CALLID in a payload", `{"data":"{\"data\":\"\",\"CALLID\":\"c-1\"}"}`, "", noID},

		{"no data", `{"callId":"c-1"}`, "c-1", "malformed push: data is nothing, want a string or an object"},
		{"no data in a payload", `{"data":"{\"callId\":\"c-1\"}"}`, "c-1", "malformed push: data is nothing, want a string or an object"},
		{"DATA", `{"callId":"c-1","DATA":""}`, "c-1", "malformed push: data is nothing, want a string or an object"},
		{"data null", `{"callId":"c-1","data":null}`, "c-1", "malformed push: data is null, want a string or an object"},
		{"data a number", `{"callId":"c-1","data":13800138000}`, "c-1", "malformed push: data is a number, want a string or an object"},
		{"data true", `{"callId":"c-1","data":true}`, "c-1", "malformed push: data is true, want a string or an object"},
		{"data an array", `{"callId":"c-1","data":[{}]}`, "c-1", "malformed push: data is an array, want a string or an object"},

		{"bytes that are not UTF-8", "{\"callId\":\"c-1\",\"data\":\"\xff\"}", "c-1", "malformed push: the body is not UTF-8"},
		{"160 KiB", sized(voip.MaxPushBytes), "c-1", ""},
		{"more than 160 KiB", sized(voip.MaxPushBytes + 1), "c-1", "malformed push: the body is longer than 160 KiB"},
		{"much more than 160 KiB", sized(1 << 20), "c-1", "malformed push: the body is longer than 160 KiB"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			e := voip.OpenPush([]byte(tt.body))
			if e.CallID != tt.id {
				t.Errorf("the envelope's callId is %q, want %q", e.CallID, tt.id)
			}
			p, err := e.Decode(defaults)
			if text(err) != tt.err {
				t.Errorf("got %q, want %q", text(err), tt.err)
			}
			if _, malformed := errors.AsType[*voip.MalformedPushError](err); err != nil && !malformed {
				t.Errorf("got a %T, want a *MalformedPushError", err)
			}
			if p.CallID != tt.id {
				t.Errorf("the push's callId is %q, want %q", p.CallID, tt.id)
			}
		})
	}
}

// sized is a push whose body is n bytes long.
func sized(n int) string {
	const head, tail = `{"callId":"c-1","data":"`, `"}`
	return head + strings.Repeat("x", n-len(head)-len(tail)) + tail
}

func TestDecodePushOpaqueData(t *testing.T) {
	for _, data := range []string{"", " ", "hello", "null", "7", "true", `"{}"`, `[{"userName":"x"}]`, `{"userName":"x"`, `{"userName":"x"}}`} {
		for _, form := range []voip.Form{voip.FormPayload, voip.FormString} {
			got, err := voip.DecodePush([]byte(forms[form](`"c-1"`, data)), defaults)
			if want := plain(quote(data)); err != nil || !reflect.DeepEqual(*got, want) {
				t.Errorf("%s, data %q: got %+v, %v\nwant %+v", form, data, got, err, want)
			}
		}
	}
}

func TestCallID(t *testing.T) {
	const snowman = "\u2603" // three bytes
	tests := []struct {
		name, id string // as it stands in JSON
		want     string // empty: it counts as none
	}{
		{"a letter", `"c"`, "c"},
		{"128 bytes", `"` + strings.Repeat("x", 128) + `"`, strings.Repeat("x", 128)},
		{"129 bytes", `"` + strings.Repeat("x", 129) + `"`, ""},
		{"128 bytes in 42 characters and two letters", `"` + strings.Repeat(snowman, 42) + `ab"`, strings.Repeat(snowman, 42) + "ab"},
		{"129 bytes in 43 characters", `"` + strings.Repeat(snowman, 43) + `"`, ""},
		{"128 bytes in 768 bytes of escapes", `"` + strings.Repeat(`\u0078`, 128) + `"`, strings.Repeat("x", 128)},
		{"an inner space", `"a b"`, "a b"},
		{"what subjects cannot carry", `"a.b*c>d/\\\"é☃"`, `a.b*c>d/\"é☃`},
		{"a surrogate pair", `"\ud83d\ude00"`, "\U0001F600"},
		{"an escaped backslash before what looks like a surrogate", `"\\ud800"`, `\ud800`},
		{"a replacement character", `"a\ufffdb"`, "a\uFFFDb"},
		{"the last character before DEL", `"~"`, "~"},
		{"a no-break space inside", `"a\u00a0b"`, "a\u00A0b"},

		{"empty", `""`, ""},
		{"a space", `" "`, ""},
		{"a leading space", `" a"`, ""},
		{"a trailing space", `"a "`, ""},
		{"a trailing no-break space", `"a\u00a0"`, ""},
		{"a leading line separator", `"\u2028a"`, ""},
		{"a trailing ideographic space", `"a\u3000"`, ""},
		{"NUL", `"a\u0000b"`, ""},
		{"a line feed", `"a\nb"`, ""},
		{"a tab", `"a\tb"`, ""},
		{"U+001F", `"a\u001fb"`, ""},
		{"DEL", `"a\u007fb"`, ""},
		{"U+0080", `"a\u0080b"`, ""},
		{"U+009F", `"a\u009fb"`, ""},
		{"half of a surrogate pair", `"a\ud83d"`, ""},
		{"the other half", `"a\ude00b"`, ""},
		{"the halves the wrong way round", `"\ude00\ud83d"`, ""},
		{"two first halves", `"\ud83d\ud83d"`, ""},
		{"a half after a pair", `"\ud83d\ude00\ud83d"`, ""},
		{"a half before a letter", `"\ud83dx"`, ""},
		{"bytes that are not UTF-8", "\"a\xff\"", ""},
		{"an overlong encoding", "\"a\xc0\xae\"", ""},
		{"a surrogate in UTF-8", "\"a\xed\xa0\x80\"", ""},
		{"a number", `1`, ""},
		{"true", `true`, ""},
		{"null", `null`, ""},
		{"an object", `{"callId":"c-1"}`, ""},
		{"an array", `["c-1"]`, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			// Written by hand and not with quote, which would mend what is wrong.
			outside := strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(tt.id)
			for form, body := range map[string]string{
				"object":  `{"callId":` + tt.id + `,"data":{}}`,
				"string":  `{"callId":` + tt.id + `,"data":"{}"}`,
				"payload": `{"data":"{\"callId\":` + outside + `,\"data\":\"\"}"}`,
			} {
				e := voip.OpenPush([]byte(body))
				if e.CallID != tt.want {
					t.Errorf("%s: got %q, want %q", form, e.CallID, tt.want)
				}
				_, err := e.Decode(defaults)
				if _, malformed := errors.AsType[*voip.MalformedPushError](err); malformed != (tt.want == "") {
					t.Errorf("%s: decoding gives %v", form, err)
				}
			}
			id, err := voip.DecodeCancel([]byte(`{"callId":` + tt.id + `}`))
			if id != tt.want || (err == nil) != (tt.want != "") {
				t.Errorf("the cancel gives %q, %v", id, err)
			}
			if tt.want != "" && !voip.ValidCallID(tt.want) {
				t.Errorf("%q is not valid", tt.want)
			}
		})
	}
	t.Run("half of a pair that the payload's own string holds", func(t *testing.T) {
		// It is gone once that string is read, and two callIds would be one.
		for _, id := range []string{`a\ud83d`, `a\ude00`, "a\xff"} {
			body := `{"data":"{\"callId\":\"` + id + `\",\"data\":\"\"}"}`
			if e := voip.OpenPush([]byte(body)); e.CallID != "" {
				t.Errorf("%q: got %q, want none", id, e.CallID)
			}
		}
	})
	t.Run("half of a pair elsewhere in the payload's string", func(t *testing.T) {
		body := `{"data":"{\"callId\":\"c-1\",\"data\":\"\ud83d\"}"}`
		if e := voip.OpenPush([]byte(body)); e.CallID != "c-1" {
			t.Errorf("got %q", e.CallID)
		}
	})
}

// A row of the table of fields: values that are taken, with what they set, and
// values that are refused.
type fieldTest struct {
	field string
	want  string // of what is legal, as the error says it
	good  map[string]func(*voip.Push)
	bad   map[string]string // with what the error says of the value
}

func text256(n int) string { return `"` + strings.Repeat("n", n) + `"` }

func fieldTests() []fieldTest {
	type set = map[string]func(*voip.Push)
	text := func(field string, at func(*voip.Push) *string) fieldTest {
		return fieldTest{
			field, "a string",
			set{`"x"`: func(p *voip.Push) { *at(p) = "x" }, `""`: func(p *voip.Push) { *at(p) = "" }, `"\u00e9\""`: func(p *voip.Push) { *at(p) = `é"` }},
			map[string]string{`null`: "null", `7`: "the number 7", `true`: "true", `{"a":1}`: "an object", `["x"]`: "an array"},
		}
	}
	boolean := func(field string, at func(*voip.Push) *bool) fieldTest {
		return fieldTest{
			field, "true or false",
			set{`true`: func(p *voip.Push) { *at(p) = true }, `false`: func(p *voip.Push) { *at(p) = false }},
			map[string]string{`null`: "null", `1`: "the number 1", `0`: "the number 0", `"true"`: `"true"`, `{}`: "an object", `[true]`: "an array"},
		}
	}
	name := func(s string) func(*voip.Push) { return func(p *voip.Push) { p.UserName = s } }
	callType := func(c voip.VoipCallType) func(*voip.Push) { return func(p *voip.Push) { p.VoipCallType = c } }
	density := func(d float64) func(*voip.Push) { return func(p *voip.Push) { p.Density = d } }
	ttl := func(d time.Duration) func(*voip.Push) { return func(p *voip.Push) { p.TTL = d } }
	direction := func(d voip.Direction) func(*voip.Push) { return func(p *voip.Push) { p.Direction = d } }
	long := `"` + strings.Repeat("é", 30) + `"`
	return []fieldTest{
		{
			"userName", "a string of 1 to 256 bytes",
			set{`"L"`: name("L"), `" "`: name(" "), text256(256): name(strings.Repeat("n", 256)), `"李雷\n"`: name("李雷\n"), `"` + strings.Repeat(`\u006e`, 256) + `"`: name(strings.Repeat("n", 256))},
			map[string]string{
				`""`: "a string of 0 bytes", text256(257): "a string of 257 bytes", `"` + strings.Repeat("李", 86) + `"`: "a string of 258 bytes",
				`null`: "null", `13800138000`: "a number", `-1.5`: "a number", `true`: "true", `{"first":"Lei"}`: "an object", `["Lei"]`: "an array",
			},
		},
		{
			"voipCallType", `"voice", "video", 0 or 1`,
			set{
				`"voice"`: callType(voip.VoipCallVoice), `"video"`: callType(voip.VoipCallVideo), `0`: callType(voip.VoipCallVoice), `1`: callType(voip.VoipCallVideo),
				`"\u0076ideo"`: callType(voip.VoipCallVideo),
			},
			map[string]string{
				`2`: "the number 2", `-1`: "the number -1", `0.5`: "the number 0.5", `"Voice"`: `"Voice"`, `""`: `""`, `"0"`: `"0"`, `null`: "null", `true`: "true",
				`{}`: "an object", `[0]`: "an array", long: `"` + strings.Repeat("é", 20) + `…"`, `1e400`: "the number 1e400",
			},
		},
		{
			"density", "a number from 0.5 to 4.0",
			set{`0.5`: density(0.5), `4`: density(4), `4.0`: density(4), `1e0`: density(1), `3.5`: density(3.5), `2.625`: density(2.625)},
			map[string]string{
				`0.49`: "the number 0.49", `0`: "the number 0", `-1`: "the number -1", `4.01`: "the number 4.01", `1e400`: "the number 1e400", `-1e400`: "the number -1e400",
				`"3.5"`: `"3.5"`, `null`: "null", `true`: "true", `{}`: "an object", `[1]`: "an array", `4.` + strings.Repeat("1", 100): "the number 4." + strings.Repeat("1", 38) + "…",
			},
		},
		text("abilityName", func(p *voip.Push) *string { return &p.AbilityName }),
		{
			"direction", `"outgoing" or "incoming"`,
			set{`"outgoing"`: direction(voip.Outgoing), `"incoming"`: direction(voip.Incoming)},
			map[string]string{`"Incoming"`: `"Incoming"`, `""`: `""`, `"sideways"`: `"sideways"`, `0`: "the number 0", `null`: "null", `false`: "false", `{}`: "an object", `["incoming"]`: "an array"},
		},
		boolean("showBannerForIncomingCall", func(p *voip.Push) *bool { return &p.ShowBannerForIncomingCall }),
		boolean("isConferenceCall", func(p *voip.Push) *bool { return &p.IsConferenceCall }),
		boolean("isVoiceAnswerSupported", func(p *voip.Push) *bool { return &p.IsVoiceAnswerSupported }),
		boolean("isUserMuteRingToneAllowed", func(p *voip.Push) *bool { return &p.IsUserMuteRingToneAllowed }),
		boolean("isDialingAllowedDuringCarrierCall", func(p *voip.Push) *bool { return &p.IsDialingAllowedDuringCarrierCall }),
		text("deviceId", func(p *voip.Push) *string { return &p.DeviceID }),
		text("bundleName", func(p *voip.Push) *string { return &p.BundleName }),
		{
			"ttlSeconds", "an integer from 1 to 300",
			set{`1`: ttl(time.Second), `300`: ttl(300 * time.Second), `60.0`: ttl(time.Minute), `6e1`: ttl(time.Minute)},
			map[string]string{
				`0`: "the number 0", `301`: "the number 301", `-1`: "the number -1", `1.5`: "the number 1.5", `9223372037`: "the number 9223372037",
				`18446744073709551617`: "the number 18446744073709551617", `1e30`: "the number 1e30", `"60"`: `"60"`, `null`: "null", `true`: "true", `{}`: "an object", `[60]`: "an array",
			},
		},
	}
}

func TestDecodePushFields(t *testing.T) {
	for _, tt := range fieldTests() {
		t.Run(tt.field, func(t *testing.T) {
			for value, set := range tt.good {
				data := fmt.Sprintf(`{"%s":%s,"x":1}`, tt.field, value)
				want := plain(data)
				set(&want)
				got, err := voip.DecodePush([]byte(forms[voip.FormObject](`"c-1"`, data)), defaults)
				if err != nil || !reflect.DeepEqual(*got, want) {
					t.Errorf("%s: got %+v, %v\nwant %+v", value, got, err, want)
				}
			}
			for value, got := range tt.bad {
				for form, body := range forms {
					want := []voip.FieldError{{Field: tt.field, Got: got, Want: tt.want}}
					_, err := voip.DecodePush([]byte(body(`"c-1"`, fmt.Sprintf(`{"%s":%s}`, tt.field, value))), defaults)
					bad, ok := errors.AsType[*voip.InvalidAttributeError](err)
					if !ok || !slices.Equal(bad.Fields, want) {
						t.Errorf("%s: %s: got %v, want %v", form, value, err, want)
						continue
					}
					if s := "invalid attribute: " + tt.field + " is " + got + ", want " + tt.want; err.Error() != s {
						t.Errorf("%s: got %q, want %q", value, err, s)
					}
				}
			}
			// In another case it is another field, and nobody's.
			data := fmt.Sprintf(`{"%s":[]}`, strings.ToUpper(tt.field))
			if got, err := voip.DecodePush([]byte(forms[voip.FormObject](`"c-1"`, data)), defaults); err != nil || !reflect.DeepEqual(*got, plain(data)) {
				t.Errorf("%s: got %+v, %v", data, got, err)
			}
		})
	}
}

func TestDecodePushNamesEveryFault(t *testing.T) {
	none := defaults
	none.UserName = ""
	tests := []struct {
		name     string
		defaults voip.Defaults
		data     string
		want     []string
	}{
		{"in the contract's order", defaults, `{"ttlSeconds":0,"density":9,"userName":"","direction":1}`, []string{"userName", "density", "direction", "ttlSeconds"}},
		{"no name and no default", none, `{}`, []string{"userName"}},
		{"no name and no default, opaque data", none, `hello`, []string{"userName"}},
		{"no name and no default, and more", none, `{"density":9}`, []string{"density", "userName"}},
		{"a bad name and no default", none, `{"userName":""}`, []string{"userName"}},
		{"a name and no default", none, `{"userName":"Li Lei"}`, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := voip.DecodePush([]byte(forms[voip.FormString](`"c-1"`, tt.data)), tt.defaults)
			var got []string
			if bad, ok := errors.AsType[*voip.InvalidAttributeError](err); ok {
				for _, f := range bad.Fields {
					got = append(got, f.Field)
				}
			}
			if !slices.Equal(got, tt.want) || (err == nil) != (tt.want == nil) {
				t.Errorf("got %v (%v), want %v", got, err, tt.want)
			}
		})
	}
}

func TestDecodePushScene(t *testing.T) {
	tests := []struct {
		data string
		want voip.VoipCallType
	}{
		{`{}`, voip.VoipCallVoice},
		{`{"scene":"voice"}`, voip.VoipCallVoice},
		{`{"scene":"video"}`, voip.VoipCallVideo},
		{`{"scene":"Video"}`, voip.VoipCallVoice},
		{`{"scene":"meeting"}`, voip.VoipCallVoice},
		{`{"scene":1}`, voip.VoipCallVoice},
		{`{"scene":null}`, voip.VoipCallVoice},
		{`{"scene":{}}`, voip.VoipCallVoice},
		{`{"SCENE":"video"}`, voip.VoipCallVoice},
		{`{"scene":"video","voipCallType":"voice"}`, voip.VoipCallVoice},
		{`{"voipCallType":0,"scene":"video"}`, voip.VoipCallVoice},
		{`{"voipCallType":1,"scene":"voice"}`, voip.VoipCallVideo},
	}
	for _, tt := range tests {
		got, err := voip.DecodePush([]byte(forms[voip.FormString](`"c-1"`, tt.data)), defaults)
		if err != nil || got.VoipCallType != tt.want {
			t.Errorf("%s: got %v, %v, want %v", tt.data, got.VoipCallType, err, tt.want)
		}
	}
}

// Whatever the avatar is, the push stands.
func TestDecodePushAvatar(t *testing.T) {
	tests := []struct {
		data string
		want voip.Avatar
	}{
		{`{}`, voip.Avatar{}},
		{`{"AVATAR":"https://x"}`, voip.Avatar{}},
		{`{"avatar":"https://example.com/a.png"}`, voip.Avatar{Given: true, Source: "https://example.com/a.png"}},
		{`{"avatar":"resource:a.png"}`, voip.Avatar{Given: true, Source: "resource:a.png"}},
		{`{"avatar":"nonsense"}`, voip.Avatar{Given: true, Source: "nonsense"}},
		{`{"avatar":""}`, voip.Avatar{Given: true}},
		{`{"avatar":null}`, voip.Avatar{Given: true}},
		{`{"avatar":7}`, voip.Avatar{Given: true}},
		{`{"avatar":false}`, voip.Avatar{Given: true}},
		{`{"avatar":{}}`, voip.Avatar{Given: true}},
		{`{"avatar":["https://x"]}`, voip.Avatar{Given: true}},
	}
	for _, tt := range tests {
		got, err := voip.DecodePush([]byte(forms[voip.FormString](`"c-1"`, tt.data)), defaults)
		if err != nil || got.Avatar != tt.want {
			t.Errorf("%s: got %+v, %v, want %+v", tt.data, got.Avatar, err, tt.want)
		}
	}
}

func TestAvatarSide(t *testing.T) {
	for density, want := range map[float64]int{0.5: 16, 1: 32, 1.02: 33, 2.625: 84, 3.25: 104, 3.5: 112, 4: 128} {
		if got := voip.AvatarSide(density); got != want {
			t.Errorf("density %v: got %d, want %d", density, got, want)
		}
	}
}

func TestDecodeCancel(t *testing.T) {
	tests := []struct{ body, id, err string }{
		{`{"callId":"c-1","by":"someone"}`, "c-1", ""},
		{`{"CALLID":"c-1"}`, "", "malformed push: the cancel has no callId"},
		{`{}`, "", "malformed push: the cancel has no callId"},
		{``, "", "malformed push: the cancel is not a JSON object"},
		{`"c-1"`, "", "malformed push: the cancel is not a JSON object"},
		{`null`, "", "malformed push: the cancel is not a JSON object"},
	}
	for _, tt := range tests {
		if id, err := voip.DecodeCancel([]byte(tt.body)); id != tt.id || text(err) != tt.err {
			t.Errorf("%s: got %q, %v, want %q, %q", tt.body, id, err, tt.id, tt.err)
		}
	}
}
