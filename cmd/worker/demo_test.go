//go:build !production

package main

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/voip-push/worker/cmd/internal/cli"
	"github.com/voip-push/worker/internal/voip"
)

// The demo is one push of every kind; it ends well, in time, whatever the
// environment says.
func TestDemo(t *testing.T) {
	setEnvironment(t, map[string]string{"NATS_URL": "nats://127.0.0.1:1", "CALL_CLAIM": "never", "HTTP_ADDR": "nonsense"})
	var out, errs bytes.Buffer
	root := newRoot()
	root.SetOut(&out)
	root.SetErr(&errs)
	root.SetArgs([]string{"demo"})
	began := time.Now()
	if code := cli.Execute(t.Context(), root); code != cli.Done {
		t.Errorf("exit code %d\n%s%s", code, &out, &errs)
	}
	if took := time.Since(began); took >= demoLimit {
		t.Errorf("it took %v", took)
	}
	cases := demoCases("")
	for _, c := range cases {
		if !strings.Contains(out.String(), c.id()) {
			t.Errorf("no line for %q", c.name)
		}
	}
	if !strings.Contains(out.String(), "19 of 19 cases as expected") || errs.Len() > 0 {
		t.Errorf("it said\n%s%s", &out, &errs)
	}
}

// A case that ends otherwise than expected is named with its difference, and
// makes the demo fail.
func TestDemoTellsDifferences(t *testing.T) {
	t.Parallel()
	b := &bench{results: map[string][]voip.Result{}, dead: map[string]string{}}
	reported := voip.Result{Outcome: voip.Reported, Reason: voip.ReasonNone, AttemptsTotal: 1, Avatar: &voip.AvatarResult{Status: voip.AvatarNone}}
	b.results["call"] = []voip.Result{reported}
	fits := demoCase{name: "call"}.rings(1)
	for want, alter := range map[string]func(*demoCase){
		"":                              func(*demoCase) {},
		"reported ERROR_NONE, want":     func(c *demoCase) { c.outcome = voip.Failed },
		"1 attempts, want at least 2":   func(c *demoCase) { c.attempts = 2 },
		`avatar "none"`:                 func(c *demoCase) { c.avatar = voip.AvatarOK },
		`the dead letter says ""`:       func(c *demoCase) { c.dead = voip.ReasonInvalidCall },
		"0 results, want 1":             func(c *demoCase) { c.name = "other" },
		"ERROR_NONE, want reported INV": func(c *demoCase) { c.reason = voip.ReasonInvalidCall },
	} {
		c := fits
		alter(&c)
		b.cases, b.out = []demoCase{c}, &bytes.Buffer{}
		err := b.summary(time.Now())
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), c.name)) {
			t.Errorf("it said %v, want %q", err, want)
		}
	}
	b.results["call"] = []voip.Result{reported, reported}
	b.cases = []demoCase{fits}
	if err := b.summary(time.Now()); err == nil || !strings.Contains(err.Error(), "2 results, want 1") {
		t.Errorf("a second result: %v", err)
	}
}

// What the demo cannot wait for any longer is a failure.
func TestDemoEnds(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(context.DeadlineExceeded)
	if err := demo(ctx, &bytes.Buffer{}); err == nil {
		t.Error("a demo that was cut off ended well")
	}
}

// TestDemoInterrupted: what it had no time for is no failure.
func TestDemoInterrupted(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancelCause(t.Context())
	defer cancel(nil)
	interrupted := errors.New("interrupted")
	err := demo(ctx, atFirst{"reported", func() { cancel(interrupted) }})
	if !errors.Is(err, interrupted) || err.Error() != interrupted.Error() {
		t.Errorf("it ended with %v", err)
	}
}

// atFirst does something once a text is written.
type atFirst struct {
	text string
	do   func()
}

func (w atFirst) Write(b []byte) (int, error) {
	if bytes.Contains(b, []byte(w.text)) {
		w.do()
	}
	return len(b), nil
}
