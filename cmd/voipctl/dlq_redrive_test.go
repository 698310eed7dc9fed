package main

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/voip-push/worker/cmd/internal/cli"
	"github.com/voip-push/worker/internal/testkit"
	"github.com/voip-push/worker/internal/voip"
)

// TestMain lets the test binary be the command, so that it can be killed.
func TestMain(m *testing.M) {
	if os.Getenv("TEST_AS_VOIPCTL") != "" {
		os.Exit(cli.Main(newRoot()))
	}
	os.Exit(m.Run())
}

func redriveJSON(t *testing.T, args ...string) (r redriveReport) {
	t.Helper()
	out := voipctl(t, cli.Done, append([]string{"dlq", "redrive", "--json"}, args...)...)
	if err := json.Unmarshal([]byte(out), &r); err != nil {
		t.Fatal(err)
	}
	return r
}

// TestRedrive: who is sent and who is not, and what a redriven push carries.
func TestRedrive(t *testing.T) {
	r := newRig(t)
	if report := redriveJSON(t); report.Matched != 0 || report.Redriven != 0 {
		t.Errorf("an empty stream: %+v", report)
	}
	alive := time.Now().Add(time.Minute).UTC().Format(time.RFC3339Nano)
	r.dead("late", voip.ReasonReportUnavailable, 11)
	r.dead("alive", voip.ReasonReportUnavailable, 12, voip.HeaderExpiresAt, alive, voip.HeaderTraceparent, "00-1")
	r.dead("looping", voip.ReasonReportUnavailable, 13, voip.HeaderRedrives, "3")
	r.dead("lost", voip.ReasonReportUnavailable, 14, voip.HeaderOriginSequence, "")
	r.dead("second", voip.ReasonInvalidCall, 15, voip.HeaderRedrives, "1", voip.HeaderExpiresAt, "")

	out := voipctl(t, cli.Done, "dlq", "redrive", "--dry-run")
	for _, want := range []string{"1 of 5 dead letters can be redriven", "2  skipped: " + skipDeadline, "1  skipped: " + skipLoop, "1  skipped: " + skipOrigin} {
		if !strings.Contains(out, want) {
			t.Errorf("no %q in\n%s", want, out)
		}
	}
	if report := redriveJSON(t, "--extend", "1m", "--max", "1", "--dry-run"); report.Eligible != 1 || report.Skipped[skipMax] != 2 || report.Redriven != 0 {
		t.Errorf("%+v", report)
	}
	if n := len(testkit.Messages(t, r.js, voip.StreamDLQ)); n != 5 {
		t.Fatalf("%d left after dry runs", n)
	}
	if report := redriveJSON(t); report.Redriven != 1 || report.Remaining != 0 {
		t.Errorf("%+v", report)
	}
	if out := voipctl(t, cli.Done, "dlq", "redrive", "--extend", "1m", "--rate", "1000"); !strings.HasSuffix(out, "2 redriven\n") {
		t.Errorf("%s", out)
	}
	if n := len(testkit.Messages(t, r.js, voip.StreamDLQ)); n != 2 {
		t.Errorf("%d dead letters are left, want 2", n)
	}
	pushes := testkit.Messages(t, r.js, voip.StreamPush)
	for i, want := range []struct{ id, redrives, origin string }{
		{"redrive:12:r1", "1", "12"}, {"redrive:11:r1", "1", "11"}, {"redrive:15:r2", "2", "15"},
	} {
		h := pushes[i].Header
		got := struct{ id, redrives, origin string }{h.Get(voip.HeaderMsgID), h.Get(voip.HeaderRedrives), h.Get(voip.HeaderOriginSequence)}
		if got != want || string(pushes[i].Data) != deadBody || h.Get(voip.HeaderReason) != "" || h.Get("Authorization") == "" {
			t.Errorf("push %d is %+v: %v", i, got, h)
		}
		expires, err := voip.ExpiresAtOf(h)
		if left := time.Until(expires); err != nil || left < 30*time.Second || left > time.Minute {
			t.Errorf("push %d lives for %v (%v)", i, left, err)
		}
	}
	if h := pushes[0].Header; h.Get(voip.HeaderExpiresAt) != alive || h.Get(voip.HeaderTraceparent) != "00-1" {
		t.Errorf("%v", h)
	}
}

