package voip

import (
	"errors"
	"fmt"
	"strconv"
	"time"
	"unicode/utf8"
)

// Sizes that most results stay under.
const (
	resultSize  = 640
	attemptSize = 144
)

// Encode is the result as JSON.
func (r *Result) Encode() ([]byte, error) {
	return r.AppendJSON(make([]byte, 0, resultSize+len(r.Attempts)*attemptSize))
}

// AppendJSON appends the result as JSON. It writes what encoding/json would,
// field by field, in half of the time, for every push pays for it; but null where
// nothing is known of a picture. A test fills each field in turn and holds the two
// against each other. With an error comes what b was.
func (r *Result) AppendJSON(b []byte) ([]byte, error) {
	w := writer{b: b}
	w.open()
	w.str("schema", r.Schema)
	w.str("callId", r.CallID)
	w.str("outcome", string(r.Outcome))
	w.str("reason", string(r.Reason))
	optional(&w, "errorReason", r.ErrorReason)
	optional(&w, "code", r.Code)
	w.bool("inferred", r.Inferred)
	w.str("message", r.Message)
	w.attempts(r.Attempts)
	w.int("attemptsTotal", r.AttemptsTotal)
	w.avatar(r.Avatar)
	w.bool("deadLettered", r.DeadLettered)
	if w.given("direction", r.Direction != nil) {
		w.quote(string(*r.Direction))
	}
	optional(&w, "voipCallType", r.VoipCallType)
	w.push(&r.Push)
	if w.given("expiresAt", r.ExpiresAt != nil) {
		w.stamp(*r.ExpiresAt)
	}
	w.time("completedAt", r.CompletedAt)
	w.float("latencyMs", r.LatencyMs)
	w.str("worker", r.Worker)
	w.int("redrives", r.Redrives)
	w.shut()
	if w.err != nil {
		return b, fmt.Errorf("encode the result: %w", w.err)
	}
	return w.b, nil
}

// writer appends JSON. Its strings and times are the only values that may not
// have a form in it.
type writer struct {
	b   []byte
	err error
}

func (w *writer) open() { w.b = append(w.b, '{') }
func (w *writer) shut() { w.b = append(w.b, '}') }

func (w *writer) name(s string) {
	if w.b[len(w.b)-1] != '{' {
		w.b = append(w.b, ',')
	}
	w.b = append(w.b, '"')
	w.b = append(w.b, s...)
	w.b = append(w.b, '"', ':')
}

func (w *writer) str(name, s string) {
	w.name(name)
	w.quote(s)
}

// quote leaves what needs an escape to encoding/json.
func (w *writer) quote(s string) {
	for i := range len(s) {
		if c := s[i]; c < ' ' || c == '"' || c == '\\' || c >= utf8.RuneSelf {
			b, err := encodeJSON(s)
			w.b, w.err = append(w.b, b...), errors.Join(w.err, err)
			return
		}
	}
	w.b = append(w.b, '"')
	w.b = append(w.b, s...)
	w.b = append(w.b, '"')
}

func (w *writer) int(name string, n int) {
	w.name(name)
	w.b = strconv.AppendInt(w.b, int64(n), 10)
}

func (w *writer) uint(name string, n uint64) {
	w.name(name)
	w.b = strconv.AppendUint(w.b, n, 10)
}

// float writes milliseconds, which are never so small or large that
// encoding/json would choose an exponent.
func (w *writer) float(name string, f float64) {
	w.name(name)
	w.b = strconv.AppendFloat(w.b, f, 'f', -1, 64)
}

func (w *writer) bool(name string, v bool) {
	w.name(name)
	w.b = strconv.AppendBool(w.b, v)
}

func (w *writer) time(name string, t time.Time) {
	w.name(name)
	w.stamp(t)
}

func (w *writer) stamp(t time.Time) {
	b, err := t.AppendText(append(w.b, '"'))
	if err != nil { // a year that RFC 3339 cannot hold
		w.err = errors.Join(w.err, err)
		return
	}
	b = append(b, '"')
	w.b = b
}

// given writes the name, and null when there is no value to write after it.
func (w *writer) given(name string, is bool) bool {
	w.name(name)
	if !is {
		w.b = append(w.b, "null"...)
	}
	return is
}

func optional[T ~int](w *writer, name string, v *T) {
	if w.given(name, v != nil) {
		w.b = strconv.AppendInt(w.b, int64(*v), 10)
	}
}

func (w *writer) attempts(all []Attempt) {
	if !w.given("attempts", all != nil) {
		return
	}
	w.b = append(w.b, '[')
	for i := range all {
		if i > 0 {
			w.b = append(w.b, ',')
		}
		a := &all[i]
		w.open()
		w.int("n", a.N)
		w.time("at", a.At)
		w.float("durationMs", a.DurationMs)
		w.str("reason", string(a.Reason))
		optional(w, "errorReason", a.ErrorReason)
		optional(w, "code", a.Code)
		w.shut()
	}
	w.b = append(w.b, ']')
}

func (w *writer) avatar(a *AvatarResult) {
	if !w.given("avatar", a != nil) {
		return
	}
	w.open()
	w.str("status", string(a.Status))
	w.str("reason", string(a.Reason))
	w.picture(a.ContentType, a.Width, a.Height)
	w.known("bytes", a.Bytes)
	if s := a.Source; w.given("source", s != nil) {
		w.open()
		w.picture(s.ContentType, s.Width, s.Height)
		w.int("bytes", s.Bytes)
		w.bool("overLimit", s.OverLimit)
		w.shut()
	}
	w.bool("cached", a.Cached)
	w.shut()
}

// picture is null in what nobody knows: of a source whose header was not read,
// and of a call that no picture was sent for.
func (w *writer) picture(contentType string, width, height int) {
	if w.given("contentType", contentType != "") {
		w.quote(contentType)
	}
	w.known("width", width)
	w.known("height", height)
}

func (w *writer) known(name string, v int) {
	if w.given(name, v != 0) {
		w.b = strconv.AppendInt(w.b, int64(v), 10)
	}
}

func (w *writer) push(p *PushRef) {
	w.name("push")
	w.open()
	w.str("stream", p.Stream)
	w.uint("sequence", p.Sequence)
	w.uint("deliveries", p.Deliveries)
	w.time("receivedAt", p.ReceivedAt)
	w.shut()
}
