package consumer

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/voip-push/worker/internal/stream"
	"github.com/voip-push/worker/internal/testkit"
)

// TestWellOnceHeard: a worker that asks and hears nothing, as one that may not
// pull, is not well, whatever it tries.
func TestWellOnceHeard(t *testing.T) {
	nc := testkit.Broker(t).Conn(t)
	asked, err := nc.SubscribeSync("silent")
	if err != nil {
		t.Fatal(err)
	}
	var log testkit.Log
	var states []error
	c := &Consumer{nc: nc, log: log.Logger(), hooks: Hooks{State: func(err error) { states = append(states, err) }}.filled()}
	c.puller = &stream.Puller{
		Conn: nc, Subject: "silent", Ahead: 8, Log: c.log,
		Room: func() (int, int) { return 8, 8 }, Deliver: func(*nats.Msg, time.Time) { t.Error("a word of the server's is no push") },
	}
	p := &pullHealth{c: c}
	for range 2 {
		p.begin(t.Context())
		p.look(t.Context())
	}
	if len(states) != 0 {
		t.Errorf("told of %v before a word of the consumer", states)
	}
	var pull *nats.Msg
	for range 3 { // each generation asks twice; the third one is the present one's
		if pull, err = asked.NextMsg(testkit.Patience); err != nil {
			t.Fatal(err)
		}
	}
	if err := pull.RespondMsg(&nats.Msg{Header: nats.Header{"Status": {"404"}, "Description": {"No Messages"}}}); err != nil {
		t.Fatal(err)
	}
	testkit.Eventually(t, "it to be well", func() bool { p.look(t.Context()); return len(states) > 0 })
	if states[0] != nil {
		t.Error(states[0])
	}
}

// TestReasonsAreSaidOnce: two that take turns do not fill the log.
func TestReasonsAreSaidOnce(t *testing.T) {
	var log testkit.Log
	var states []error
	c := &Consumer{log: log.Logger(), puller: &stream.Puller{}, hooks: Hooks{State: func(err error) { states = append(states, err) }}.filled()}
	p := &pullHealth{c: c}
	silent, slow := errors.New("silent"), errors.New("slow")
	for range 5 {
		p.failed(t.Context(), silent)
		p.failed(t.Context(), slow)
	}
	p.well(t.Context())
	p.failed(t.Context(), slow)
	if got := strings.Count(log.String(), "no pushes are pulled"); got != 3 || !strings.Contains(log.String(), "pulling again") {
		t.Errorf("%d lines, want 3: %s", got, &log)
	}
	if len(states) != 12 || !slices.Contains(states, nil) {
		t.Errorf("told of %v", states)
	}
}

// TestMarksFail: an outage is one line, and none when nothing is held.
func TestMarksFail(t *testing.T) {
	nc := testkit.Broker(t).Conn(t)
	var log testkit.Log
	l := newLeases(nc, shortAckWait, log.Logger())
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	l.mark(gone)
	if log.String() != "" {
		t.Errorf("nothing is held: %s", &log)
	}
	l.hold(fakeDelivery(7, 1))
	for range 3 {
		l.mark(gone)
	}
	l.mark(t.Context())
	l.mark(gone)
	if got := strings.Count(log.String(), "held=1"); got != 2 {
		t.Errorf("%d lines, want one for each outage: %s", got, &log)
	}
}
