package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/voip-push/worker/cmd/internal/cli"
	"github.com/voip-push/worker/internal/testkit"
	"github.com/voip-push/worker/internal/voip"
)

const deadBody = `{"callId":"c","data":"{\"userName\":\"Li Lei\",\"scene\":\"video\"}","note":"Li Lei"}`

// dead stores a dead letter as a worker does; headers are laid over its own.
func (r *rig) dead(callID string, reason voip.Reason, origin int, headers ...string) uint64 {
	r.t.Helper()
	h := nats.Header{
		voip.HeaderMsgID: {voip.DeadLetterMsgID(uint64(origin))}, voip.HeaderReason: {string(reason)}, voip.HeaderClass: {"exhausted"},
		voip.HeaderStage: {"report"}, voip.HeaderCallID: {callID}, voip.HeaderAttempts: {"3"}, voip.HeaderRedrives: {"0"},
		voip.HeaderFailedAt: {time.Now().Format(time.RFC3339Nano)}, voip.HeaderError: {"nobody answers"},
		voip.HeaderExpiresAt:      {time.Now().Add(-time.Minute).Format(time.RFC3339Nano)},
		voip.HeaderOriginSequence: {strconv.Itoa(origin)}, "Authorization": {"Bearer Li Lei"},
		"Status": {"404"}, // a gateway's own; without the body it looks like a word of the server's
	}
	for i := 0; i < len(headers); i += 2 {
		h.Set(headers[i], headers[i+1])
	}
	return r.publish(&nats.Msg{Subject: voip.DeadLetterSubject(reason, callID), Header: h, Data: []byte(deadBody)})
}

// voipctl runs a command line and expects its exit code.
func voipctl(t *testing.T, wantCode int, args ...string) string {
	t.Helper()
	var out bytes.Buffer
	code, stderr := run(t.Context(), args, &out)
	if code != wantCode {
		t.Fatalf("%v: exit %d, want %d: %s%s", args, code, wantCode, &out, stderr)
	}
	return out.String() + stderr
}

func TestDLQList(t *testing.T) {
	r := newRig(t)
	if out := voipctl(t, cli.Done, "dlq", "list"); out != "0 dead letters\n" {
		t.Errorf("an empty stream: %q", out)
	}
	r.dead("c-1", voip.ReasonReportUnavailable, 1)
	r.dead("c 2", voip.ReasonReportUnavailable, 2)
	r.dead("c-1", voip.ReasonInvalidCall, 3)
	r.dead("", voip.ReasonMalformedPush, 4)
	r.dead("c-5", "NEWER_REASON", 5)
	for _, tt := range []struct {
		args  []string
		total uint64
		first []uint64
	}{
		{nil, 5, []uint64{1, 2, 3, 4, 5}},
		{[]string{"--max", "0"}, 5, nil},
		{[]string{"--max", "2"}, 5, []uint64{1, 2}},
		{[]string{"--call-id", "c-1"}, 2, []uint64{1, 3}},
		{[]string{"--call-id", "c 2"}, 1, []uint64{2}},
		{[]string{"--reason", "INVALID_CALL,MALFORMED_PUSH"}, 2, []uint64{3, 4}},
		{[]string{"--reason", "INVALID_CALL", "--call-id", "c 2"}, 0, nil},
		{[]string{"--since", "1h"}, 5, []uint64{1, 2, 3, 4, 5}},
		{[]string{"--since", "1ns"}, 0, nil},
	} {
		var l dlqListing
		if err := json.Unmarshal([]byte(voipctl(t, cli.Done, append([]string{"dlq", "list", "--json"}, tt.args...)...)), &l); err != nil {
			t.Fatal(err)
		}
		var got []uint64
		for _, e := range l.Entries {
			got = append(got, e.Sequence)
		}
		if l.Total != tt.total || fmt.Sprint(got) != fmt.Sprint(tt.first) {
			t.Errorf("%v: %d, %v; want %d, %v", tt.args, l.Total, got, tt.total, tt.first)
		}
	}
	out := voipctl(t, cli.Done, "dlq", "list", "--max", "1")
	for _, want := range []string{"REPORT_UNAVAILABLE  2", "(other)             1", "nobody answers", "and 4 more"} {
		if !strings.Contains(out, want) {
			t.Errorf("no %q in\n%s", want, out)
		}
	}
}

