package main

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"slices"
	"strings"
	"testing"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/voip-push/worker/cmd/internal/cli"
	"github.com/voip-push/worker/cmd/internal/clitest"
	"github.com/voip-push/worker/internal/testkit"
	"github.com/voip-push/worker/internal/voip"
)

// publisher runs the command line against a broker.
func publisher(t *testing.T, url, stdin string, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	t.Setenv("NATS_URL", url)
	ended := clitest.Run(t.Context(), newRoot(), stdin, args...)
	return ended.Code, ended.Stdout, ended.Stderr
}

// TestSend: every flag arrives as the field that it names, in each form, under
// the callId as Nats-Msg-Id.
func TestSend(t *testing.T) {
	s := testkit.Broker(t, testkit.Provisioned())
	js := s.JS(t)
	all := []string{
		"--user-name", "Li Lei", "--scene", "video", "--voip-call-type", "voice", "--avatar", "resource:a.png", "--density", "2.5",
		"--ability-name", "Main", "--direction", "incoming", "--show-banner-for-incoming-call=false", "--is-conference-call",
		"--is-voice-answer-supported=false", "--is-user-mute-ring-tone-allowed", "--is-dialing-allowed-during-carrier-call",
		"--device-id", "d-1", "--bundle-name", "b-1", "--ttl-seconds", "30",
	}
	defaults := voip.Defaults{UserName: "Unknown", AbilityName: "EntryAbility", Density: 3.5}
	var pushes []voip.Push
	for _, form := range voip.Forms() {
		args := append([]string{"send", "--call-id", "c-" + string(form), "--form", string(form)}, all...)
		if code, _, stderr := publisher(t, s.URL(), "", args...); code != cli.Done {
			t.Fatalf("%s: exit %d: %s", form, code, stderr)
		}
	}
	for _, m := range testkit.Messages(t, js, voip.StreamPush) {
		p, err := voip.DecodePush(m.Data, defaults)
		if err != nil {
			t.Fatal(err)
		}
		if got := m.Header.Get(voip.HeaderMsgID); got != p.CallID {
			t.Errorf("Nats-Msg-Id %q for call %q", got, p.CallID)
		}
		p.CallID, p.Data = "", nil
		pushes = append(pushes, *p)
	}
	want := voip.Push{
		UserName: "Li Lei", VoipCallType: voip.VoipCallVoice, Avatar: voip.Avatar{Given: true, Source: "resource:a.png"}, Density: 2.5,
		AbilityName: "Main", Direction: voip.Incoming, DeviceID: "d-1", BundleName: "b-1", TTL: 30e9,
		Switches: voip.Switches{IsConferenceCall: true, IsUserMuteRingToneAllowed: true, IsDialingAllowedDuringCarrierCall: true},
	}
	if len(pushes) != len(voip.Forms()) {
		t.Fatalf("%d pushes", len(pushes))
	}
	for _, p := range pushes {
		got, err1 := json.Marshal(p)       //nolint:musttag // only held against another
		wanted, err2 := json.Marshal(want) //nolint:musttag // only held against another
		if err1 != nil || err2 != nil || !bytes.Equal(got, wanted) {
			t.Errorf("sent %s, want %s", got, wanted)
		}
	}
}

// TestSendFile: lines go out as they stand, whatever they hold.
func TestSendFile(t *testing.T) {
	s := testkit.Broker(t, testkit.Provisioned())
	lines := []string{`{"callId":"c-1","data":"opaque"}`, `not a push`, `{"callId":"c-2","data":{"density":9}}`}
	code, _, stderr := publisher(t, s.URL(), strings.Join(lines, "\n\n"), "send", "--file", "-", "--expires-at", "10s", "--no-msg-id")
	if code != cli.Done {
		t.Fatalf("exit %d: %s", code, stderr)
	}
	var got []string
	for _, m := range testkit.Messages(t, s.JS(t), voip.StreamPush) {
		got = append(got, string(m.Data))
		if m.Header.Get(voip.HeaderExpiresAt) == "" || m.Header.Get(voip.HeaderMsgID) != "" {
			t.Errorf("headers %v", m.Header)
		}
	}
	if !slices.Equal(got, lines) {
		t.Errorf("sent %q", got)
	}
}

