//go:build !production

package main

import (
	"bytes"
	"cmp"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"image"
	_ "image/jpeg" // pictures are looked at as Call Kit's side would
	_ "image/png"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/voip-push/worker/internal/testkit"
	"github.com/voip-push/worker/internal/voip"
)

// outcome is all that a scenario left behind.
type outcome struct {
	*rig

	pushes   map[uint64]*jetstream.RawStreamMsg
	results  []message
	dead     []message
	requests []message
	calls    []callRef          // in the order of their pushes
	expires  map[callRef]string // a call's deadline as the golden files show it
}

// callRef is what has exactly one result: a callId, or a redrive of it.
type callRef struct {
	id       string
	redrives int
}

// message is one that came out, as a tree that can be normalized.
type message struct {
	raw     *jetstream.RawStreamMsg
	body    map[string]any
	data    string // of a request, as it came
	key     string // header of a request
	ref     callRef
	origin  uint64 // sequence of the push
	arrived int
}

func (r *rig) outcome() *outcome {
	r.t.Helper()
	o := &outcome{rig: r, pushes: map[uint64]*jetstream.RawStreamMsg{}, expires: map[callRef]string{}}
	for _, m := range testkit.Messages(r.t, r.js, voip.StreamPush) {
		o.pushes[m.Sequence] = m
		redrive, _ := voip.RedriveOf(m.Header, m.Sequence) // what cannot be read is ignored
		ref := callRef{voip.OpenPush(m.Data).CallID, redrive.Count}
		if ref.id != "" && !slices.Contains(o.calls, ref) {
			o.calls = append(o.calls, ref)
		}
	}
	for _, m := range testkit.Messages(r.t, r.js, voip.StreamResult) {
		var result voip.Result
		body := tree(r.t, m.Data, &result)
		o.results = append(o.results, message{raw: m, body: body, ref: callRef{result.CallID, result.Redrives}, origin: result.Push.Sequence})
		o.expires[callRef{result.CallID, result.Redrives}] = o.deadline(result.ExpiresAt, o.pushes[result.Push.Sequence])
	}
	for _, m := range testkit.Messages(r.t, r.js, voip.StreamDLQ) {
		o.dead = append(o.dead, message{raw: m, origin: number(r.t, m.Header.Get(voip.HeaderOriginSequence))})
	}
	for i, a := range r.requests.all() {
		var request voip.Request
		body := tree(r.t, a.body, &request)
		o.requests = append(o.requests, message{body: body, data: string(request.Data), key: a.key, ref: callRef{request.Attribute.CallID, request.Redrives}, arrived: i})
	}
	byOrigin := func(a, b message) int { return int(a.origin) - int(b.origin) }
	slices.SortStableFunc(o.results, byOrigin)
	slices.SortStableFunc(o.dead, byOrigin)
	slices.SortStableFunc(o.requests, func(a, b message) int {
		return slices.Index(o.calls, a.ref) - slices.Index(o.calls, b.ref)
	})
	return o
}

// pushOf is the first push of a call.
func (o *outcome) pushOf(id string) *jetstream.RawStreamMsg {
	var first *jetstream.RawStreamMsg
	for _, m := range o.pushes {
		if voip.OpenPush(m.Data).CallID == id && (first == nil || m.Sequence < first.Sequence) {
			first = m
		}
	}
	return first
}

// tree reads JSON into both a value and a tree.
func tree(t *testing.T, b []byte, into any) (m map[string]any) {
	t.Helper()
	if err := json.Unmarshal(b, into); err != nil {
		t.Fatalf("%v: %s", err, b)
	}
	d := json.NewDecoder(bytes.NewReader(b))
	d.UseNumber()
	if err := d.Decode(&m); err != nil {
		t.Fatalf("%v: %s", err, b)
	}
	return m
}

