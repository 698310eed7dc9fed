package main

import (
	"cmp"
	"context"
	"crypto/rand"
	"fmt"
	"log/slog"
	"os"
	"runtime/debug"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/spf13/cobra"
	"go.opentelemetry.io/otel/trace"

	"github.com/voip-push/worker/internal/avatar"
	"github.com/voip-push/worker/internal/broker"
	"github.com/voip-push/worker/internal/consumer"
	"github.com/voip-push/worker/internal/notifier"
	"github.com/voip-push/worker/internal/report"
	"github.com/voip-push/worker/internal/telemetry"
)

func newRun() *cobra.Command {
	return &cobra.Command{
		Use:   "run",
		Short: "Consume pushes until SIGTERM or SIGINT (the default)",
		Long: `Consume pushes until SIGTERM or SIGINT: what is begun is finished then, the rest is
given back, and a second signal ends it at once. It waits for a broker that is not
there; what is wrong with the settings ends it at once, with a line for each fault.
` + withoutURL,
		Example: "  worker\n  NATS_URL=nats://broker:4222 REPORT_TRANSPORT=http REPORT_URL=https://bridge/report worker run",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, warnings, err := loadConfig()
			if err != nil {
				for _, w := range warnings {
					cmd.PrintErrln("worker: warning: " + w)
				}
				return err
			}
			tuneGC()
			log := cfg.Log.Logger(cmd.ErrOrStderr())
			for _, w := range warnings {
				log.WarnContext(cmd.Context(), "settings", "warning", w)
			}
			w := &worker{cfg: cfg, log: log}
			return w.run(cmd.Context())
		},
	}
}

// worker is one worker and all that it starts. The fields above the line are
// given, those below are filled in by run.
type worker struct {
	cfg       *config
	log       *slog.Logger
	transport report.Transport        // nil: the one that REPORT_TRANSPORT names
	up        func(started *worker)   // told once the broker is reached and the streams are bound; may be nil
	stops     []func(context.Context) // in the order of starting
	id        string
	health    *telemetry.Health
	metrics   *telemetry.Metrics
	tracer    trace.Tracer // nil: traces are off
	embedded  *broker.Server
	nc        *nats.Conn
	js        jetstream.JetStream
	publisher *broker.Publisher
	ackWait   atomic.Int64           // the consumer's own, in nanoseconds
	drift     atomic.Pointer[string] // as it was last said
}

// inboxPrefix is what replies to a worker come to; permissions are given on it.
const inboxPrefix = "_INBOX.voip-worker"

// Conditions of readiness.
const (
	condNATS    = "nats"
	condStreams = "streams"
	condPulling = "pulling"
)

// run runs the worker until ctx ends, and stops all that it started, last
// first. What is wrong with this machine or its settings is found before the
// broker is looked for.
func (w *worker) run(ctx context.Context) (err error) {
	defer func() {
		if err == nil {
			w.log.InfoContext(ctx, "stopped", "cause", context.Cause(ctx))
		}
	}()
	defer w.stop(context.WithoutCancel(ctx))
	w.id = instance()
	w.health = telemetry.NewHealth(condNATS, condStreams, condPulling)
	w.metrics = telemetry.NewMetrics(labels())
	w.metrics.Conditions(w.health)
	server := telemetry.NewServer(w.cfg.HTTP.Addr, w.health, w.metrics, w.log)
	if err := server.Start(ctx); err != nil {
		return err
	}
	w.onStop("probes", server.Shutdown)
	if err := w.startTraces(ctx); err != nil {
		return err
	}
	pictures, err := avatar.New(w.cfg.avatar(), w.log, w.metrics) //nolint:contextcheck // it reads one file, at once
	if err != nil {
		return err
	}
	w.onStop("avatars", pictures.Close)
	if err := w.connect(ctx); err != nil {
		return err
	}
	stage, err := w.reportStage()
	if err != nil {
		return err
	}
	connector, err := w.connector()
	if err != nil {
		return err
	}
	calls, err := w.await(ctx)
	if err != nil || ctx.Err() != nil {
		return err
	}
	handler := &consumer.Handler{Defaults: w.cfg.defaults(), Avatars: w.tracedAvatars(pictures), Connector: connector, Reporter: stage, Recorder: w.metrics, Log: w.log}
	if w.up != nil {
		w.up(w)
	}
	w.announce(ctx)
	w.consume(ctx, calls, handler)
	return nil
}

