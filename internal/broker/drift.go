package broker

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/voip-push/worker/internal/voip"
)

// Severity is what a difference between the broker and the contract means.
type Severity int

// The severities.
const (
	Warning Severity = iota // works, and is said
	Unsound                 // calls could be lost or rung twice: refused
	Missing                 // waited for, or created
)

// Drift is one difference between what the broker has and what it should have.
type Drift struct {
	Object   string // "stream VOIP_PUSH", "consumer voip-workers"
	Field    string // empty when the object is missing
	Have     string
	Want     string
	Severity Severity
	// Fixed says that the broker cannot change it on what exists.
	Fixed bool
}

// String is a line for people.
func (d Drift) String() string {
	if d.Severity == Missing {
		return d.Object + " is missing"
	}
	s := fmt.Sprintf("%s: %s is %s, want %s", d.Object, d.Field, d.Have, d.Want)
	if d.Severity == Unsound {
		s += " (unsound)"
	}
	return s
}

// remedy is what there is to do about what is unsound.
func (d Drift) remedy() string {
	if !d.Fixed {
		return "run `worker provision`"
	}
	object := d.Object
	if strings.HasPrefix(object, "stream ") {
		object += " with all that it holds"
	}
	return "provisioning cannot change that: change it by hand, or delete " + object + " and provision again"
}

// check is one compared field: apply copies the wanted value, nil when the
// broker cannot change it.
type check[C any] struct {
	field    string
	value    func(*C) any
	severity func(have, want *C) Severity
	apply    func(have, want *C)
}

func always[C any](s Severity) func(have, want *C) Severity {
	return func(_, _ *C) Severity { return s }
}

// shorterWindow is unsound, a longer one only costs memory.
func shorterWindow(have, want *jetstream.StreamConfig) Severity {
	if have.Duplicates < want.Duplicates {
		return Unsound
	}
	return Warning
}

// rollup on the results' stream is unsound: the question whether a result is
// stored would wipe them.
func rollup(have, _ *jetstream.StreamConfig) Severity {
	if have.Name == voip.StreamResult {
		return Unsound
	}
	return Warning
}

func streamChecks() []check[jetstream.StreamConfig] {
	type C = jetstream.StreamConfig
	return []check[C]{
		{"subjects", func(c *C) any { return c.Subjects }, always[C](Unsound), func(h, w *C) { h.Subjects = w.Subjects }},
		{"retention", func(c *C) any { return c.Retention }, always[C](Unsound), nil},
		{"storage", func(c *C) any { return c.Storage }, always[C](Warning), nil},
		{"duplicate window", func(c *C) any { return c.Duplicates }, shorterWindow, func(h, w *C) { h.Duplicates = w.Duplicates }},
		{"max age", func(c *C) any { return c.MaxAge }, always[C](Warning), func(h, w *C) { h.MaxAge = w.MaxAge }},
		{"discard policy", func(c *C) any { return c.Discard }, always[C](Warning), func(h, w *C) { h.Discard = w.Discard }},
		{"max bytes", func(c *C) any { return c.MaxBytes }, always[C](Warning), func(h, w *C) { h.MaxBytes = w.MaxBytes }},
		{"max message size", func(c *C) any { return c.MaxMsgSize }, always[C](Warning), func(h, w *C) { h.MaxMsgSize = w.MaxMsgSize }},
		{"max messages", func(c *C) any { return c.MaxMsgs }, always[C](Warning), func(h, w *C) { h.MaxMsgs = w.MaxMsgs }},
		{"max messages per subject", func(c *C) any { return c.MaxMsgsPerSubject }, always[C](Warning), func(h, w *C) { h.MaxMsgsPerSubject = w.MaxMsgsPerSubject }},
		{"replicas", func(c *C) any { return c.Replicas }, always[C](Warning), func(h, w *C) { h.Replicas = w.Replicas }},
		{"rollup headers", func(c *C) any { return c.AllowRollup }, rollup, func(h, w *C) { h.AllowRollup = w.AllowRollup }},
		{"no acks", func(c *C) any { return c.NoAck }, always[C](Unsound), func(h, w *C) { h.NoAck = w.NoAck }},
		{"sealed", func(c *C) any { return c.Sealed }, always[C](Unsound), nil},
		{"direct gets", func(c *C) any { return c.AllowDirect }, always[C](Warning), func(h, w *C) { h.AllowDirect = w.AllowDirect }},
		{"monitor thresholds", func(c *C) any { return thresholds(c.Metadata) }, always[C](Warning), func(h, w *C) { h.Metadata = withThresholds(h.Metadata, w.Metadata) }},
	}
}

