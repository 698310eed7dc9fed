package main

import (
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/voip-push/worker/cmd/internal/cli"
	"github.com/voip-push/worker/internal/voip"
)

// report judges what was read. Calls are the pushes of one claim, sorted.
func (a *auditor) report(ctx context.Context) (*auditReport, error) {
	where, err := a.consumer(ctx)
	if err != nil {
		return nil, err
	}
	r := &auditReport{Results: a.results, WithoutID: a.withoutID, most: a.most, Findings: []finding{}, Counts: map[string]int{}}
	order := make([]uint32, 0, len(a.pushes))
	for i := range a.pushes {
		p := &a.pushes[i]
		if p.stored && p.at >= a.from.UnixMilli() {
			r.Pushes++
		}
		if p.call != 0 {
			order = append(order, uint32(i))
		}
	}
	slices.SortFunc(order, func(x, y uint32) int {
		return cmp.Or(cmp.Compare(a.pushes[x].call, a.pushes[y].call), cmp.Compare(x, y))
	})
	for len(order) > 0 {
		n := 1
		for n < len(order) && a.pushes[order[n]].call == a.pushes[order[0]].call {
			n++
		}
		a.judge(r, order[:n], where)
		order = order[n:]
	}
	for _, f := range a.strange {
		r.add(f)
	}
	if a.strangers > 0 {
		r.Counts[kindNoPush] = a.strangers
	}
	if err := a.judgeGone(ctx, r, where); err != nil {
		return nil, err
	}
	return r, a.name(ctx, r)
}

// judge looks at the pushes of one callId, oldest first.
func (a *auditor) judge(r *auditReport, pushes []uint32, where *jetstream.ConsumerInfo) {
	from, now := a.from.UnixMilli(), a.now.UnixMilli()
	claimed := -1 // the last push with a result, as an index into pushes
	for i, at := range pushes {
		p := &a.pushes[at]
		sequence := a.first + uint64(at)
		second := p.results > 1
		if p.results > 0 {
			if claimed >= 0 {
				// Whichever was claimed first, between them there is less than a claim's life.
				before := &a.pushes[pushes[claimed]]
				second = second || max(p.result, before.result)-before.at < claimLife.Milliseconds()
			}
			claimed = i
		}
		if second && p.at >= from {
			r.add(finding{Kind: kindTwo, Push: sequence, At: time.UnixMilli(p.at), State: p.whose()})
		}
		if p.at >= from && p.due+a.grace.Milliseconds() < now && !a.hasOutcome(pushes, p) && a.isFirst(pushes[:i], p, from) {
			r.add(finding{Kind: kindNone, Push: sequence, At: time.UnixMilli(p.at), State: whereIs(where, sequence)})
		}
	}
}

// whose says of a call's second result that no worker has made it, or nothing.
func (p *auditPush) whose() string {
	if p.foreign {
		return "one names no push in its message id: no worker's"
	}
	return ""
}

// hasOutcome: a result of any push of the same call is the call's.
func (a *auditor) hasOutcome(pushes []uint32, p *auditPush) bool {
	return slices.ContainsFunc(pushes, func(at uint32) bool {
		other := &a.pushes[at]
		return other.results > 0 && max(p.at-other.at, other.at-p.at) < lookBack.Milliseconds()
	})
}

// isFirst: a call without an outcome is one finding, however many pushes it has.
func (a *auditor) isFirst(earlier []uint32, p *auditPush, from int64) bool {
	return !slices.ContainsFunc(earlier, func(at uint32) bool {
		other := &a.pushes[at]
		return other.at >= from && p.at-other.at < claimLife.Milliseconds()
	})
}

// consumer is how far the fleet has come; nil when there is no consumer.
func (a *auditor) consumer(ctx context.Context) (*jetstream.ConsumerInfo, error) {
	c, err := a.session.JS.Consumer(ctx, voip.StreamPush, voip.ConsumerWorkers)
	if err == nil {
		return c.CachedInfo(), nil
	}
	if isNoConsumer(err) {
		return nil, nil
	}
	return nil, cli.Fault(ctx, voip.StreamPush, err)
}

// whereIs says where a push without an outcome has stayed.
func whereIs(info *jetstream.ConsumerInfo, sequence uint64) string {
	switch {
	case info == nil:
		return "the workers' consumer is missing"
	case sequence > info.Delivered.Stream:
		return "no worker has read it yet"
	case sequence > info.AckFloor.Stream:
		return "in a worker's hands, or waits for the next"
	default:
		return "acked"
	}
}

// judgeGone looks for pushes that left the stream without a trace. What was
// kept for the whole window has no need of it.
func (a *auditor) judgeGone(ctx context.Context, r *auditReport, where *jetstream.ConsumerInfo) error {
	state, _, err := a.lookAtPushes(ctx)
	if err != nil || a.maxAge == 0 || !a.from.Before(a.now.Add(-a.maxAge)) {
		return err
	}
	low := a.lowest
	if where != nil && (low == 0 || where.Delivered.Stream+1 < low) {
		low = where.Delivered.Stream + 1
	}
	low = max(low, a.begin) // what a deleted stream held, nobody knows
	high := min(state.FirstSeq, a.first)
	if low == 0 || low >= high {
		return nil
	}
	scan := cli.Scan{Stream: voip.StreamDLQ, Since: a.from.Add(-lookBack), HeadersOnly: true}
	err = a.session.Scan(ctx, scan, func(e *cli.Entry) error {
		if n := originOf(e.Header); n > 0 {
			a.settled = append(a.settled, n)
		}
		return nil
	})
	slices.Sort(a.settled)
	for sequence := low; sequence < high && err == nil; sequence++ {
		if _, found := slices.BinarySearch(a.settled, sequence); !found {
			state := "aged out unread, or a duplicate"
			if where != nil && sequence > where.Delivered.Stream {
				state = "aged out unread"
			}
			r.add(finding{Kind: kindGone, Push: sequence, State: state})
		}
	}
	return err
}
