package broker

import (
	"encoding/json"
	"errors"
	"testing"

	"github.com/nats-io/nats.go/jetstream"
)

func TestReadAck(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		body string
		want jetstream.PubAck
	}{
		"plain":            {`{"stream":"VOIP_RESULT","seq":12}`, jetstream.PubAck{Stream: "VOIP_RESULT", Sequence: 12}},
		"a duplicate":      {`{"stream":"S","seq":18446744073709551615,"duplicate":true}`, jetstream.PubAck{Stream: "S", Sequence: 1<<64 - 1, Duplicate: true}},
		"of a domain":      {`{"stream":"S","domain":"hub","seq":3}`, jetstream.PubAck{Stream: "S", Domain: "hub", Sequence: 3}},
		"with more fields": {`{"stream":"S","seq":3,"val":"7","new":{"seq":4}}`, jetstream.PubAck{Stream: "S", Sequence: 3, Value: "7"}},
		"spread out":       {" {\"stream\": \"S\",\n\"seq\": 3} ", jetstream.PubAck{Stream: "S", Sequence: 3}},
		"an escaped name":  {`{"stream":"\u0053","seq":3}`, jetstream.PubAck{Stream: "S", Sequence: 3}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got, err := readAck([]byte(tt.body)); got != tt.want || err != nil {
				t.Errorf("got %+v, %v", got, err)
			}
		})
	}
	refused := `{"error":{"code":400,"err_code":10071,"description":"wrong last sequence: 4"},"stream":"S","seq":0}`
	if _, err := readAck([]byte(refused)); !isCode(err, 10071) {
		t.Errorf("a refusal: %v", err)
	}
	for _, body := range []string{"", "{}", "null", "[]", `{"stream":"","seq":1}`, `{"stream":"S","seq":-1}`, `{"stream":"S","seq":1}x`, `{"seq":1}`, "+OK"} {
		if ack, err := readAck([]byte(body)); !errors.Is(err, jetstream.ErrInvalidJSAck) {
			t.Errorf("%s: %+v, %v", body, ack, err)
		}
	}
}

func isCode(err error, code jetstream.ErrorCode) bool {
	e, ok := errors.AsType[*jetstream.APIError](err)
	return ok && e.ErrorCode == code
}

// What is read without encoding/json is what encoding/json reads.
func FuzzReadPlainAck(f *testing.F) {
	for _, body := range []string{
		`{"stream":"VOIP_RESULT","seq":12}`, `{"stream":"S","seq":1,"duplicate":true}`, `{"stream":"S","seq":01}`, `{"stream":"S","seq":+1}`,
		`{"stream":"S","seq":1,"duplicate":false}`, `{"stream":"a\"b","seq":1}`, `{"stream":"S","seq":1e3}`, `{"stream":"S","seq":1}}`,
		`{"stream":"x","seq":2,"stream":"S","seq":1}`, "{\"stream\":\"\x01\",\"seq\":1}", "{\"stream\":\"\xff\",\"seq\":1}", `{"stream":"S","seq":}`,
	} {
		f.Add([]byte(body))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		got, ok := readPlainAck(body)
		if !ok {
			return
		}
		var want jetstream.PubAck
		if err := json.Unmarshal(body, &want); err != nil || got != want {
			t.Errorf("%q: got %+v, encoding/json %+v, %v", body, got, want, err)
		}
	})
}
