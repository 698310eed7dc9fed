package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/voip-push/worker/cmd/internal/cli"
	"github.com/voip-push/worker/internal/broker"
	"github.com/voip-push/worker/internal/voip"
)

// Figures of the start and the stop.
const (
	bindRetry   = 500 * time.Millisecond
	bindTimeout = 10 * time.Second
	sayInitial  = 2 * time.Second // between two lines that say the same
	sayMax      = time.Minute
	beatEvery   = 5 * time.Second
	stopTimeout = 5 * time.Second
	pushes      = voip.StreamPush
)

// await waits until the broker is there with sound streams, and returns the
// one behind the bucket of the calls. What is unsound ends the worker; what is
// missing is waited for. It returns nothing when ctx ends first.
func (w *worker) await(ctx context.Context) (jetstream.Stream, error) {
	beat := w.health.Beat("start", beatEvery)
	defer beat.Stop()
	var said said
	for {
		beat.Tick()
		calls, err := w.bind(ctx)
		if err == nil || ctx.Err() != nil {
			return calls, nil
		}
		if _, unsound := errors.AsType[*broker.UnsoundError](err); unsound {
			return nil, err
		}
		if said.due(err.Error(), time.Now()) {
			w.log.WarnContext(ctx, "waiting for the broker", "error", err)
		}
		t := time.NewTimer(bindRetry)
		select {
		case <-t.C:
		case <-ctx.Done():
			t.Stop()
		}
	}
}

// said is the line that was logged last: the same again is due in growing
// steps, another one at once.
type said struct {
	text string
	wait time.Duration
	next time.Time
}

func (s *said) due(text string, now time.Time) bool {
	switch {
	case text != s.text:
		s.text, s.wait = text, sayInitial
	case now.Before(s.next):
		return false
	default:
		s.wait = min(2*s.wait, sayMax)
	}
	s.next = now.Add(s.wait)
	return true
}

// bind looks at everything once.
func (w *worker) bind(ctx context.Context) (jetstream.Stream, error) {
	err := w.connected()
	w.health.Set(condNATS, err)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, bindTimeout)
	defer cancel()
	err = w.verify(ctx)
	if err != nil {
		return nil, err
	}
	calls, err := w.js.Stream(ctx, broker.CallsStream)
	if err != nil {
		return nil, fmt.Errorf("bind the bucket %s: %w", voip.BucketCalls, err)
	}
	return calls, nil
}

// verify sees to it that the streams and the consumer are there and sound: it
// provisions them when it may, and names what is missing when it may not.
func (w *worker) verify(ctx context.Context) error {
	drift, err := w.align(ctx)
	if err == nil {
		err = w.lookAtQueue(ctx)
	}
	if cli.LacksJetStream(err) {
		err = cli.ErrNoJetStream
	}
	w.health.Set(condStreams, err)
	if err != nil {
		return err
	}
	now := fmt.Sprint(drift)
	if was := w.drift.Swap(&now); was != nil && *was == now {
		return nil // said before
	}
	for _, d := range drift {
		w.log.WarnContext(ctx, "the broker differs from the settings", "drift", d.String())
	}
	return nil
}

// lookAtQueue shows how many pushes the fleet has before it, and in hand, and
// sees how long it may hold them: the leases follow what the broker really does,
// not what it should.
func (w *worker) lookAtQueue(ctx context.Context) error {
	workers, err := w.js.Consumer(ctx, voip.StreamPush, voip.ConsumerWorkers)
	if err != nil {
		return fmt.Errorf("look at the consumer %s: %w", voip.ConsumerWorkers, err)
	}
	info := workers.CachedInfo()
	w.ackWait.Store(int64(info.Config.AckWait))
	w.metrics.Queue(int(info.NumPending), info.NumAckPending)
	return nil
}

func (w *worker) align(ctx context.Context) ([]broker.Drift, error) {
	cfg := w.cfg.broker()
	if !w.cfg.provision() {
		return inspect(ctx, w.js, &cfg)
	}
	changed, err := broker.Provision(ctx, w.js, &cfg)
	var left []broker.Drift
	for _, d := range changed {
		if d.Fixed {
			left = append(left, d)
			continue
		}
		w.log.InfoContext(ctx, "provisioned", "change", change(d))
	}
	return left, err
}

// inspect refuses what is unsound and names what is missing, all of it at once,
// and returns what else differs.
func inspect(ctx context.Context, js jetstream.JetStream, cfg *broker.Config) (warnings []broker.Drift, err error) {
	drift, err := broker.Inspect(ctx, js, cfg)
	if err != nil {
		return nil, err
	}
	var missing []string
	for _, d := range drift {
		switch d.Severity {
		case broker.Missing:
			missing = append(missing, d.Object)
		case broker.Warning:
			warnings = append(warnings, d)
		case broker.Unsound: // UnsoundOf has them
		}
	}
	err = broker.UnsoundOf(drift)
	if len(missing) > 0 {
		err = errors.Join(err, fmt.Errorf("missing: %s; run `worker provision`, or set NATS_PROVISION=true", strings.Join(missing, ", ")))
	}
	return warnings, err
}