// answers gives every push a result, as a worker does: INVALID_CALL to a callId
// that begins with bad, none where it begins with never.
func answers(t *testing.T, s *testkit.Server) {
	t.Helper()
	js := s.JS(t)
	ordered, err := js.OrderedConsumer(t.Context(), voip.StreamPush, jetstream.OrderedConsumerConfig{})
	if err != nil {
		t.Fatal(err)
	}
	consuming, err := ordered.Consume(func(m jetstream.Msg) {
		r := voip.Result{CallID: voip.OpenPush(m.Data()).CallID, Attempts: []voip.Attempt{}}
		var failure error
		if strings.HasPrefix(r.CallID, "bad") {
			failure = &voip.ReportError{Reason: voip.ReasonInvalidCall}
		}
		r.Decide(failure)
		meta, err := m.Metadata()
		if err != nil || strings.HasPrefix(r.CallID, "never") {
			return
		}
		if body, err := r.Encode(); err == nil {
			_, _ = js.Publish(t.Context(), voip.SubjectResult, body, jetstream.WithMsgID(voip.ResultMsgID(meta.Sequence.Stream)))
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(consuming.Stop)
}

// TestSendWait: results are printed as they come; one that is not reported is
// exit 1. A push that was stored before has the result that it had then.
func TestSendWait(t *testing.T) {
	s := testkit.Broker(t, testkit.Provisioned())
	answers(t, s)
	for _, tt := range []struct {
		args                  []string
		code                  int
		stdin, stdout, stderr string
	}{
		{args: []string{"--call-id", "good"}, code: cli.Done, stdout: "good "},
		{args: []string{"--call-id", "good-again", "--json"}, code: cli.Done, stdout: `"callId":"good-again"`},
		{args: []string{"--call-id", "many", "--count", "3"}, code: cli.Done, stdout: "many-3 "},
		{args: []string{"--call-id", "bad"}, code: cli.Failed, stdout: "INVALID_CALL", stderr: "1 of 1 pushes were not reported"},
		{args: []string{"--call-id", "good"}, code: cli.Done, stdout: "good ", stderr: "push good was stored before, as VOIP_PUSH 1: "},
		{args: []string{"--call-id", "bad", "--json"}, code: cli.Failed, stdout: `"callId":"bad"`, stderr: "1 of 1 pushes were not reported"},
		{args: []string{"--call-id", "many", "--count", "4"}, code: cli.Done, stdout: "many-4 ", stderr: "push many-3 was stored before"},
		{stdin: "{\"callId\":\"same\",\"data\":\"\"}\n{\"callId\":\"same\",\"data\":\"\"}\n", args: []string{"--file", "-"}, code: cli.Done, stdout: "same "},
		{args: []string{"--call-id", "never", "--timeout", "50ms"}, code: cli.Failed, stderr: "1 of 1 calls have no result after 50ms"},
		{args: []string{"--call-id", "never", "--timeout", "50ms"}, code: cli.Failed, stderr: "1 of 1 calls have no result after 50ms"},
	} {
		code, stdout, stderr := publisher(t, s.URL(), tt.stdin, append([]string{"send", "--wait"}, tt.args...)...)
		if code != tt.code || !strings.Contains(stdout, tt.stdout) || !strings.Contains(stderr, tt.stderr) {
			t.Errorf("%v: exit %d\n%s\n%s", tt.args, code, stdout, stderr)
		}
	}
}

// TestSendRefuses: one clear line, the right exit code, and nothing sent.
func TestSendRefuses(t *testing.T) {
	for _, tt := range []struct {
		url    string
		args   []string
		code   int
		stderr string
	}{
		{args: []string{"--form", "xml"}, code: cli.Misuse, stderr: `--form "xml": want payload, string or object`},
		{args: []string{"--count", "0"}, code: cli.Misuse, stderr: "--count 0: want 1 or more"},
		{args: []string{"--voip-call-type", "fax"}, code: cli.Misuse, stderr: "want voice, video, 0 or 1"},
		{args: []string{"--expires-at", "soon"}, code: cli.Misuse, stderr: "want a time as in RFC 3339"},
		{args: []string{"--data", "x", "--user-name", "y"}, code: cli.Misuse, stderr: "use one or the other"},
		{args: []string{"--file", "-", "--call-id", "c"}, code: cli.Misuse, stderr: "as they stand"},
		{args: []string{"--json"}, code: cli.Misuse, stderr: "--json prints results: use it with --wait"},
		{args: []string{"--file", "-"}, code: cli.Failed, stderr: "holds no push"},
		{args: []string{"--file", "no-such-file"}, code: cli.Failed, stderr: "no such file"},
		{args: []string{"--no-such-flag"}, code: cli.Misuse, stderr: "unknown flag"},
		{args: []string{"argument"}, code: cli.Misuse, stderr: "unknown command"},
		{url: "http://127.0.0.1", code: cli.Failed, stderr: "NATS_URL"},
		{url: " ", code: cli.Failed, stderr: `NATS_URL: it is set and empty, want "embedded" or a comma-separated list`},
	} {
		url := tt.url
		if url == "" {
			url = "nats://127.0.0.1:1"
		}
		code, stdout, stderr := publisher(t, url, "", append([]string{"send"}, tt.args...)...)
		if code != tt.code || !strings.Contains(stderr, tt.stderr) || stdout != "" {
			t.Errorf("%v: exit %d, want %d\n%s%s", tt.args, code, tt.code, stdout, stderr)
		}
		if lines := strings.Count(strings.TrimSpace(stderr), "\n") + 1; lines != 1 {
			t.Errorf("%v: %d lines: %s", tt.args, lines, stderr)
		}
	}
}

// TestSendUnheard: a push whose ack does not come may be stored, and the one
// after it is not sent.
func TestSendUnheard(t *testing.T) {
	s := testkit.Broker(t)
	ctx, interrupt := context.WithCancel(t.Context())
	nc := s.Conn(t)
	if _, err := nc.Subscribe(voip.SubjectPush, func(*nats.Msg) { interrupt() }); err != nil { // and answers nothing
		t.Fatal(err)
	}
	if err := nc.Flush(); err != nil {
		t.Fatal(err)
	}
	t.Setenv("NATS_URL", s.URL())
	ended := clitest.Run(ctx, newRoot(), "", "send", "--call-id", "c", "--count", "2")
	want := "publisher: push c-1 may be stored: no ack came, interrupted\npublisher: not sent after that: 1\n"
	if ended.Code != cli.Failed || ended.Stderr != want {
		t.Errorf("exit %d: %s", ended.Code, ended.Stderr)
	}
}

// TestSendToNobody: where nobody takes a push, those after it are not tried.
func TestSendToNobody(t *testing.T) {
	s := testkit.Broker(t)
	code, _, stderr := publisher(t, s.URL(), "", "send", "--call-id", "c", "--count", "3")
	want := "publisher: push c-1 is not stored: stream VOIP_PUSH is missing, run `worker provision`\npublisher: not sent after that: 2\n"
	if code != cli.Failed || stderr != want {
		t.Errorf("exit %d: %s", code, stderr)
	}
}

// TestSendFileInterrupted: Ctrl-C ends it while it waits for a line, and nothing
// is sent.
func TestSendFileInterrupted(t *testing.T) {
	t.Setenv("NATS_URL", "nats://127.0.0.1:1")
	ctx, interrupt := context.WithCancel(t.Context())
	stdin, typed := io.Pipe()
	defer typed.Close()
	var stderr testkit.Log
	root := newRoot()
	root.SetIn(stdin)
	root.SetErr(&stderr)
	root.SetArgs([]string{"send", "--file", "-"})
	ended := make(chan int, 1)
	go func() { ended <- cli.Execute(ctx, root) }()
	if _, err := io.WriteString(typed, "{}\n"); err != nil {
		t.Fatal(err)
	}
	interrupt()
	if code := testkit.Receive(t, "it ends", ended); code != cli.Failed || stderr.String() != "publisher: interrupted: nothing is sent\n" {
		t.Errorf("exit %d: %s", code, stderr.String())
	}
}