// TestDLQShow: private values are shown to those who ask for them.
func TestDLQShow(t *testing.T) {
	r := newRig(t)
	sequence := strconv.FormatUint(r.dead("c", voip.ReasonInvalidCall, 7), 10)
	if out := voipctl(t, cli.Done, "dlq", "show", sequence); strings.Contains(out, "Li Lei") || !strings.Contains(out, `\"scene\":\"video\"`) || !strings.Contains(out, "Voip-Origin-Sequence") {
		t.Errorf("%s", out)
	}
	for _, args := range [][]string{{"--private"}, {"--private", "--json"}} {
		if out := voipctl(t, cli.Done, append([]string{"dlq", "show", sequence}, args...)...); strings.Count(out, "Li Lei") != 3 {
			t.Errorf("%v: %s", args, out)
		}
	}
	r.dead("d", voip.ReasonInvalidCall, 8)
	r.dead("e", voip.ReasonCrashLoop, 9)
	for line, want := range map[string]string{"2 3": "de", "--call-id d": "d", "--reason CRASH_LOOP": "e", "--since 1h": "cde", "--since 1h --max 2": "cd"} {
		var got strings.Builder
		lines := voipctl(t, cli.Done, append([]string{"dlq", "show", "--json"}, strings.Fields(line)...)...)
		for one := range strings.Lines(lines) {
			var l shownLetter
			if err := json.Unmarshal([]byte(one), &l); err != nil {
				t.Fatal(err)
			}
			got.WriteString(l.CallID)
		}
		if got.String() != want {
			t.Errorf("%s: %s, want %s", line, &got, want)
		}
	}
	if out := voipctl(t, cli.Failed, "dlq", "show", "--call-id", "nobody"); out != "voipctl: there is no such dead letter\n" {
		t.Errorf("%q", out)
	}
	if out := voipctl(t, cli.Failed, "dlq", "show", "99"); out != "voipctl: there is no dead letter 99\n" {
		t.Errorf("%q", out)
	}
}

func TestRedactBody(t *testing.T) {
	t.Parallel()
	for body, want := range map[string]string{
		`Li Lei`: "[private] (6 bytes that are no JSON)",
		`"Li"`:   "[private] (4 bytes that are no push)",
		`{"callId":"c","data":{"avatar":"https://x","density":2}}`: `{"callId":"c","data":{"avatar":"[private]","density":2}}`,
		`{"data":"Li Lei"}`: `{"data":"[private]"}`,
		`{"data":"{\"callId\":\"c\",\"data\":\"{\\\"userName\\\":\\\"Li\\\"}\"}"}`: `{"data":"{\"callId\":\"c\",\"data\":\"{\\\"userName\\\":\\\"[private]\\\"}\"}"}`,
	} {
		if got := redactBody([]byte(body)); got != want {
			t.Errorf("%s\n got %s\nwant %s", body, got, want)
		}
	}
}

func TestDLQPurge(t *testing.T) {
	r := newRig(t)
	for i := range 6 {
		r.dead("c-"+strconv.Itoa(i%2), voip.ReasonInvalidCall, i+1)
	}
	r.dead("c-9", voip.ReasonMalformedPush, 9)
	left := func() int { return len(testkit.Messages(t, r.js, voip.StreamDLQ)) }
	for _, tt := range []struct {
		args   []string
		answer string
		code   int
		left   int
	}{
		{args: []string{"--dry-run"}, left: 7},
		{answer: "n\n", code: cli.Failed, left: 7},
		{answer: "", code: cli.Failed, left: 7},
		{args: []string{"--max", "1", "--reason", "INVALID_CALL"}, answer: "y\n", left: 6},
		{args: []string{"--since", "1h", "--rate", "1000", "--call-id", "c-1", "--force", "--json"}, left: 3},
		{args: []string{"--reason", "INVALID_CALL", "--json"}, left: 1},
		{answer: "yes\n", left: 0},
		{left: 0},
	} {
		root := newRoot()
		var out bytes.Buffer
		root.SetOut(&out)
		root.SetErr(&out)
		root.SetIn(strings.NewReader(tt.answer))
		root.SetArgs(append([]string{"dlq", "purge"}, tt.args...))
		if code := cli.Execute(t.Context(), root); code != tt.code || left() != tt.left {
			t.Errorf("%v %q: exit %d, %d left; want %d and %d: %s", tt.args, tt.answer, code, left(), tt.code, tt.left, &out)
		}
	}
}