func number(t *testing.T, s string) uint64 {
	t.Helper()
	n, err := strconv.ParseUint(s, 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// deadline shows a deadline as the push's header has it in the script, else as
// what it is after the push.
func (o *outcome) deadline(end *time.Time, push *jetstream.RawStreamMsg) string {
	if end == nil {
		return "null"
	}
	if given, err := voip.ExpiresAtOf(push.Header); err != nil || !given.Equal(*end) {
		return "+" + end.Sub(push.Time).String()
	}
	header := push.Header.Get(voip.HeaderExpiresAt)
	return cmp.Or(o.ends[header], header)
}

// check is what holds in every scenario.
func (o *outcome) check(t *testing.T) {
	t.Helper()
	got := map[callRef]int{}
	for _, m := range o.results {
		got[m.ref]++
	}
	for _, ref := range o.calls {
		if got[ref] != 1 {
			t.Errorf("%d results for %+v, want exactly 1", got[ref], ref)
		}
		delete(got, ref)
	}
	if len(got) > 0 {
		t.Errorf("results of calls that were never pushed: %v", got)
	}
	o.checkDead(t)
	o.checkPrivate(t)
}

// checkDead: each result that says so has its dead letter, with the bytes that
// were pushed.
func (o *outcome) checkDead(t *testing.T) {
	t.Helper()
	letters := map[uint64]int{}
	for _, m := range o.dead {
		letters[m.origin]++
		if push := o.pushes[m.origin]; push == nil || !bytes.Equal(push.Data, m.raw.Data) {
			t.Errorf("the dead letter of push %d does not hold its bytes", m.origin)
		}
	}
	for _, m := range o.results {
		want := 0
		if m.body["deadLettered"] == true {
			want = 1
		}
		if letters[m.origin] != want {
			t.Errorf("push %d has %d dead letters, its result says %d", m.origin, letters[m.origin], want)
		}
	}
}

// checkPrivate: neither a name nor an avatar's URL is anywhere but in pushes,
// in the bodies of dead letters, and in requests.
func (o *outcome) checkPrivate(t *testing.T) {
	t.Helper()
	for _, secret := range o.private {
		if strings.Contains(o.log.String(), secret) {
			t.Errorf("the log shows %q", secret)
		}
		if strings.Contains(o.metrics, secret) {
			t.Errorf("the metrics show %q", secret)
		}
		for _, m := range o.results {
			if strings.Contains(string(m.raw.Data)+fmt.Sprint(m.raw.Header), secret) {
				t.Errorf("a result shows %q: %s", secret, m.raw.Data)
			}
		}
		for _, m := range o.dead {
			if strings.Contains(m.raw.Subject+fmt.Sprint(m.raw.Header), secret) {
				t.Errorf("a dead letter's header shows %q: %v", secret, m.raw.Header)
			}
		}
	}
}

// Shown where a value differs from run to run, once it was checked.
const (
	aTime = "(time)"
	aSize = "(size)"
)

func (o *outcome) resultLines(t *testing.T) string {
	t.Helper()
	var lines []any
	for _, m := range o.results {
		var r voip.Result
		tree(t, m.raw.Data, &r)
		if r.LatencyMs < 0 || r.CompletedAt.Before(r.Push.ReceivedAt) || !r.Push.ReceivedAt.Equal(o.pushes[m.origin].Time) {
			t.Errorf("times of a result: %s", m.raw.Data)
		}
		if want := min(r.AttemptsTotal, 20); len(r.Attempts) != want {
			t.Errorf("%d attempts shown of %d", len(r.Attempts), r.AttemptsTotal)
		}
		if r.ExpiresAt != nil {
			m.body["expiresAt"] = o.expires[m.ref]
		}
		normalize(t, m.body)
		if o.varies(r.Reason) {
			m.body["message"] = "(of the transport)"
		}
		lines = append(lines, map[string]any{"headers": headers(m.raw.Header), "body": m.body})
	}
	return jsonLines(t, lines)
}

// varies says that the transport words the message.
func (o *outcome) varies(r voip.Reason) bool { return r == voip.ReasonReportUnavailable }

var workerName = regexp.MustCompile(`^[^/ ]+/[a-z0-9]+$`)

// normalize replaces what differs from run to run, having looked at it.
func normalize(t *testing.T, m map[string]any) {
	t.Helper()
	for k, v := range m {
		switch k {
		case "at", "receivedAt", "completedAt":
			stamp(t, fmt.Sprint(v))
			m[k] = aTime
		case "durationMs", "latencyMs":
			m[k] = "(ms)"
		case "bytes":
			if fmt.Sprint(v) != "0" { // no picture was sent
				m[k] = aSize
			}
		case "worker":
			if !workerName.MatchString(fmt.Sprint(v)) {
				t.Errorf("worker is %q, want host/instance", v)
			}
			m[k] = "(worker)"
		default:
			for _, sub := range children(v) {
				normalize(t, sub)
			}
		}
	}
}

func children(v any) (maps []map[string]any) {
	switch v := v.(type) {
	case map[string]any:
		return []map[string]any{v}
	case []any:
		for _, x := range v {
			maps = append(maps, children(x)...)
		}
	}
	return maps
}

func stamp(t *testing.T, s string) time.Time {
	t.Helper()
	at, err := time.Parse(time.RFC3339Nano, s)
	if err != nil {
		t.Errorf("%v", err)
	}
	return at
}

func headers(h map[string][]string) map[string]string {
	m := map[string]string{}
	for k, values := range h {
		m[k] = strings.Join(values, " | ")
	}
	return m
}

func (o *outcome) deadLetterLines(t *testing.T) string {
	t.Helper()
	var lines []any
	for _, m := range o.dead {
		h := headers(m.raw.Header)
		push := o.pushes[m.origin]
		if first := stamp(t, h[voip.HeaderFirstSeen]); !first.Equal(push.Time) {
			t.Errorf("%s is %v, want %v", voip.HeaderFirstSeen, first, push.Time)
		}
		if failed := stamp(t, h[voip.HeaderFailedAt]); failed.Before(push.Time) {
			t.Errorf("%s is %v, before the push", voip.HeaderFailedAt, failed)
		}
		h[voip.HeaderFirstSeen], h[voip.HeaderFailedAt] = aTime, aTime
		if end, ok := h[voip.HeaderExpiresAt]; ok {
			at := stamp(t, end)
			h[voip.HeaderExpiresAt] = o.deadline(&at, push)
		}
		if !workerName.MatchString(h[voip.HeaderWorker]) {
			t.Errorf("%s is %q", voip.HeaderWorker, h[voip.HeaderWorker])
		}
		h[voip.HeaderWorker] = "(worker)"
		if o.varies(voip.Reason(h[voip.HeaderReason])) {
			h[voip.HeaderError] = "(of the transport)"
		}
		lines = append(lines, map[string]any{"subject": m.raw.Subject, "headers": h, "body": o.body(m.raw.Data)})
	}
	return jsonLines(t, lines)
}

const shownBytes = 1 << 10

// body shows the bytes of a dead letter, as the script has them.
func (o *outcome) body(b []byte) string {
	if len(b) > shownBytes {
		return fmt.Sprintf("(%d bytes)", len(b))
	}
	s := o.w.restore.Replace(string(b))
	for end, written := range o.ends {
		s = strings.ReplaceAll(s, end, written)
	}
	return s
}

func (o *outcome) requestLines(t *testing.T) string {
	t.Helper()
	var lines []any
	for _, m := range o.requests {
		if m.key != "" && m.key != m.body["idempotencyKey"] {
			t.Errorf("header %s is %q, the request says %q", voip.HeaderIdempotencyKey, m.key, m.body["idempotencyKey"])
		}
		o.verbatim(t, &m)
		m.body["expiresAt"] = o.requestDeadline(t, &m)
		attribute := m.body["attribute"].(map[string]any)         //nolint:errcheck,forcetypeassert // a request was read from it
		profile := attribute["userProfile"].(map[string]any)      //nolint:errcheck,forcetypeassert // likewise
		profile["data"] = picture(t, fmt.Sprint(profile["data"])) // what it is, for what it says of itself
		if data, ok := m.body["data"].(map[string]any); ok && data["avatar"] != nil {
			data["avatar"] = "(as pushed)" // a URL with a port of the day
		}
		lines = append(lines, m.body)
	}
	return jsonLines(t, lines)
}

// verbatim: a request holds the push's data byte for byte as it came.
func (o *outcome) verbatim(t *testing.T, m *message) {
	t.Helper()
	for _, push := range o.pushes {
		var payload struct {
			Data string `json:"data"`
		}
		_ = json.Unmarshal(push.Data, &payload) // the data of a PushPayload is inside of a string; it may be another form
		if voip.OpenPush(push.Data).CallID == m.ref.id && strings.Contains(string(push.Data)+payload.Data, m.data) {
			return
		}
	}
	t.Errorf("the data of a request of %q is no push's: %s", m.ref.id, m.data)
}

// requestDeadline: the far side is told the same as the result tells everyone.
func (o *outcome) requestDeadline(t *testing.T, m *message) string {
	t.Helper()
	for _, r := range o.results {
		if r.ref != m.ref {
			continue
		}
		var result voip.Result
		tree(t, r.raw.Data, &result)
		at := stamp(t, fmt.Sprint(m.body["expiresAt"]))
		if result.ExpiresAt == nil || !at.Equal(*result.ExpiresAt) {
			t.Errorf("a request of %+v expires at %v, its result says %v", m.ref, at, result.ExpiresAt)
		}
	}
	return o.expires[m.ref]
}

// picture says what base64 holds.
func picture(t *testing.T, data string) string {
	t.Helper()
	b, err := base64.StdEncoding.DecodeString(data)
	if err != nil {
		t.Errorf("userProfile.data: %v", err)
	}
	c, format, err := image.DecodeConfig(bytes.NewReader(b))
	if err != nil {
		t.Errorf("userProfile.data: %v", err)
	}
	return fmt.Sprintf("(a %s of %d x %d)", format, c.Width, c.Height)
}

// jsonLines is one JSON object a line, names sorted.
func jsonLines(t *testing.T, values []any) string {
	t.Helper()
	var b strings.Builder
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	for _, v := range values {
		if err := enc.Encode(v); err != nil {
			t.Fatal(err)
		}
	}
	return strings.TrimSuffix(b.String(), "\n")
}
