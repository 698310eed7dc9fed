package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/voip-push/worker/cmd/internal/cli"
	"github.com/voip-push/worker/internal/broker"
	"github.com/voip-push/worker/internal/testkit"
	"github.com/voip-push/worker/internal/voip"
)

// rig is a broker with a past.
type rig struct {
	t  *testing.T
	js jetstream.JetStream
}

func newRig(t *testing.T) *rig {
	t.Helper()
	s := testkit.Broker(t, testkit.Provisioned())
	t.Setenv("NATS_URL", s.URL())
	return &rig{t, s.JS(t)}
}

func (r *rig) publish(m *nats.Msg) uint64 {
	r.t.Helper()
	ack, err := r.js.PublishMsg(r.t.Context(), m)
	if err != nil {
		r.t.Fatal(err)
	}
	return ack.Sequence
}

// push stores a push whose life is over, unless headers say otherwise.
func (r *rig) push(callID string, headers ...string) uint64 {
	r.t.Helper()
	h := nats.Header{voip.HeaderExpiresAt: {time.Now().Add(-time.Minute).Format(time.RFC3339Nano)}}
	for i := 0; i < len(headers); i += 2 {
		h.Set(headers[i], headers[i+1])
	}
	return r.publish(&nats.Msg{Subject: voip.SubjectPush, Header: h, Data: fmt.Appendf(nil, `{"callId":%q,"data":{"userName":"Li Lei"}}`, callID)})
}

func (r *rig) result(push uint64, callID string) {
	r.t.Helper()
	h := nats.Header{voip.HeaderMsgID: {voip.ResultMsgID(push)}, voip.HeaderCallID: {callID}}
	r.publish(&nats.Msg{Subject: voip.SubjectResult, Header: h, Data: result(r.t, callID, nil)})
}

func auditJSON(t *testing.T, wantCode int, args ...string) auditReport {
	t.Helper()
	var out bytes.Buffer
	code, stderr := run(t.Context(), append([]string{"audit", "--json", "--grace", "0s"}, args...), &out)
	var r auditReport
	if err := json.Unmarshal(out.Bytes(), &r); err != nil || code != wantCode {
		t.Fatalf("exit %d, want %d (%v): %s%s", code, wantCode, err, &out, stderr)
	}
	return r
}

// TestAuditClean: what looks odd and is right.
func TestAuditClean(t *testing.T) {
	r := newRig(t)
	if report := auditJSON(t, cli.Done); report.Pushes != 0 || len(report.Findings) != 0 {
		t.Errorf("an empty stream: %+v", report)
	}
	first := r.push("a")
	r.push("a") // a duplicate has no result of its own
	r.result(first, "a")
	r.push("b") // whichever of two is claimed
	r.result(r.push("b"), "b")
	r.push("alive", voip.HeaderExpiresAt, "")
	r.push("")                                                                              // no callId
	r.publish(&nats.Msg{Subject: voip.SubjectPush, Header: nats.Header{"Status": {"404"}}}) // nor a word of the server's
	again := r.push("a", voip.HeaderRedrives, "1", voip.HeaderOriginSequence, "1")
	r.result(again, "a") // a redrive makes one more
	report := auditJSON(t, cli.Done)
	if report.Pushes != 8 || report.Results != 3 || report.WithoutID != 2 || len(report.Counts) != 0 {
		t.Errorf("%+v", report)
	}
	var out bytes.Buffer
	if code, stderr := run(t.Context(), []string{"audit"}, &out); code != cli.Done || !strings.Contains(out.String(), "8 pushes and 3 results in the last 10m0s") {
		t.Errorf("exit %d: %s%s", code, &out, stderr)
	}
}

