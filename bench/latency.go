package main

import (
	"context"
	"fmt"
	"os"
	"slices"
	"text/tabwriter"
	"time"
)

// latencies of one run, from the intended send of a push to its stored result.
type latencies []time.Duration

func (l latencies) at(share float64) time.Duration {
	return l[min(int(share*float64(len(l))), len(l)-1)]
}

// shares are the percentiles that are shown.
func shares() []float64 { return []float64{.5, .9, .99, .999} }

// baseline is whom the latencies are compared with: the null worker that does
// what every worker must.
const baseline = "null-claims"

// latency sends pushes at a steady rate, whatever comes back, and times each
// from when it was to be sent: a stall is not hidden by the pushes that it held
// up. The first second warms up.
func latency(ctx context.Context, bin *binaries, c contender, o options) (latencies, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, o.duration+time.Minute, errTimeout)
	defer cancel()
	b, err := startBroker(ctx, bin, c.servers, o.sync)
	if err != nil {
		return nil, err
	}
	defer b.stop()
	fleet, err := b.start(ctx, c)
	if err != nil {
		return nil, err
	}
	began, count, err := send(ctx, b, c, o)
	if err == nil {
		err = b.await(ctx, uint64(count))
	}
	if err != nil {
		return nil, fmt.Errorf("%w\n%s", err, fleet.kill())
	}
	if _, err := fleet.stop(); err != nil {
		return nil, err
	}
	if err := b.verify(ctx, count); err != nil {
		return nil, err
	}
	at := make(map[string]time.Time, count)
	for i := range count {
		at[callID(i)] = began.Add(time.Duration(i) * time.Second / time.Duration(o.rate))
	}
	var all latencies
	err = b.each(ctx, func(callID string, stored time.Time) {
		if intended := at[callID]; intended.Sub(began) >= time.Second {
			all = append(all, stored.Sub(intended))
		}
	})
	slices.Sort(all)
	return all, err
}

func send(ctx context.Context, b *broker, c contender, o options) (began time.Time, count int, err error) {
	count = int(o.duration.Seconds() * float64(o.rate))
	began = time.Now().Add(time.Second) // the worker starts meanwhile
	for i := range count {
		pass(ctx, time.Until(began.Add(time.Duration(i)*time.Second/time.Duration(o.rate))))
		if _, err := b.js.PublishMsgAsync(push(i, c.avatar)); err != nil {
			return began, 0, err
		}
	}
	select {
	case <-b.js.PublishAsyncComplete():
		return began, count, nil
	case <-ctx.Done():
		return began, count, context.Cause(ctx)
	}
}

func (b *broker) await(ctx context.Context, count uint64) error {
	for {
		now, err := b.results(ctx)
		if err != nil || now >= count {
			return err
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%w: %d of %d results", context.Cause(ctx), now, count)
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// reportLatency prints the medians of the rounds, and the 99th percentile as a
// multiple of the baseline's of the same round.
func reportLatency(all []contender, runs map[string][]latencies) error {
	w := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(w, "worker\tp50 ms\tp90 ms\tp99 ms\tp99.9 ms\tp99 of "+baseline+"\tmin\tmax\t")
	for _, c := range all {
		fmt.Fprint(w, c.label())
		for _, share := range shares() {
			var v []float64
			for _, l := range runs[c.label()] {
				v = append(v, l.at(share).Seconds()*1000)
			}
			fmt.Fprintf(w, "\t%.2f", median(v))
		}
		null := c // on as many workers and servers
		null.name = baseline
		var ratios []float64
		for i, l := range runs[c.label()] {
			if i < len(runs[null.label()]) {
				ratios = append(ratios, l.at(.99).Seconds()/runs[null.label()][i].at(.99).Seconds())
			}
		}
		if len(ratios) == 0 {
			fmt.Fprintln(w, "\t\t\t\t")
			continue
		}
		fmt.Fprintf(w, "\t%.2f\t%.2f\t%.2f\t\n", median(ratios), slices.Min(ratios), slices.Max(ratios))
	}
	return w.Flush()
}
