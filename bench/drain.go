package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strconv"
	"syscall"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// figure is what one drain came to.
type figure struct {
	rate      float64 // pushes a second, from the first result to the last
	cpu       float64 // CPU seconds of the worker for 1,000 pushes
	serverCPU float64 // and of the server
	rss       float64 // the worker's peak, MiB
	whole     float64 // seconds from the worker's start to the last result
}

var errTimeout = errors.New("not drained in time")

const drainLimit = 2 * time.Minute

// drain preloads a fresh broker, lets one worker drain it, and checks that
// every push has exactly one result.
func drain(ctx context.Context, bin *binaries, c contender, o options) (figure, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, drainLimit, errTimeout)
	defer cancel()
	s, err := startServer(ctx, bin, o.sync)
	if err != nil {
		return figure{}, err
	}
	defer s.stop()
	count := o.count / max(c.share, 1)
	if err := preload(ctx, s.js, count, c.avatar, o.stale); err != nil {
		return figure{}, err
	}
	f, err := timed(ctx, s, c, count)
	if err != nil {
		return figure{}, err
	}
	return f, s.verify(ctx, count)
}

func preload(ctx context.Context, js jetstream.JetStream, count int, avatar string, stale bool) error {
	for i := range count {
		msg := push(i, avatar)
		if stale && i%10 != 9 { // nine of ten are over; the last of all is not
			msg.Header.Set("Voip-Expires-At", time.Now().Add(-time.Minute).UTC().Format(time.RFC3339))
		}
		if _, err := js.PublishMsgAsync(msg, jetstream.WithStallWait(10*time.Second)); err != nil {
			return fmt.Errorf("preload: %w", err)
		}
	}
	select {
	case <-js.PublishAsyncComplete():
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

func callID(i int) string { return "call-" + strconv.Itoa(i) }

func push(i int, avatar string) *nats.Msg {
	data := `{"userName":"Li Lei","scene":"voice","ttlSeconds":300`
	if avatar != "" {
		data += `,"avatar":"` + avatar + `"`
	}
	id := callID(i)
	return &nats.Msg{Subject: "voip.push", Header: nats.Header{"Nats-Msg-Id": {id}}, Data: []byte(`{"callId":"` + id + `","data":` + data + `}}`)}
}

// timed times the drain from the first result to the last, so that a worker's
// start counts for none.
func timed(ctx context.Context, s *server, c contender, count int) (figure, error) {
	var log bytes.Buffer
	before, began := used(s.cmd.Process.Pid), time.Now()
	cmd, err := s.start(ctx, c, &log)
	if err != nil {
		return figure{}, err
	}
	var first time.Time
	var had, now uint64
	for now < uint64(count) {
		select {
		case <-ctx.Done():
			_ = cmd.Process.Kill()
			_ = cmd.Wait()
			return figure{}, fmt.Errorf("%w: %d of %d results\n%s", context.Cause(ctx), now, count, log.String())
		case <-time.After(10 * time.Millisecond):
		}
		if now, err = s.results(ctx); err != nil {
			return figure{}, err
		}
		if first.IsZero() && now > 0 {
			first, had = time.Now(), now
		}
	}
	took := time.Since(first)
	thousands := float64(count) / 1000
	f := figure{
		rate: float64(uint64(count)-had) / took.Seconds(), rss: peak(cmd.Process.Pid), whole: time.Since(began).Seconds(),
		serverCPU: (used(s.cmd.Process.Pid) - before) / thousands,
	}
	_ = cmd.Process.Signal(syscall.SIGTERM)
	if err := cmd.Wait(); err != nil && !c.peer {
		return figure{}, fmt.Errorf("%w\n%s", err, log.String())
	}
	f.cpu = (cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()).Seconds() / thousands
	return f, nil
}

// verify reads the results: none is missing, none is there twice.
func (s *server) verify(ctx context.Context, count int) error {
	seen := make(map[string]int, count)
	err := s.each(ctx, func(callID string, _ time.Time) { seen[callID]++ })
	if err != nil {
		return err
	}
	for i := range count {
		if n := seen[callID(i)]; n != 1 {
			return fmt.Errorf("%s has %d results", callID(i), n)
		}
	}
	return nil
}

// each calls f with every result that is stored and the server's time of it.
func (s *server) each(ctx context.Context, f func(callID string, at time.Time)) error {
	count, err := s.results(ctx)
	if err != nil {
		return err
	}
	consumer, err := s.js.OrderedConsumer(ctx, "VOIP_RESULT", jetstream.OrderedConsumerConfig{})
	if err != nil {
		return err
	}
	messages, err := consumer.Messages()
	if err != nil {
		return err
	}
	defer messages.Stop()
	for range count {
		msg, err := messages.Next(jetstream.NextContext(ctx))
		if err != nil {
			return err
		}
		meta, err := msg.Metadata()
		if err != nil {
			return err
		}
		f(parse(msg.Data()), meta.Timestamp)
	}
	return nil
}