func (w *worker) consume(ctx context.Context, calls jetstream.Stream, handler *consumer.Handler) {
	cfg := w.cfg.consumer(w.id, func() time.Duration { return time.Duration(w.ackWait.Load()) })
	swept, looked := w.health.Beat("leases", cfg.AckWait()/2), w.health.Beat("pulling", beatEvery)
	defer swept.Stop()
	defer looked.Stop()
	c := consumer.New(cfg, consumer.Parts{
		Conn: w.nc, JS: w.js, Calls: calls, Publisher: w.publisher, Handler: handler, Notifier: w.tracedNotifier(notifier.New(w.publisher, w.log)),
		Recorder: w.metrics, Tracer: w.tracer, Log: w.log,
		Hooks: consumer.Hooks{
			Verify: w.verify,
			State:  func(err error) { w.health.Set(condPulling, err) },
			Clock:  w.clock,
			Swept:  swept.Tick,
			Looked: func() { looked.Tick(); w.health.Set(condNATS, w.connected()) },
		},
	})
	version, commit, _ := telemetry.Build()
	w.log.InfoContext(ctx, "consuming", "worker", w.id, "transport", w.cfg.Report.Transport, "claim", w.cfg.Call.Claim,
		"version", version, "commit", commit)
	c.Run(ctx)
}

// connect opens the connection, to the embedded broker or to one that may not
// be there yet.
func (w *worker) connect(ctx context.Context) error {
	cfg := w.cfg.broker()
	opts := broker.Options{
		Name: "voip-worker " + w.id, InboxPrefix: inboxPrefix, Wait: true, Log: w.log,
		Violation: func(error) { w.metrics.PermissionRefused() },
	}
	if cfg.IsEmbedded() {
		server, err := broker.StartEmbedded(&cfg, w.log)
		if err != nil {
			return err
		}
		w.embedded = server
		w.onStop("embedded broker", func(context.Context) error { server.Stop(); return nil })
		w.log.InfoContext(ctx, "embedded broker", "url", server.URL(), "dir", cfg.EmbeddedDir)
		opts = server.Options(opts)
	}
	nc, err := broker.Connect(&cfg, opts) //nolint:contextcheck // the connection outlives ctx: the drain needs it
	if err != nil {
		return err
	}
	w.onStop("connection", func(context.Context) error { nc.Close(); return nil })
	w.nc = nc
	if w.publisher, err = broker.NewPublisher(nc); err != nil {
		return err
	}
	w.onStop("publisher", func(context.Context) error { return w.publisher.Close() })
	w.js, err = broker.JetStream(nc)
	return err
}

func (w *worker) connected() error {
	if w.nc.IsConnected() {
		return nil
	}
	return fmt.Errorf("not connected to %s: %w", broker.RedactURLs(w.cfg.NATS.URL), cmp.Or(w.nc.LastError(), nats.ErrDisconnected))
}

// clock tells of a clock that is wrong. The calls' deadlines follow the broker's.
func (w *worker) clock(ahead time.Duration) {
	text := ""
	if ahead != 0 {
		text = fmt.Sprintf("this machine's clock differs from the broker's by %s; calls live by the broker's", -ahead.Round(time.Millisecond))
		w.log.Warn("the clock is wrong", "ahead_of_broker", -ahead)
	}
	w.health.Note("clock", text)
}

func (w *worker) onStop(name string, stop func(context.Context) error) {
	w.stops = append(w.stops, func(ctx context.Context) {
		if err := stop(ctx); err != nil {
			w.log.WarnContext(ctx, "cannot stop a part", "part", name, "error", err)
		}
	})
}

// stop ends the parts in the reverse order of their start.
func (w *worker) stop(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, stopTimeout)
	defer cancel()
	for _, stop := range slices.Backward(w.stops) {
		stop(ctx)
	}
}

// instance names this worker: its host, and something that no other process
// has.
func instance() string {
	host, err := os.Hostname()
	if err != nil {
		host = "unknown"
	}
	return host + "/" + strings.ToLower(rand.Text()[:8])
}

// gcPercent trades a few MiB for a tenth of the CPU: what a worker keeps is
// small beside what it makes for each push. GOGC overrules it, and GOMEMLIMIT
// bounds it.
const gcPercent = 200

func tuneGC() {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(gcPercent)
	}
}
