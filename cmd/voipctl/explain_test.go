package main

import (
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/voip-push/worker/cmd/internal/cli"
	"github.com/voip-push/worker/internal/broker"
	"github.com/voip-push/worker/internal/voip"
)

// claim stores a call's record as a worker does.
func (r *rig) claim(key string, push uint64) {
	r.t.Helper()
	r.record(key, `{"sequence":%d,"deliveries":2,"worker":"w/1","starts":1}`, push)
}

func (r *rig) record(key, body string, push uint64) {
	r.t.Helper()
	r.publish(&nats.Msg{Subject: broker.CallsPrefix + key, Data: fmt.Appendf(nil, body, push)})
}

func (r *rig) fullResult(push uint64, callID string, err error) {
	r.t.Helper()
	now := time.Now().UTC()
	one := voip.ErrorNone
	code := voip.CodeOK
	res := voip.Result{
		CallID: callID, Push: voip.PushRef{Stream: voip.StreamPush, Sequence: push, Deliveries: 1, ReceivedAt: now.Add(-time.Second)}, Worker: "w/1",
		Attempts: []voip.Attempt{
			{N: 1, At: now, DurationMs: 0.002, Reason: voip.ReasonReportUnavailable},
			{N: 2, At: now.Add(12 * time.Microsecond), DurationMs: 0.002, Reason: voip.ReasonNone, Code: &code, ErrorReason: &one},
			{N: 5, At: now.Add(15 * time.Microsecond), DurationMs: 0.002, Reason: voip.ReasonNone, Code: &code, ErrorReason: &one},
		}, AttemptsTotal: 5,
		Avatar: &voip.AvatarResult{
			Status: voip.AvatarOK, ContentType: "image/png", Width: 112, Height: 112, Bytes: 9120, Cached: true,
			Source: &voip.AvatarSource{ContentType: "image/jpeg", Width: 640, Height: 480, Bytes: 88211},
		},
	}
	res.Decide(err)
	res.Complete(now.Add(20 * time.Microsecond))
	body, encodeErr := res.Encode()
	if encodeErr != nil {
		r.t.Fatal(encodeErr)
	}
	r.publish(&nats.Msg{Subject: voip.SubjectResult, Data: body, Header: nats.Header{voip.HeaderMsgID: {voip.ResultMsgID(push)}, voip.HeaderCallID: {callID}}})
}

func explained(t *testing.T, args ...string) (what []string, out string) {
	t.Helper()
	out = voipctl(t, cli.Done, append([]string{"explain", "--json"}, args...)...)
	var l timeline
	if err := json.Unmarshal([]byte(out), &l); err != nil {
		t.Fatal(err)
	}
	for _, e := range l.Events {
		what = append(what, e.What)
	}
	return what, out
}

// TestExplain: what the broker holds of a call, in its order.
func TestExplain(t *testing.T) {
	r := newRig(t)
	if out := voipctl(t, cli.Failed, "explain", "nobody"); !strings.HasPrefix(out, "voipctl: nothing is known of call nobody") {
		t.Errorf("an empty stream: %q", out)
	}
	r.push("other")
	failed := r.push("c")
	r.claim("c", failed)
	r.push("c") // a duplicate
	r.dead("c", voip.ReasonReportUnavailable, int(failed))
	r.fullResult(failed, "c", &voip.ReportError{Reason: voip.ReasonReportUnavailable, Detail: "nobody answers"})
	again := r.push("c", voip.HeaderRedrives, "1", voip.HeaderOriginSequence, strconv.FormatUint(failed, 10))
	r.claim(voip.RecordKey("c", voip.Redrive{Count: 1, Origin: failed}), again)
	r.publish(&nats.Msg{Subject: voip.SubjectCancel, Data: []byte(`{"callId":"c"}`)})

	what, out := explained(t, "c")
	want := "push stored,dead letter stored,avatar,attempt 1,attempt 2,attempt 5,decided,result stored,redrive 1 stored,held,cancel stored"
	if got := strings.Join(what, ","); got != want {
		t.Errorf("got  %s\nwant %s\n%s", got, want, out)
	}
	if strings.Contains(out, "Li Lei") {
		t.Errorf("private: %s", out)
	}
	what, out = explained(t, "c", "--since", "1h", "--private")
	if strings.Count(strings.Join(what, ","), "push stored") != 2 || strings.Count(out, "Li Lei") != 3 {
		t.Errorf("with the duplicate: %s", out)
	}
	r.fullResult(again, "c", nil)
	if what, out := explained(t, "c"); strings.Contains(strings.Join(what, ","), "held") || strings.Count(out, "reported, ERROR_NONE") != 1 {
		t.Errorf("%s", out)
	}
	// A push that is no longer kept is known by its result.
	r.fullResult(77, "old", nil)
	if what, _ := explained(t, "old"); strings.Join(what, ",") != "push stored,avatar,attempt 1,attempt 2,attempt 5,decided,result stored" {
		t.Errorf("%v", what)
	}
	for _, tt := range []struct{ key, body, want string }{
		{"fresh", `{"sequence":%d,"deliveries":1,"worker":"w/1"}`, "push stored,claimed"},
		{"again", `{"sequence":%d,"deliveries":2,"worker":"w/2"}`, "push stored,delivered again"},
		{"begun", `{"sequence":%d,"deliveries":3,"worker":"w/2","starts":2}`, "push stored,held"},
	} {
		r.record(tt.key, tt.body, r.push(tt.key))
		if what, _ := explained(t, tt.key); strings.Join(what, ",") != tt.want {
			t.Errorf("%s: %v", tt.key, what)
		}
	}
	table := voipctl(t, cli.Done, "explain", "c")
	for _, line := range []string{"AT ", "AFTER", "redrive 1 stored", "errorReason 0", "; waited 0s", "2 in between are not kept", "image/png 112×112, 9120 bytes, from image/jpeg 640×480, 88211 bytes, out of the cache", `"userName":"[private]"`} {
		if !strings.Contains(table, line) {
			t.Errorf("no %q in\n%s", line, table)
		}
	}
}

func TestExplainMisuse(t *testing.T) {
	t.Setenv("NATS_URL", "nats://127.0.0.1:1")
	for _, args := range [][]string{{}, {" c"}, {"c", "--since", "-1s"}, {"c", "d"}} {
		if code, stderr := run(t.Context(), append([]string{"explain"}, args...), io.Discard); code != cli.Misuse || strings.Count(stderr, "\n") != 1 {
			t.Errorf("%q: exit %d: %s", args, code, stderr)
		}
	}
}
