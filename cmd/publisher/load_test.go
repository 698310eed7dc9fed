package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/voip-push/worker/cmd/internal/cli"
	"github.com/voip-push/worker/cmd/internal/clitest"
	"github.com/voip-push/worker/internal/testkit"
	"github.com/voip-push/worker/internal/voip"
)

// worker answers each call's first push: every third call is cancelled.
func worker(t *testing.T, s *testkit.Server) {
	t.Helper()
	nc, seen := s.Conn(t), map[string]bool{}
	_, err := nc.Subscribe(voip.SubjectPush, func(m *nats.Msg) {
		r := voip.Result{CallID: voip.OpenPush(m.Data).CallID, Attempts: []voip.Attempt{}}
		if seen[r.CallID] {
			return
		}
		seen[r.CallID] = true
		var end error
		if len(seen)%3 == 0 {
			end = voip.ErrCancelled
		}
		r.Decide(end)
		if body, err := r.Encode(); err == nil {
			_ = nc.Publish(voip.SubjectResult, body)
		}
	})
	if err != nil || nc.Flush() != nil {
		t.Fatal(err)
	}
}

func TestLoad(t *testing.T) {
	s := testkit.Broker(t, testkit.Provisioned())
	worker(t, s)
	dir, page := t.TempDir(), filepath.Join(t.TempDir(), "report.html")
	for name, body := range map[string]string{"a.png": "\x89PNG\x0D\x0A\x1A\x0A…", "notes.txt": "no picture", "big.gif": "GIF89a" + strings.Repeat("x", maxPicture)} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(body), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	code, stdout, stderr := publisher(t, s.URL(), "", "load", "--count", "60", "--rate", "2000", "--duplicates", "1", "--video", "0", "--avatars", dir, "--out", page, "--json")
	var l loadReport
	if err := json.Unmarshal([]byte(stdout), &l); err != nil || code != cli.Done {
		t.Fatalf("exit %d: %v: %s%s", code, err, stdout, stderr)
	}
	if l.Sent != 60 || l.Results != 60 || l.Duplicates != 60 || l.Missing != 0 || len(l.Outcomes) != 2 ||
		l.Outcomes[0] != (outcomeCount{"reported", "ERROR_NONE", 40}) || l.Latency.P50 <= 0 || l.Latency.Max < l.Latency.P999 {
		t.Errorf("%s", stdout)
	}
	if !strings.Contains(stderr, "60 of 60 sent") {
		t.Errorf("%s", stderr)
	}
	for _, m := range testkit.Messages(t, s.JS(t), voip.StreamPush)[:120] {
		if push := string(m.Data); !strings.Contains(push, `"scene":"voice"`) || !strings.Contains(push, "data:image/png;base64,") {
			t.Fatalf("%s", push)
		}
	}
	html, err := os.ReadFile(page)
	if err != nil || strings.Count(string(html), "<polyline") != 5 || !strings.Contains(string(html), "CANCELLED") || strings.Contains(string(html), "http") {
		t.Errorf("%v: %s", err, html)
	}
	code, stdout, _ = publisher(t, s.URL(), "", "load", "--rate", "2000", "--duration", "10ms")
	for _, want := range []string{"20 of 20 calls sent at 2000 a second", "PUSH TO RESULT", "reported"} {
		if code != cli.Done || !strings.Contains(stdout, want) {
			t.Errorf("exit %d, no %q: %s", code, want, stdout)
		}
	}
}

// TestLoadReport: latency counts from the intended time, so that a stall shows
// in every call that it held.
func TestLoadReport(t *testing.T) {
	t.Parallel()
	r := newLoadRun(nil, &plan{}, &loadFlags{count: 4, rate: 1})
	r.sent.Store(4)
	r.results.Store(3)
	r.arrived = []int64{3_000_000, 3_000_000, 3_000_000, 0} // all at once, after three seconds
	l := r.report()
	if l.Missing != 1 || l.Latency.Max < 2999 || l.Latency.P50 < 1998 || l.Latency.P50 > 2002 || l.ResultRate != 1 {
		t.Errorf("%+v", l)
	}
	if len(l.Course) != 4 || l.Course[0].Sent != 1 || l.Course[0].Results != 0 || l.Course[3].Results != 3 || l.Course[1].Max < 1998 {
		t.Errorf("%+v", l.Course)
	}
}

