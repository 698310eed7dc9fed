package main

import (
	"context"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/voip-push/worker/cmd/internal/cli"
	"github.com/voip-push/worker/internal/testkit"
	"github.com/voip-push/worker/internal/voip"
)

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

// TestRedriveResumed: an entry whose push is stored is not sent again, even
// when the broker has forgotten its id.
func TestRedriveResumed(t *testing.T) {
	r := newRig(t)
	stream, err := r.js.Stream(t.Context(), voip.StreamPush)
	if err != nil {
		t.Fatal(err)
	}
	short := stream.CachedInfo().Config
	short.Duplicates = 100 * time.Millisecond // as short as the server has it
	if _, err := r.js.UpdateStream(t.Context(), short); err != nil {
		t.Fatal(err)
	}
	r.dead("c", voip.ReasonReportUnavailable, 1)
	r.push("c", voip.HeaderMsgID, "redrive:1:r1")
	testkit.Eventually(t, "the broker forgets", func() bool {
		ack, err := r.js.Publish(t.Context(), voip.SubjectPush, []byte("a later one"), jetstream.WithMsgID("later"))
		return err == nil && ack.Sequence > 2
	})
	if report := redriveJSON(t, "--extend", "1m"); report.Before != 1 || report.Redriven != 0 {
		t.Errorf("%+v", report)
	}
	if n, left := r.origins(voip.StreamPush)["1"], len(testkit.Messages(t, r.js, voip.StreamDLQ)); n != 0 || left != 0 {
		t.Errorf("%d more pushes, %d dead letters", n, left)
	}
}

// TestRedriveFinishes: an entry that is begun is brought to its end, although
// it is told to stop.
func TestRedriveFinishes(t *testing.T) {
	r := newRig(t)
	sequence := r.dead("c", voip.ReasonReportUnavailable, 1)
	cmd := newRoot()
	ctx, stop := context.WithCancel(t.Context())
	cmd.SetContext(ctx)
	ctx, s, stream, err := openDLQ(cmd)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	stop()
	var report redriveReport
	d := &redriver{session: s, stream: stream, flags: &redriveFlags{extend: time.Minute, maxRedrives: 1}, report: &report, sent: map[string]bool{}}
	if err := d.one(ctx, sequence); err != nil || report.Redriven != 1 {
		t.Errorf("%+v: %v", report, err)
	}
	if sent, left := len(r.origins(voip.StreamPush)), len(r.origins(voip.StreamDLQ)); sent != 1 || left != 0 {
		t.Errorf("%d pushes, %d dead letters", sent, left)
	}
}
