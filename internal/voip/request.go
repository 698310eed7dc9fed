package voip

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"time"
)

// RequestSchema names the version of Request on the wire.
const RequestSchema = "voip.report.request/v1"

// Request is what the report stage sends to Call Kit's side, the same JSON on
// every transport.
type Request struct {
	Schema         string            `json:"schema"`
	Method         string            `json:"method"`
	Attribute      VoipCallAttribute `json:"attribute"`
	DeviceID       string            `json:"deviceId"`
	BundleName     string            `json:"bundleName"`
	Data           json.RawMessage   `json:"data"` // the push's data as it came: a string or an object
	Attempt        int               `json:"attempt"`
	Redrives       int               `json:"redrives"`
	IdempotencyKey string            `json:"idempotencyKey"`
	ExpiresAt      time.Time         `json:"expiresAt"`
}

// Encode is the request as JSON, with data byte for byte as the gateway sent
// it: encoding/json would leave its white space out. It is put in after, and
// so is the picture, which is most of the request and is written once this way.
// (Within a string the quotes of the places they go to would be escaped.)
func (r *Request) Encode() ([]byte, error) {
	if len(r.Data) > 0 && !json.Valid(r.Data) {
		return nil, errors.New("encode the report request: its data is not JSON")
	}
	bare := *r
	bare.Data, bare.Attribute.UserProfile.Data = nil, nil
	b, err := encodeJSON(&bare)
	if err != nil {
		return nil, fmt.Errorf("encode the report request: %w", err)
	}
	head, rest, hasPicture := bytes.Cut(b, []byte(`,"data":null}`))
	body, tail, hasData := bytes.Cut(rest, []byte(`,"data":null,"attempt":`))
	if !hasPicture || !hasData {
		return nil, errors.New("encode the report request: there is no place for its picture and data")
	}
	picture := r.Attribute.UserProfile.Data
	out := make([]byte, 0, len(b)+len(r.Data)+base64.StdEncoding.EncodedLen(len(picture)))
	out = appendBytes(append(append(out, head...), `,"data":`...), picture)
	out = append(append(append(out, '}'), body...), `,"data":`...)
	if len(r.Data) == 0 {
		out = append(out, "null"...)
	}
	return append(append(append(out, r.Data...), `,"attempt":`...), tail...), nil
}

// appendBytes appends b as encoding/json writes it.
func appendBytes(to, b []byte) []byte {
	if b == nil {
		return append(to, "null"...)
	}
	return append(base64.StdEncoding.AppendEncode(append(to, '"'), b), '"')
}

// Answer is what Call Kit's side says of one attempt.
type Answer struct {
	Code Code `json:"code"`
	// ErrorReason is nil when the promise was rejected: only code 0 comes with one.
	ErrorReason *ErrorReason `json:"errorReason"`
	Message     string       `json:"message"`
	// Duplicate says that the far side had this call already.
	Duplicate bool `json:"duplicate"`
}

// Reason is what the answer means: the code is read first, and errorReason
// counts only with code 0.
func (a Answer) Reason() Reason {
	switch {
	case a.Code != CodeOK:
		return a.Code.Reason()
	case a.ErrorReason == nil:
		return ReasonReportRejected
	default:
		return a.ErrorReason.Reason()
	}
}

// DecodeAnswer reads an answer. code is required, and with code 0 errorReason
// is too; a rejection needs none, and what it has is not looked at. The names
// are read exactly as they are spelled. The error never repeats what was sent:
// it may hold a name.
func DecodeAnswer(b []byte) (Answer, error) {
	m, ok := fields(b)
	if !ok {
		return Answer{}, fmt.Errorf("an answer of %d bytes is not {code, errorReason}", len(b))
	}
	code, ok := integer(m.get("code"))
	if !ok {
		return Answer{}, fmt.Errorf("an answer of %d bytes has no code that is an integer", len(b))
	}
	a := Answer{Code: Code(code), Duplicate: string(m.get("duplicate")) == "true"}
	a.Message, _ = text(m.get("message"))
	if a.Code == CodeOK {
		e, ok := integer(m.get("errorReason"))
		if !ok {
			return Answer{}, fmt.Errorf("an answer of %d bytes has code 0 and no errorReason that is an integer", len(b))
		}
		a.ErrorReason = new(ErrorReason(e))
	}
	return a, nil
}

// DecodeConnected reads an answer of the connection step: code is required, and
// an errorReason that is left out is ERROR_NONE.
func DecodeConnected(b []byte) (Code, ErrorReason, error) {
	m, _ := fields(b)
	code, ok := integer(m.get("code"))
	reason, legal := 0, true
	if raw := m.get("errorReason"); raw != nil {
		reason, legal = integer(raw)
	}
	if !ok || !legal {
		return 0, 0, fmt.Errorf("an answer of %d bytes is not {code}", len(b))
	}
	return Code(code), ErrorReason(reason), nil
}

// usualSize is what most results and requests without a picture fit into.
const usualSize = 1 << 10

// encodeJSON is json.Marshal without HTML escapes and without the last newline.
func encodeJSON(v any) ([]byte, error) {
	buf := bytes.NewBuffer(make([]byte, 0, usualSize))
	enc := json.NewEncoder(buf)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(buf.Bytes(), []byte("\n")), nil
}
