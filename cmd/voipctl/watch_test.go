package main

import (
	"bytes"
	"context"
	"io"
	"strings"
	"testing"

	"github.com/nats-io/nats.go"

	"github.com/voip-push/worker/cmd/internal/cli"
	"github.com/voip-push/worker/internal/testkit"
	"github.com/voip-push/worker/internal/voip"
)

// run runs the command line until it ends, or ctx does.
func run(ctx context.Context, args []string, out io.Writer) (code int, stderr string) {
	root := newRoot() //nolint:contextcheck // cobra hands the context to the commands
	var errs bytes.Buffer
	root.SetOut(out)
	root.SetErr(&errs)
	root.SetArgs(args)
	code = cli.Execute(ctx, root)
	return code, errs.String()
}

func result(t *testing.T, id string, err error) []byte {
	t.Helper()
	r := voip.Result{CallID: id, Attempts: []voip.Attempt{}}
	r.Decide(err)
	b, err := r.Encode()
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// TestWatch: what matches is shown, as a table or as JSON; a question whether a
// result is stored and a message that is none are not.
func TestWatch(t *testing.T) {
	s := testkit.Broker(t, testkit.Provisioned())
	t.Setenv("NATS_URL", s.URL())
	nc := s.Conn(t)
	for _, tt := range []struct {
		args []string
		want []string
	}{
		{args: []string{"--count", "3"}, want: []string{"CALL", "c-1", "c-2", "c-3"}},
		{args: []string{"--count", "1", "--outcome", "failed"}, want: []string{"CALL", "c-2"}},
		{args: []string{"--count", "1", "--reason", "CANCELLED"}, want: []string{"CALL", "c-3"}},
		{args: []string{"--count", "1", "--call-id", "c-3", "--json"}, want: []string{string(result(t, "c-3", voip.ErrCancelled))}},
	} {
		// Published over and over: the command listens at some moment of its own.
		ctx, stop := context.WithCancel(t.Context())
		published := make(chan struct{})
		go func() {
			defer close(published)
			for ctx.Err() == nil {
				for _, m := range []*nats.Msg{
					{Subject: voip.SubjectResult, Header: nats.Header{voip.HeaderRollup: {"sub"}}},
					{Subject: voip.SubjectResult, Data: []byte("no result")},
					{Subject: voip.SubjectResult, Data: result(t, "c-1", nil)},
					{Subject: voip.SubjectResult, Data: result(t, "c-2", &voip.ReportError{Reason: voip.ReasonInvalidCall})},
					{Subject: voip.SubjectResult, Data: result(t, "c-3", voip.ErrCancelled)},
				} {
					if nc.PublishMsg(m) != nil || nc.Flush() != nil {
						return
					}
				}
			}
		}()
		var out bytes.Buffer
		code, stderr := run(t.Context(), append([]string{"watch"}, tt.args...), &out)
		stop()
		<-published
		lines := strings.Split(strings.TrimSpace(out.String()), "\n")
		if code != cli.Done || len(lines) != len(tt.want) {
			t.Errorf("%v: exit %d: %s%s", tt.args, code, out.String(), stderr)
			continue
		}
		for _, want := range tt.want {
			if !strings.Contains(out.String(), want) {
				t.Errorf("%v: %q is missing:\n%s", tt.args, want, out.String())
			}
		}
	}
}

// TestWatchInterrupted: Ctrl-C is how a watch ends, of an empty stream too.
func TestWatchInterrupted(t *testing.T) {
	s := testkit.Broker(t, testkit.Provisioned())
	t.Setenv("NATS_URL", s.URL())
	for _, line := range []string{"watch", "watch --since 1h"} {
		ctx, stop := context.WithCancel(t.Context())
		r, w := io.Pipe()
		go func() {
			_, _ = r.Read(make([]byte, 1)) // the header: it listens
			stop()
			_, _ = io.Copy(io.Discard, r)
		}()
		if code, stderr := run(ctx, strings.Fields(line), w); code != cli.Done || stderr != "" {
			t.Errorf("%s: exit %d: %s", line, code, stderr)
		}
	}
}

func TestCancel(t *testing.T) {
	s := testkit.Broker(t, testkit.Provisioned())
	t.Setenv("NATS_URL", s.URL())
	var out bytes.Buffer
	if code, stderr := run(t.Context(), []string{"cancel", "c-1", "c 2"}, &out); code != cli.Done || out.String() != "cancelled c-1\ncancelled c 2\n" {
		t.Fatalf("exit %d: %s%s", code, out.String(), stderr)
	}
	out.Reset()
	if code, stderr := run(t.Context(), []string{"cancel", "c-3", "--json"}, &out); code != cli.Done || out.String() != `{"callId":"c-3","sequence":3}`+"\n" {
		t.Errorf("exit %d: %s%s", code, out.String(), stderr)
	}
	messages := testkit.Messages(t, s.JS(t), voip.StreamCancel)
	for i, want := range []string{"c-1", "c 2"} {
		if id, err := voip.DecodeCancel(messages[i].Data); err != nil || id != want {
			t.Errorf("cancel %d is of %q (%v)", i, id, err)
		}
	}
}

// TestMisuse: one clear line, before anybody is connected to.
func TestMisuse(t *testing.T) {
	t.Setenv("NATS_URL", "nats://127.0.0.1:1")
	for line, want := range map[string]string{
		"cancel":                   "requires at least 1 arg",
		"cancel \x07":              "is no callId",
		"watch --outcome lost":     "want reported, failed, expired or cancelled",
		"watch --reason nope":      `--reason "nope": want one of ERROR_NONE, CELLULAR_CALL_EXISTS, `,
		"watch --count -1":         "want 0 or more",
		"watch now":                "unknown command",
		"no-such-verb":             "unknown command",
		"completion tcsh":          `unknown command "tcsh" for "voipctl completion"`,
		"dlq redrive --extend -1s": "--extend -1s: want a duration of more than 0, at most 5m0s",
	} {
		code, stderr := run(t.Context(), strings.Fields(line), io.Discard)
		if code != cli.Misuse || !strings.Contains(stderr, want) || strings.Count(stderr, "\n") != 1 {
			t.Errorf("%s: exit %d: %s", line, code, stderr)
		}
	}
}
