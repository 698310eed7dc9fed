package main

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"testing"

	"github.com/nats-io/nats.go"

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

// redriving is a redrive in a process of its own.
type redriving struct {
	cmd    *exec.Cmd
	out    bytes.Buffer // both outputs, as a terminal shows them
	ended  chan error
	passed chan *nats.Msg // what was published to the subject that is watched
}

// redriving starts a redrive, and watches what goes to a subject meanwhile.
func (r *rig) redriving(subject string, args ...string) *redriving {
	r.t.Helper()
	p := &redriving{ended: make(chan error, 1), passed: make(chan *nats.Msg, 1024)}
	watch, err := r.js.Conn().ChanSubscribe(subject, p.passed)
	if err == nil {
		err = r.js.Conn().Flush()
	}
	if err != nil {
		r.t.Fatal(err)
	}
	p.cmd = exec.CommandContext(r.t.Context(), os.Args[0], append([]string{"dlq", "redrive", "--extend", "1m"}, args...)...)
	p.cmd.Env = append(os.Environ(), "TEST_AS_VOIPCTL=1")
	p.cmd.Stdout, p.cmd.Stderr = &p.out, &p.out
	if err := p.cmd.Start(); err != nil {
		r.t.Fatal(err)
	}
	go func() {
		p.ended <- p.cmd.Wait()
		_ = watch.Unsubscribe() // the connection may have gone with the test
	}()
	return p
}

// at sends the process a signal when n messages have passed.
func (p *redriving) at(t *testing.T, n int, s os.Signal) {
	t.Helper()
	for range n {
		testkit.Receive(t, "a message passes", p.passed)
	}
	if err := p.cmd.Process.Signal(s); err != nil {
		t.Fatalf("%v: %s", err, &p.out)
	}
}

// origins are how often each dead letter's push is in a stream.
func (r *rig) origins(stream string) map[string]int {
	r.t.Helper()
	all := map[string]int{}
	for _, m := range testkit.Messages(r.t, r.js, stream) {
		all[m.Header.Get(voip.HeaderOriginSequence)]++
	}
	return all
}

// TestRedriveKilled: killed at each of its steps, again and again, it loses no
// entry at any moment, and in the end has sent each once.
func TestRedriveKilled(t *testing.T) {
	r := newRig(t)
	const entries, rounds = 100, 3
	for i := range entries {
		r.dead("c", voip.ReasonReportUnavailable, i+1)
	}
	for round := range rounds {
		for _, step := range []struct {
			subject string
			nth     int
		}{
			{"$JS.API.CONSUMER.CREATE.VOIP_DLQ.>", 1}, // it chooses
			{"$JS.API.STREAM.MSG.GET.VOIP_DLQ", 1 + round},
			{voip.SubjectPush, 1 + round},
			{"$JS.API.STREAM.MSG.DELETE.VOIP_DLQ", 1 + round},
			{"$JS.API.CONSUMER.CREATE.VOIP_PUSH.>", 1}, // it looks for what was sent before
		} {
			p := r.redriving(step.subject, "--rate", "20")
			p.at(t, step.nth, os.Kill)
			if err := testkit.Receive(t, "the killed command ends", p.ended); err == nil {
				t.Fatalf("at %s: it was done before it was killed: %s", step.subject, &p.out)
			}
			dead, sent := r.origins(voip.StreamDLQ), r.origins(voip.StreamPush)
			for i := range entries {
				if origin := strconv.Itoa(i + 1); dead[origin]+sent[origin] == 0 || sent[origin] > 1 {
					t.Fatalf("killed at %s: dead letter %s is kept %d times, and was sent %d times", step.subject, origin, dead[origin], sent[origin])
				}
			}
		}
	}
	voipctl(t, cli.Done, "dlq", "redrive", "--extend", "1m")
	if left := r.origins(voip.StreamDLQ); len(left) > 0 {
		t.Errorf("%d dead letters are left", len(left))
	}
	sent := r.origins(voip.StreamPush)
	for origin, n := range sent {
		if n != 1 {
			t.Errorf("%s was sent %d times", origin, n)
		}
	}
	if len(sent) != entries {
		t.Errorf("%d of %d were sent", len(sent), entries)
	}
}

// TestRedriveInterrupted: Ctrl-C ends it between two entries, and it says how
// far it came.
func TestRedriveInterrupted(t *testing.T) {
	r := newRig(t)
	const entries = 50
	for i := range entries {
		r.dead("c", voip.ReasonReportUnavailable, i+1)
	}
	p := r.redriving("$JS.API.STREAM.MSG.DELETE.VOIP_DLQ", "--rate", "20")
	p.at(t, 3, os.Interrupt)
	err := testkit.Receive(t, "it stops", p.ended)
	sent, left := len(r.origins(voip.StreamPush)), len(r.origins(voip.StreamDLQ))
	want := fmt.Sprintf("50 of 50 dead letters can be redriven\n%d redriven, %d remain\nvoipctl: interrupted\n", sent, left)
	if got := p.out.String(); p.cmd.ProcessState.ExitCode() != cli.Failed || got != want || sent+left != entries || sent < 3 {
		t.Errorf("%v: got %swant %s", err, got, want)
	}
}
