//go:build !production

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/spf13/cobra"

	"github.com/voip-push/worker/cmd/internal/cli"
	"github.com/voip-push/worker/cmd/internal/settings"
	"github.com/voip-push/worker/internal/broker"
	"github.com/voip-push/worker/internal/callkit"
	"github.com/voip-push/worker/internal/voip"
)

// Figures of the demo.
const (
	demoLimit  = 30 * time.Second
	demoSettle = 300 * time.Millisecond // a second result would come within it
)

func newDemo() *cobra.Command {
	return &cobra.Command{
		Use:   "demo",
		Short: "Run the whole system in this process and send it one push of every kind",
		Long: `Run an embedded broker, a worker and a model of Call Kit in this process, with a
local server for avatars, and send one push of every kind. A line is printed for
each call as its outcome arrives. Exit 0 when every outcome was the expected one.

It needs nothing and leaves nothing; settings of the environment are not read.`,
		Example: "  worker demo",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			ctx, cancel := context.WithTimeoutCause(cmd.Context(), demoLimit, errDemoLimit)
			defer cancel()
			return demo(ctx, cmd.OutOrStdout())
		},
	}
}

var errDemoLimit = errors.New("the demo is not done in 30 s")

func demo(ctx context.Context, out io.Writer) error {
	began := time.Now()
	dir, err := os.MkdirTemp("", "voip-demo-")
	if err != nil {
		return fmt.Errorf("make a folder for the demo's broker: %w", err)
	}
	defer os.RemoveAll(dir) //nolint:errcheck // a temporary folder
	pictures, err := servePictures()
	if err != nil {
		return err
	}
	defer pictures.Close()
	bench := &bench{model: nil, out: out, cases: demoCases(pictures.URL)}
	bench.model = callkit.New(callkit.Options{Observe: bench.observe})
	if err := bench.injectFaults(); err != nil {
		return err
	}

	ctx, stop := context.WithCancel(ctx)
	defer stop()
	up, ended := make(chan *worker, 1), make(chan error, 1)
	w := &worker{cfg: demoConfig(dir), log: slog.New(slog.DiscardHandler), transport: bench.model, up: func(w *worker) { up <- w }}
	go func() { ended <- w.run(ctx) }()
	select {
	case started := <-up:
		fmt.Fprintf(out, "embedded broker, worker and Call Kit model are up after %d ms\n\n", time.Since(began).Milliseconds())
		err = bench.play(ctx, started.nc)
	case err := <-ended:
		return err
	case <-ctx.Done():
		err = context.Cause(ctx)
	}
	stop()
	err = errors.Join(err, <-ended)
	if err != nil && !errors.Is(err, errDemoLimit) {
		return err // cut off: cases without an outcome are no failures
	}
	return errors.Join(err, bench.summary(began))
}

// demoConfig is a worker's configuration with nothing from the environment.
func demoConfig(dir string) *config {
	var c config
	settings.Defaults(&c)
	c.NATS.EmbeddedAddr, c.NATS.EmbeddedDir = "127.0.0.1:0", dir
	c.HTTP.Addr = "127.0.0.1:0"
	c.Avatar.AllowPrivate, c.Avatar.AllowHTTP = true, true // the pictures come from this machine
	c.Avatar.Timeout = demoLimit / 3                       // however busy the machine is
	c.Report.BackoffInitial, c.Report.BackoffMax = 100*time.Millisecond, time.Second
	c.fill()
	return &c
}

// bench plays the demo's cases and compares what comes back.
type bench struct {
	model *callkit.Model
	out   io.Writer
	cases []demoCase
	nc    *nats.Conn

	attempted map[string]chan struct{} // closed at a call's first attempt
	results   map[string][]voip.Result
	dead      map[string]string // callId, or the case's name, → reason
}

// play sends every push and waits until each outcome is in.
func (b *bench) play(ctx context.Context, nc *nats.Conn) error {
	b.nc, b.results, b.dead = nc, map[string][]voip.Result{}, map[string]string{}
	messages := make(chan *nats.Msg, 256)
	for _, subject := range []string{voip.SubjectResult, voip.DLQPrefix + ">"} {
		sub, err := nc.ChanSubscribe(subject, messages)
		if err != nil {
			return fmt.Errorf("listen to %s: %w", subject, err)
		}
		defer sub.Unsubscribe() //nolint:errcheck // the connection closes with the demo
	}
	js, err := broker.JetStream(nc)
	if err != nil {
		return err
	}
	cli.ResultHeader(b.out)
	for _, phase := range [][]demoCase{b.phase(false), b.phase(true)} {
		for i := range phase {
			if err := b.send(ctx, js, &phase[i]); err != nil {
				return err
			}
		}
		if err := b.collect(ctx, messages, phase); err != nil {
			return err
		}
	}
	return nil
}

// phase picks the cases before, or after, the system's Call Kit goes down:
// that concerns every call.
func (b *bench) phase(down bool) []demoCase {
	var some []demoCase
	for _, c := range b.cases {
		if c.down == down {
			some = append(some, c)
		}
	}
	return some
}

// collect takes outcomes until every case has its own, and a moment longer: a
// call must not have two.
func (b *bench) collect(ctx context.Context, messages <-chan *nats.Msg, phase []demoCase) error {
	var quiet <-chan time.Time
	for {
		if quiet == nil && b.complete(phase) {
			quiet = time.After(demoSettle)
		}
		select {
		case msg := <-messages:
			if err := b.take(msg); err != nil {
				return err
			}
		case <-quiet:
			return nil
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

func (b *bench) complete(phase []demoCase) bool {
	for _, c := range phase {
		if c.dead != "" && b.dead[c.id()] == "" || !c.noResult && len(b.results[c.id()]) == 0 {
			return false
		}
	}
	return true
}

func (b *bench) take(msg *nats.Msg) error {
	if msg.Subject != voip.SubjectResult {
		id := msg.Header.Get(voip.HeaderCallID)
		if id == "" {
			fmt.Fprintf(b.out, "%-24s %-10s %-27s\n", "(no callId)", "dead", msg.Header.Get(voip.HeaderReason))
		}
		b.dead[id] = msg.Header.Get(voip.HeaderReason)
		return nil
	}
	r, err := cli.ReadResult(msg)
	if err != nil || r == nil {
		return err
	}
	b.results[r.CallID] = append(b.results[r.CallID], *r)
	cli.ResultLine(b.out, r)
	return nil
}
