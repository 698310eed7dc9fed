package main

import (
	"context"
	"io"
	"strconv"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/voip-push/worker/cmd/internal/cli"
	"github.com/voip-push/worker/internal/voip"
)

// reasonCount is how many dead letters there are of one reason, by age.
type reasonCount struct {
	Reason string   `json:"reason"`
	Count  uint64   `json:"count"`
	Ages   []uint64 `json:"-"` // of at most ages()[i]; the rest is older

	Within10m uint64 `json:"within10m"`
	Within1h  uint64 `json:"within1h"`
	Within24h uint64 `json:"within24h"`
}

func ages() []time.Duration { return []time.Duration{10 * time.Minute, time.Hour, 24 * time.Hour} }

const otherReasons = "(other)" // of a newer worker

// counter asks the broker how many messages a consumer would get: it has them
// counted without a message being read.
type counter struct {
	stream jetstream.Stream
	token  string
	from   time.Time
}

func (c *counter) count(ctx context.Context, reason string, from time.Time) (uint64, error) {
	cfg := jetstream.ConsumerConfig{
		FilterSubject: voip.DLQPrefix + reason + "." + c.token, DeliverPolicy: jetstream.DeliverAllPolicy, AckPolicy: jetstream.AckNonePolicy,
		HeadersOnly: true, MemoryStorage: true, Replicas: 1, InactiveThreshold: countThreshold,
	}
	if from.Before(c.from) {
		from = c.from
	}
	if !from.IsZero() {
		cfg.DeliverPolicy, cfg.OptStartTime = jetstream.DeliverByStartTimePolicy, &from
	}
	consumer, err := c.stream.CreateConsumer(ctx, cfg)
	if err != nil {
		return 0, cli.Fault(ctx, voip.StreamDLQ, err)
	}
	info := consumer.CachedInfo()
	if err := c.stream.DeleteConsumer(ctx, info.Name); err != nil {
		return 0, cli.Fault(ctx, voip.StreamDLQ, err)
	}
	return info.NumPending, nil
}

// total counts whatever the filter means but for its reasons. Of a million the
// broker takes a good half second to count; that it holds them it knows.
func (c *counter) total(ctx context.Context, f *dlqFilter) (uint64, error) {
	if f.callID == "" && f.since == 0 {
		return c.stream.CachedInfo().State.Msgs, nil
	}
	return c.count(ctx, "*", time.Time{})
}

// countThreshold is when the broker forgets a consumer that was left behind.
const countThreshold = 10 * time.Second

// byReason counts what the filter means, reason by reason; a reason with none
// is left out.
func (f *dlqFilter) byReason(ctx context.Context, stream jetstream.Stream) ([]reasonCount, error) {
	c := &counter{stream: stream, token: ">", from: f.from}
	if f.callID != "" {
		c.token = voip.Token(f.callID)
	}
	reasons := f.reasons
	var left uint64
	if len(reasons) == 0 {
		n, err := c.total(ctx, f)
		if err != nil || n == 0 {
			return nil, err
		}
		left = n
		for _, rule := range voip.Rules() {
			if rule.Class != "" {
				reasons = append(reasons, string(rule.Reason))
			}
		}
	}
	var all []reasonCount
	for _, reason := range reasons {
		r, err := c.ofReason(ctx, reason)
		if err != nil {
			return nil, err
		}
		if r.Count > 0 {
			all = append(all, r)
			left -= min(left, r.Count)
		}
	}
	if left > 0 {
		all = append(all, reasonCount{Reason: otherReasons, Count: left, Ages: make([]uint64, len(ages()))})
	}
	return all, nil
}

func (c *counter) ofReason(ctx context.Context, reason string) (r reasonCount, err error) {
	r = reasonCount{Reason: reason, Ages: make([]uint64, len(ages()))}
	if r.Count, err = c.count(ctx, reason, time.Time{}); err != nil || r.Count == 0 {
		return r, err
	}
	for i, age := range ages() {
		if r.Ages[i], err = c.count(ctx, reason, time.Now().Add(-age)); err != nil {
			return r, err
		}
		if r.Ages[i] == r.Count { // and so it is of every higher age
			for j := range r.Ages[i:] {
				r.Ages[i+j] = r.Count
			}
			break
		}
	}
	r.Within10m, r.Within1h, r.Within24h = r.Ages[0], r.Ages[1], r.Ages[2]
	return r, nil
}

func printCounts(w io.Writer, counts []reasonCount) (total uint64) {
	rows := [][]string{{"REASON", "COUNT", "≤ 10m", "≤ 1h", "≤ 24h"}}
	for _, c := range counts {
		row := []string{c.Reason, strconv.FormatUint(c.Count, 10)}
		for _, n := range c.Ages {
			if c.Reason == otherReasons {
				row = append(row, "?")
				continue
			}
			row = append(row, strconv.FormatUint(n, 10))
		}
		rows = append(rows, row)
		total += c.Count
	}
	cli.Table(w, rows)
	return total
}