// TestRedriveStops: Ctrl-C ends it between two entries.
func TestRedriveStops(t *testing.T) {
	r := newRig(t)
	for i := range 5 {
		r.dead("c", voip.ReasonReportUnavailable, i+1)
	}
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	go func() {
		stream, err := r.js.Stream(ctx, voip.StreamPush)
		for err == nil {
			var info *jetstream.StreamInfo
			if info, err = stream.Info(ctx); err == nil && info.State.Msgs > 0 {
				stop()
			}
		}
	}()
	var out bytes.Buffer
	code, stderr := run(ctx, []string{"dlq", "redrive", "--extend", "1m", "--rate", "0.001"}, &out)
	if code != cli.Failed || stderr != "voipctl: interrupted\n" || !strings.HasSuffix(out.String(), "1 redriven, 4 remain\n") {
		t.Errorf("exit %d: %s%s", code, &out, stderr)
	}
}

// TestRedriveKilled: however often it is killed, each entry is sent, once.
func TestRedriveKilled(t *testing.T) {
	r := newRig(t)
	const entries = 300
	for i := range entries {
		r.dead("c", voip.ReasonReportUnavailable, i+1)
	}
	stream, err := r.js.Stream(t.Context(), voip.StreamPush)
	if err != nil {
		t.Fatal(err)
	}
	kills := 0
	for next := uint64(20); ; next += 30 {
		cmd := exec.CommandContext(t.Context(), os.Args[0], "dlq", "redrive", "--extend", "1m")
		cmd.Env = append(os.Environ(), "TEST_AS_VOIPCTL=1")
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		ended := make(chan error, 1)
		go func() { ended <- cmd.Wait() }()
		done := false
		testkit.Eventually(t, "more is sent, or all", func() bool {
			select {
			case err := <-ended:
				done = err == nil
				ended <- err
				return true
			default:
			}
			info, err := stream.Info(t.Context())
			return err == nil && info.State.Msgs >= next
		})
		if done {
			break
		}
		_ = cmd.Process.Kill()
		if testkit.Receive(t, "the killed command ends", ended) != nil {
			kills++
		}
	}
	if left := len(testkit.Messages(t, r.js, voip.StreamDLQ)); left != 0 {
		t.Errorf("%d dead letters are left", left)
	}
	seen := map[string]int{}
	for _, m := range testkit.Messages(t, r.js, voip.StreamPush) {
		seen[m.Header.Get(voip.HeaderOriginSequence)]++
	}
	for origin, n := range seen {
		if n != 1 {
			t.Errorf("%s was sent %d times", origin, n)
		}
	}
	if len(seen) != entries || kills < 3 {
		t.Errorf("%d of %d were sent, %d kills", len(seen), entries, kills)
	}
	t.Logf("%d kills", kills)
}

// TestRedriveResumed: an entry whose push is stored is not sent again, even
// when the broker has forgotten its id.
func TestRedriveResumed(t *testing.T) {
	r := newRig(t)
	r.dead("c", voip.ReasonReportUnavailable, 1)
	r.push("c", voip.HeaderMsgID, "redrive:1:r1")
	if report := redriveJSON(t, "--extend", "1m"); report.Before != 1 || report.Redriven != 0 {
		t.Errorf("%+v", report)
	}
	if n, left := len(testkit.Messages(t, r.js, voip.StreamPush)), len(testkit.Messages(t, r.js, voip.StreamDLQ)); n != 1 || left != 0 {
		t.Errorf("%d pushes, %d dead letters", n, left)
	}
}
