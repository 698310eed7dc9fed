package report

import (
	"log/slog"
	"math/rand/v2"
	"time"
)

const (
	// The time between two probes doubles from the first to the last. The last
	// is short, for calls live for a minute and the bridge's return must be seen.
	firstProbe = 500 * time.Millisecond
	lastProbe  = 2 * time.Second
	// longestAsked is how long a bridge that says Retry-After is left without a
	// probe: one that is back sooner than it said must not cost every call.
	longestAsked = 5 * time.Second
)

// trip opens the circuit, shut closes it; mu is held in all that follows.
func (b *breaker) trip(out *outcome) {
	b.change(true)
	b.since, b.pause, b.probing = time.Now(), firstProbe, false
	b.probeAt = b.since.Add(max(spread(b.pause), min(out.retryAfter, longestAsked)))
	b.log.Warn("the report circuit is open: calls are held until the bridge answers", slog.String("detail", out.detail))
}

func (b *breaker) shut() {
	b.change(false)
	b.window, b.loose = max(1, b.widest/8), 0
	b.log.Info("the report circuit is closed: the bridge answers again",
		slog.Duration("after", time.Since(b.since)), slog.Int("held", b.held.Len()))
}

func (b *breaker) change(open bool) {
	b.open, b.failures = open, 0
	b.epoch++
	b.rec.CircuitOpen(open)
}

func (b *breaker) probed(v verdict, out *outcome) {
	b.probing = false
	switch v {
	case itAnswered:
		b.shut()
	case itFailed:
		b.pause = min(2*b.pause, lastProbe)
		b.probeAt = time.Now().Add(max(spread(b.pause), min(out.retryAfter, longestAsked)))
	case learnedNothing: // the next call asks, at once
	}
}

// wake gives permits to held calls, as many as may go now. While the circuit is
// open there is a timer for the next probe, but only while somebody waits.
func (b *breaker) wake() {
	if b.timer != nil {
		b.timer.Stop()
	}
	if !b.open {
		for ; b.loose < b.window && b.held.Len() > 0; b.loose++ {
			b.held.next() <- permit{epoch: b.epoch, released: true}
		}
		return
	}
	if b.probing || b.held.Len() == 0 {
		return
	}
	if wait := time.Until(b.probeAt); wait > 0 {
		b.timer = time.AfterFunc(wait, b.tick)
		return
	}
	b.probing = true
	b.probes++
	ask := b.held.next
	if b.probes%2 == 0 {
		ask = b.held.newest
	}
	ask() <- permit{epoch: b.epoch}
}

func (b *breaker) tick() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.wake()
}

// spread keeps the workers of a fleet from probing in step: half to one and a
// half times d.
func spread(d time.Duration) time.Duration {
	return d/2 + rand.N(d) //nolint:gosec // it spreads probes; nothing here is a secret
}