// TestPlan: the same seed draws the same pushes, but for the callIds.
func TestPlan(t *testing.T) {
	t.Parallel()
	draw := func(seed uint64) string {
		var all strings.Builder
		p, err := newPlan(&loadFlags{seed: seed, voice: 1, video: 1, duplicates: 0.5})
		if err != nil {
			t.Fatal(err)
		}
		for i := range 50 {
			m, twice, err := p.next(i)
			if err != nil {
				t.Fatal(err)
			}
			if n, ok := p.index(m.Header.Get(voip.HeaderMsgID)); !ok || n != i {
				t.Errorf("%d is %d", i, n)
			}
			fmt.Fprintln(&all, strings.ReplaceAll(string(m.Data), p.prefix, ""), twice)
		}
		return all.String()
	}
	if first, again := draw(1), draw(1); first != again || first == draw(2) {
		t.Error("the seed does not decide")
	}
}

// TestLoadFails: one clear line at the end, and the right exit code.
func TestLoadFails(t *testing.T) {
	s := testkit.Broker(t, testkit.Provisioned())
	for _, tt := range []struct {
		url    string
		args   []string
		code   int
		stderr string
	}{
		{args: nil, code: cli.Misuse, stderr: "want --count, --duration or both"},
		{args: []string{"--count", "-1"}, code: cli.Misuse, stderr: "--count -1: want 0 or more"},
		{args: []string{"--count", "1", "--rate", "0"}, code: cli.Misuse, stderr: "--rate 0: want more than 0"},
		{args: []string{"--count", "1", "--rate", "NaN"}, code: cli.Misuse, stderr: "--rate NaN: want more than 0"},
		{args: []string{"--count", "1", "--voice", "0", "--video", "0"}, code: cli.Misuse, stderr: "want two shares"},
		{args: []string{"--count", "1", "--duplicates", "2"}, code: cli.Misuse, stderr: "want 0 to 1"},
		{args: []string{"--rate", "1e6", "--duration", "9h"}, code: cli.Misuse, stderr: "too many for one run"},
		{args: []string{"--count", "1", "--avatars", "no-such-folder"}, code: cli.Failed, stderr: "no such file"},
		{args: []string{"--count", "1", "--avatars", t.TempDir()}, code: cli.Failed, stderr: "holds no picture"},
		{args: []string{"--count", "1", "--out", "no-such-folder/x"}, code: cli.Failed, stderr: "no such file"},
		{url: s.URL(), args: []string{"--count", "3", "--timeout", "20ms"}, code: cli.Failed, stderr: "3 of 3 calls have no result"},
	} {
		url := tt.url
		if url == "" {
			url = "nats://127.0.0.1:1"
		}
		code, _, stderr := publisher(t, url, "", append([]string{"load"}, tt.args...)...)
		if code != tt.code || !strings.Contains(stderr, tt.stderr) || strings.Count(stderr, "publisher: ") != 1 {
			t.Errorf("%v: exit %d, want %d: %s", tt.args, code, tt.code, stderr)
		}
	}
}

// TestLoadInterrupted: what has come is reported all the same.
func TestLoadInterrupted(t *testing.T) {
	s := testkit.Broker(t, testkit.Provisioned())
	worker(t, s)
	ctx, stop := context.WithCancel(t.Context())
	t.Setenv("NATS_URL", s.URL())
	nc := s.Conn(t)
	sub, err := nc.SubscribeSync(voip.SubjectResult)
	if err == nil {
		err = nc.Flush() // or the first result passes before it
	}
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		_, _ = sub.NextMsg(15 * time.Second)
		stop()
	}()
	ended := clitest.Run(ctx, newRoot(), "", "load", "--rate", "1", "--duration", "1h", "--json")
	if ended.Code != cli.Failed || strings.Count(ended.Stderr, "publisher: ") != 1 || !strings.Contains(ended.Stderr, "publisher: interrupted\n") || !strings.Contains(ended.Stdout, `"sent":1,`) {
		t.Errorf("%+v", ended)
	}
}