// filter is what a consumer leaves out of the stream; one that names the
// stream's only subject leaves nothing out.
func filter(c *jetstream.ConsumerConfig) []string {
	subjects := append(slices.Clone(c.FilterSubjects), c.FilterSubject)
	return slices.DeleteFunc(subjects, func(s string) bool { return s == "" || s == voip.SubjectPush })
}

// What workers ask for at once, as internal/consumer and internal/stream have it: a
// consumer that refuses it hands out nothing.
const (
	pullBatch   = 256
	pullExpires = 30 * time.Second
)

// tooSmall shows a limit that refuses what workers ask for; others make no
// difference.
func tooSmall[T int | time.Duration](limit, asked T) string {
	if limit <= 0 || limit >= asked {
		return "enough"
	}
	return fmt.Sprint(limit)
}

// paused is until when a consumer hands out nothing; a time that is over is none.
func paused(c *jetstream.ConsumerConfig) string {
	if c.PauseUntil == nil || !c.PauseUntil.After(time.Now()) {
		return "not paused"
	}
	return c.PauseUntil.UTC().Format(time.RFC3339)
}

func consumerChecks() []check[jetstream.ConsumerConfig] {
	type C = jetstream.ConsumerConfig
	return []check[C]{
		{"ack policy", func(c *C) any { return c.AckPolicy }, always[C](Unsound), nil},
		{"deliver policy", func(c *C) any { return c.DeliverPolicy }, always[C](Warning), nil},
		{"filter", func(c *C) any { return filter(c) }, always[C](Unsound), func(h, _ *C) { h.FilterSubject, h.FilterSubjects = "", nil }},
		{"BackOff list", func(c *C) any { return c.BackOff }, always[C](Unsound), func(h, _ *C) { h.BackOff = nil }},
		{"ack wait", func(c *C) any { return c.AckWait }, always[C](Warning), func(h, w *C) { h.AckWait = w.AckWait }},
		{"max deliver", func(c *C) any { return c.MaxDeliver }, always[C](Warning), func(h, w *C) { h.MaxDeliver = w.MaxDeliver }},
		{"max ack pending", func(c *C) any { return c.MaxAckPending }, always[C](Warning), func(h, w *C) { h.MaxAckPending = w.MaxAckPending }},
		{"headers only", func(c *C) any { return c.HeadersOnly }, always[C](Unsound), func(h, w *C) { h.HeadersOnly = w.HeadersOnly }},
		{"paused until", func(c *C) any { return paused(c) }, always[C](Warning), nil}, // by somebody, on purpose
		// A server may set its own limits on every consumer: it cannot be mended then.
		{"max request batch", func(c *C) any { return tooSmall(c.MaxRequestBatch, pullBatch) }, always[C](Warning), nil},
		{"max request expires", func(c *C) any { return tooSmall(c.MaxRequestExpires, pullExpires) }, always[C](Warning), nil},
		{"inactive threshold", func(c *C) any { return c.InactiveThreshold }, always[C](Warning), func(h, w *C) { h.InactiveThreshold = w.InactiveThreshold }},
		{"memory storage", func(c *C) any { return c.MemoryStorage }, always[C](Warning), nil},
		{"max waiting", func(c *C) any { return c.MaxWaiting }, always[C](Warning), nil},
		{"monitor thresholds", func(c *C) any { return thresholds(c.Metadata) }, always[C](Warning), func(h, w *C) { h.Metadata = withThresholds(h.Metadata, w.Metadata) }},
	}
}

// compare lists the differences and applies to have those that can be mended.
func compare[C any](object string, have, want *C, checks []check[C]) []Drift {
	var drift []Drift
	for _, c := range checks {
		h, w := show(c.value(have)), show(c.value(want))
		if h == w {
			continue
		}
		drift = append(drift, Drift{Object: object, Field: c.field, Have: h, Want: w, Severity: c.severity(have, want), Fixed: c.apply == nil})
		if c.apply != nil {
			c.apply(have, want)
		}
	}
	return drift
}

func show(v any) string {
	switch v := v.(type) {
	case time.Duration:
		return v.String()
	case []string:
		if len(v) == 0 {
			return "none"
		}
		return strings.Join(v, ", ")
	case []time.Duration:
		if len(v) == 0 {
			return "none"
		}
		return fmt.Sprint(v)
	default:
		return fmt.Sprint(v)
	}
}