func TestDLQMisuse(t *testing.T) {
	t.Setenv("NATS_URL", "nats://127.0.0.1:1")
	for _, args := range [][]string{
		{"list", "--reason", "no reason"},
		{"list", "--call-id", " c"},
		{"list", "--max", "-1"},
		{"list", "--since", "-1s"},
		{"show"},
		{"show", "first"},
		{"show", "1", "--call-id", "c"},
		{"show", "--call-id", " c"},
		{"redrive", "--extend", "6m"},
		{"redrive", "--extend", "-1s"},
		{"redrive", "--rate", "-1"},
		{"redrive", "--max-redrives", "0"},
		{"purge", "--rate", "-1"},
		{"purge", "all"},
	} {
		if code, stderr := run(t.Context(), append([]string{"dlq"}, args...), io.Discard); code != cli.Misuse || strings.Count(stderr, "\n") != 1 {
			t.Errorf("%v: exit %d: %s", args, code, stderr)
		}
	}
}

// TestDLQPurgeInterrupted: Ctrl-C at the question ends it, and deletes nothing.
func TestDLQPurgeInterrupted(t *testing.T) {
	r := newRig(t)
	r.dead("c", voip.ReasonReportUnavailable, 1)
	stdin, stdinWriter := io.Pipe() // where nobody types
	defer stdinWriter.Close()
	ctx, interrupt := context.WithCancel(t.Context())
	var stderr testkit.Log
	root := newRoot()
	root.SetIn(stdin)
	root.SetOut(io.Discard)
	root.SetErr(&stderr)
	root.SetArgs([]string{"dlq", "purge"})
	ended := make(chan int, 1)
	go func() { ended <- cli.Execute(ctx, root) }()
	stderr.Wait(t, "[y/N] ")
	interrupt()
	if code := testkit.Receive(t, "it ends", ended); code != cli.Failed || !strings.HasSuffix(stderr.String(), "\nvoipctl: interrupted: nothing is deleted\n") {
		t.Errorf("exit %d: %s", code, stderr.String())
	}
	if n := len(r.origins(voip.StreamDLQ)); n != 1 {
		t.Errorf("%d dead letters are left, want 1", n)
	}
}

// TestDLQPurgeUnattended: a script has nobody to ask; what is piped in counts.
func TestDLQPurgeUnattended(t *testing.T) {
	r := newRig(t)
	r.dead("c", voip.ReasonReportUnavailable, 1)
	no := filepath.Join(t.TempDir(), "no")
	if err := os.WriteFile(no, []byte("n\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		stdin string
		code  int
		left  int
	}{{no, cli.Failed, 1}, {os.DevNull, cli.Done, 0}} {
		stdin, err := os.Open(tt.stdin)
		if err != nil {
			t.Fatal(err)
		}
		defer stdin.Close()
		root := newRoot()
		root.SetIn(stdin)
		root.SetOut(io.Discard)
		root.SetErr(io.Discard)
		root.SetArgs([]string{"dlq", "purge"})
		if code := cli.Execute(t.Context(), root); code != tt.code || len(r.origins(voip.StreamDLQ)) != tt.left {
			t.Errorf("%s: exit %d, %d left; want %d and %d", tt.stdin, code, len(r.origins(voip.StreamDLQ)), tt.code, tt.left)
		}
	}
}