// TestAuditFinds: every kind of finding, as JSON and as a table.
func TestAuditFinds(t *testing.T) {
	r := newRig(t)
	r.result(r.push("kept"), "kept") // 1: gone as it should be
	r.push("old")                    // 2: gone without a trace
	silent := r.push("silent")
	r.push("silent")
	one, two := r.push("twice"), r.push("twice")
	r.result(one, "twice")
	r.result(two, "twice")
	r.result(99, "ghost")
	deleted := r.push("deleted")
	r.result(deleted, "deleted")
	stream, err := r.js.Stream(t.Context(), voip.StreamPush)
	if err != nil {
		t.Fatal(err)
	}
	if err := stream.Purge(t.Context(), jetstream.WithPurgeSequence(silent)); err != nil {
		t.Fatal(err)
	}
	last := r.push("last")
	r.result(last, "last")
	if err := stream.DeleteMsg(t.Context(), deleted); err != nil {
		t.Fatal(err)
	}
	report := auditJSON(t, cli.Failed, "--since", "40m")
	want := map[string]string{
		kindNone: fmt.Sprintf("silent %d no worker has read it yet", silent), kindTwo: fmt.Sprintf("twice %d ", two),
		kindNoPush: "ghost 99 no such push was stored", kindGone: " 2 aged out unread, or a duplicate",
	}
	for _, f := range report.Findings {
		if f.CallID == "deleted" && f.Kind == kindNoPush && f.State == "its push was deleted" {
			continue
		}
		if got := fmt.Sprintf("%s %d %s", f.CallID, f.Push, f.State); got != want[f.Kind] {
			t.Errorf("%s is %q, want %q", f.Kind, got, want[f.Kind])
		}
		delete(want, f.Kind)
	}
	if len(want) > 0 || report.faults() != 5 {
		t.Errorf("not found: %v in %+v", want, report)
	}
	var out bytes.Buffer
	code, stderr := run(t.Context(), []string{"audit", "--grace", "0s", "--max", "1"}, &out)
	for _, line := range []string{"FINDING", "1  no_outcome", "2  no_push", "silent", "and 1 more: see --max"} {
		if code != cli.Failed || !strings.Contains(out.String(), line) {
			t.Errorf("exit %d, no %q: %s", code, line, &out)
		}
	}
	if stderr != "voipctl: 4 findings\n" {
		t.Errorf("%q", stderr)
	}
}

// TestAuditForeignResults: a result that names no push in its message id counts
// as one of the call that it names, by a header or in its body.
func TestAuditForeignResults(t *testing.T) {
	r := newRig(t)
	foreign := func(callID string, headers ...string) {
		h := nats.Header{}
		for i := 0; i < len(headers); i += 2 {
			h.Set(headers[i], headers[i+1])
		}
		r.publish(&nats.Msg{Subject: voip.SubjectResult, Header: h, Data: result(t, callID, nil)})
	}
	twice, dup := r.push("twice"), r.push("dup")
	r.result(twice, "twice")
	foreign("twice")
	r.result(dup, "dup")
	second := r.push("dup")
	foreign("dup", voip.HeaderMsgID, "mine", voip.HeaderCallID, "dup")
	once := r.push("once")
	foreign("once", voip.HeaderMsgID, "res:OTHER:"+number(once))
	foreign("nobody's")
	foreign("")
	h := nats.Header{voip.HeaderMsgID: {voip.ResultMsgID(99)}}
	r.publish(&nats.Msg{Subject: voip.SubjectResult, Header: h, Data: result(t, "ghost", nil)})
	report := auditJSON(t, cli.Failed)
	got := map[string]bool{}
	for _, f := range report.Findings {
		got[fmt.Sprintf("%s %s %d: %s", f.Kind, f.CallID, f.Push, f.State)] = true
	}
	const whose = ": one names no push in its message id: no worker's"
	for _, want := range []string{
		fmt.Sprintf("two_outcomes twice %d", twice) + whose, fmt.Sprintf("two_outcomes dup %d", second) + whose,
		"no_push nobody's 0: no push of its call was stored", "no_push  0: it names neither a push nor a call",
		"no_push ghost 99: no such push was stored",
	} {
		if !got[want] {
			t.Errorf("no %q in %v", want, got)
		}
	}
	if report.faults() != 5 {
		t.Errorf("%d findings: %v", report.faults(), got)
	}
}

// TestAuditOfANewStream: a stream of pushes that was made again begins far
// behind the old one, and what that held is no finding.
func TestAuditOfANewStream(t *testing.T) {
	s := testkit.Broker(t, testkit.Provisioned())
	t.Setenv("NATS_URL", s.URL())
	r := &rig{t, s.JS(t)}
	r.result(r.push("old"), "old")
	r.push("lost")
	if err := r.js.DeleteStream(t.Context(), voip.StreamPush); err != nil {
		t.Fatal(err)
	}
	if _, err := broker.Provision(t.Context(), r.js, &s.Config); err != nil {
		t.Fatal(err)
	}
	first := r.push("new")
	if report := auditJSON(t, cli.Failed, "--since", "40m"); report.faults() != 1 || report.Findings[0].Push != first {
		t.Errorf("%+v, want the new call alone", report)
	}
	r.result(first, "new")
	auditJSON(t, cli.Done, "--since", "40m")
}

func TestAuditMisuse(t *testing.T) {
	t.Parallel()
	for flag, value := range map[string]string{"--since": "0s", "--grace": "-1s", "--max": "-1"} {
		if code, stderr := run(t.Context(), []string{"audit", flag, value}, io.Discard); code != cli.Misuse || !strings.Contains(stderr, flag+" "+value+": want") {
			t.Errorf("%s %s: exit %d: %s", flag, value, code, stderr)
		}
	}
}
