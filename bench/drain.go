package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// figure is what one drain came to.
type figure struct {
	rate      float64 // pushes a second, from the first result to the last
	cpu       float64 // CPU seconds of the workers for 1,000 pushes
	serverCPU float64 // and of the servers
	rss       float64 // the largest worker's peak, MiB
	whole     float64 // seconds from the worker's start to the last result
}

var errTimeout = errors.New("not drained in time")

const drainLimit = 2 * time.Minute

// drain preloads a fresh broker, lets one worker drain it, and checks that
// every push has exactly one result.
func drain(ctx context.Context, bin *binaries, c contender, o options) (figure, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, drainLimit, errTimeout)
	defer cancel()
	b, err := startBroker(ctx, bin, c.servers, o.sync)
	if err != nil {
		return figure{}, err
	}
	defer b.stop()
	count := o.count / max(c.share, 1)
	if err := preload(ctx, b.js, count, c.avatar, o.stale); err != nil {
		return figure{}, err
	}
	f, err := timed(ctx, b, c, count)
	if err != nil {
		return figure{}, err
	}
	return f, b.verify(ctx, count)
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
func timed(ctx context.Context, b *broker, c contender, count int) (figure, error) {
	before, began := b.used(), time.Now()
	fleet, err := b.start(ctx, c)
	if err != nil {
		return figure{}, err
	}
	var first time.Time
	var had, now uint64
	for now < uint64(count) {
		select {
		case <-ctx.Done():
			return figure{}, fmt.Errorf("%w: %d of %d results\n%s", context.Cause(ctx), now, count, fleet.kill())
		case <-time.After(10 * time.Millisecond):
		}
		if now, err = b.results(ctx); err != nil {
			fleet.kill()
			return figure{}, err
		}
		if first.IsZero() && now > 0 {
			first, had = time.Now(), now
		}
	}
	took := time.Since(first)
	thousands := float64(count) / 1000
	f := figure{
		rate: float64(uint64(count)-had) / took.Seconds(), rss: fleet.peak(), whole: time.Since(began).Seconds(),
		serverCPU: (b.used() - before) / thousands,
	}
	cpu, err := fleet.stop()
	f.cpu = cpu / thousands
	return f, err
}

// verify reads the results: none is missing, none is there twice.
func (b *broker) verify(ctx context.Context, count int) error {
	seen := make(map[string]int, count)
	err := b.each(ctx, func(callID string, _ time.Time) { seen[callID]++ })
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
func (b *broker) each(ctx context.Context, f func(callID string, at time.Time)) error {
	count, err := b.results(ctx)
	if err != nil {
		return err
	}
	consumer, err := b.js.OrderedConsumer(ctx, "VOIP_RESULT", jetstream.OrderedConsumerConfig{})
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
