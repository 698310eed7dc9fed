package broker

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strconv"
	"unicode/utf8"

	"github.com/nats-io/nats.go/jetstream"
)

// readAck reads what a stream answers to a publish. Its error is a
// *jetstream.APIError when the server refused the message.
func readAck(body []byte) (jetstream.PubAck, error) {
	if ack, ok := readPlainAck(body); ok {
		return ack, nil
	}
	var answer struct {
		jetstream.PubAck

		Error *jetstream.APIError `json:"error"`
	}
	err := json.Unmarshal(body, &answer)
	switch {
	case err != nil:
		return jetstream.PubAck{}, fmt.Errorf("%w: %w", jetstream.ErrInvalidJSAck, err)
	case answer.Error != nil:
		return jetstream.PubAck{}, answer.Error
	case answer.Stream == "":
		return jetstream.PubAck{}, jetstream.ErrInvalidJSAck
	}
	return answer.PubAck, nil
}

// readPlainAck reads the form that nearly every answer has, as the server
// spells it, without the detour through reflection:
// {"stream":"S","seq":N} and {"stream":"S","seq":N,"duplicate":true}.
func readPlainAck(body []byte) (ack jetstream.PubAck, ok bool) {
	rest, ok := bytes.CutPrefix(body, []byte(`{"stream":"`))
	if !ok {
		return ack, false
	}
	stream, rest, ok := bytes.Cut(rest, []byte(`","seq":`))
	if !ok || !isPlain(stream) {
		return ack, false
	}
	number, ended := bytes.CutSuffix(rest, []byte(`}`))
	number, ack.Duplicate = bytes.CutSuffix(number, []byte(`,"duplicate":true`))
	sequence, err := strconv.ParseUint(string(number), 10, 64)
	if !ended || err != nil || number[0] == '0' || number[0] == '+' {
		return jetstream.PubAck{}, false
	}
	ack.Stream, ack.Sequence = string(stream), sequence
	return ack, true
}

// isPlain says that a name stands in JSON as it is.
func isPlain(name []byte) bool {
	for _, c := range name {
		if c < ' ' || c == '"' || c == '\\' || c >= utf8.RuneSelf {
			return false
		}
	}
	return len(name) > 0
}
