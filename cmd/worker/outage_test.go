//go:build !production

package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/voip-push/worker/internal/callkit"
	"github.com/voip-push/worker/internal/testkit"
	"github.com/voip-push/worker/internal/voip"
)

// The run that the report stage is built for, at full length:
//
//	go test -run TestOutage -v ./cmd/worker -outage 30s -rate 200
var (
	outage = flag.Duration("outage", time.Second, "how long the bridge is away in TestOutage")
	rate   = flag.Int("rate", 50, "calls a second in TestOutage")
)

// bridge is the model over HTTP at an address that stays, there or away.
type bridge struct {
	t      *testing.T
	model  *callkit.Model
	addr   string
	server *http.Server
	ended  chan error
}

func (b *bridge) up() {
	b.t.Helper()
	addr := b.addr
	if addr == "" {
		addr = "127.0.0.1:0"
	}
	l, err := new(net.ListenConfig).Listen(b.t.Context(), "tcp", addr)
	if err != nil {
		b.t.Fatal(err)
	}
	b.addr, b.ended = l.Addr().String(), make(chan error, 1)
	b.server = &http.Server{Handler: b.model.Handler(), ReadHeaderTimeout: time.Second}
	go func() { b.ended <- b.server.Serve(l) }()
}

func (b *bridge) down() {
	b.t.Helper()
	b.server.Close()
	if err := <-b.ended; !errors.Is(err, http.ErrServerClosed) {
		b.t.Error(err)
	}
}

// TestOutage: the bridge goes away under load and comes back. Nothing dies of
// it, and every call that is alive is reported within 10 s of its return.
func TestOutage(t *testing.T) {
	br := &bridge{t: t, model: callkit.New(callkit.Options{})}
	br.up()
	broker := testkit.Broker(t, testkit.Provisioned())
	cfg, _, err := configOf(t, map[string]string{
		"NATS_URL": broker.URL(), "HTTP_ADDR": "127.0.0.1:0", "REPORT_TRANSPORT": "http", "REPORT_URL": "http://" + br.addr + callkit.ReportPath,
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	var log testkit.Log
	up, ended := make(chan struct{}), make(chan error, 1)
	w := &worker{cfg: cfg, log: slog.New(slog.NewTextHandler(&log, nil)), up: func(*worker) { close(up) }}
	go func() { ended <- w.run(ctx) }()
	testkit.Receive(t, "the worker starts", up)
	probes := probesOf(t, log.String())

	js := broker.JS(t)
	sent := send(t, js, 0, *outage/4)
	br.down()
	sent = send(t, js, sent, *outage)
	testkit.Eventually(t, "the open circuit is told of", func() bool {
		return strings.Contains(get(t, probes, "/readyz", http.StatusOK), "the circuit is open") &&
			strings.Contains(get(t, probes, "/metrics", http.StatusOK), "voip_report_circuit_open 1")
	})
	br.up()
	back := time.Now()
	sent = send(t, js, sent, *outage/4)
	settled(t, js, sent)
	if text := get(t, probes, "/readyz", http.StatusOK); strings.Contains(text, "circuit") || !strings.Contains(get(t, probes, "/metrics", http.StatusOK), "voip_report_circuit_open 0") {
		t.Errorf("the circuit is closed and not told of: %s", text)
	}
	worst, tried := lateness(t, js, back)
	t.Logf("%d calls at %d/s, away for %v: the last was reported %v after the bridge's return, %d were tried more than once", sent, *rate, *outage, worst, tried)
	if worst > 10*time.Second {
		t.Errorf("a call was reported %v after the bridge's return", worst)
	}
	stop()
	if err := testkit.Receive(t, "the worker stops", ended); err != nil {
		t.Error(err)
	}
	br.down()
}

// send publishes calls at the rate, and returns how many there are then.
func send(t *testing.T, js jetstream.JetStream, from int, d time.Duration) int {
	t.Helper()
	tick := time.NewTicker(time.Second / time.Duration(*rate))
	defer tick.Stop()
	for end := time.Now().Add(d); time.Now().Before(end); from++ {
		<-tick.C
		if _, err := js.PublishAsync(voip.SubjectPush, fmt.Appendf(nil, `{"callId":"c-%d","data":{"userName":"Li Lei"}}`, from)); err != nil {
			t.Fatal(err)
		}
	}
	<-js.PublishAsyncComplete()
	return from
}

func settled(t *testing.T, js jetstream.JetStream, calls int) {
	t.Helper()
	testkit.Eventually(t, "every call has its result", func() bool {
		s, err := js.Stream(t.Context(), voip.StreamResult)
		if err != nil {
			t.Fatal(err)
		}
		return s.CachedInfo().State.Msgs >= uint64(calls)
	})
}

// lateness is how long after the bridge's return, or after its own push, the
// last call was reported.
func lateness(t *testing.T, js jetstream.JetStream, back time.Time) (worst time.Duration, tried int) {
	t.Helper()
	if dead := testkit.Messages(t, js, voip.StreamDLQ); len(dead) > 0 {
		t.Errorf("%d dead letters", len(dead))
	}
	for _, m := range testkit.Messages(t, js, voip.StreamResult) {
		r, err := voip.DecodeResult(m.Data)
		if err != nil {
			t.Fatal(err)
		}
		if r.Outcome != voip.Reported {
			t.Errorf("%s: %s (%s)", r.CallID, r.Reason, r.Message)
		}
		if r.AttemptsTotal > 1 {
			tried++
		}
		due := back
		if r.Push.ReceivedAt.After(back) {
			due = r.Push.ReceivedAt
		}
		worst = max(worst, r.CompletedAt.Sub(due))
	}
	return worst, tried
}
