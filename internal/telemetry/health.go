package telemetry

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// minSilence is how long any loop may be silent before it counts as stuck: a
// busy machine is no reason to restart a worker that holds calls.
const minSilence = 10 * time.Second

var (
	errStarting = errors.New("starting")
	errNothing  = errors.New("no part has reported yet")
)

// Health is what the parts of a worker say of themselves. Its methods may be
// called from any goroutine.
type Health struct {
	mu         sync.Mutex
	conditions map[string]error
	notes      map[string]string
	beats      []*Beat
}

// NewHealth returns a Health whose conditions of these names are "starting":
// it is ready once each has been set to nil.
func NewHealth(conditions ...string) *Health {
	h := &Health{conditions: map[string]error{}, notes: map[string]string{}}
	for _, name := range conditions {
		h.conditions[name] = errStarting
	}
	return h
}

// Set says why a condition of readiness does not hold; nil: it holds. The
// error's text is shown to whoever asks /readyz.
func (h *Health) Set(name string, err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.conditions[name] = err
}

// Note tells what is wrong but no reason to be unready, such as an open
// circuit. An empty text takes the note back.
func (h *Health) Note(name, text string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if text == "" {
		delete(h.notes, name)
		return
	}
	h.notes[name] = text
}

// Ready is nil when every condition holds, else an error with a line for each
// that does not.
func (h *Health) Ready() error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.conditions) == 0 {
		return errNothing
	}
	var failing []error
	for _, name := range slices.Sorted(maps.Keys(h.conditions)) {
		if err := h.conditions[name]; err != nil {
			failing = append(failing, errors.New(line(name, err.Error())))
		}
	}
	return errors.Join(failing...)
}

// Notes are the standing notes, a line each.
func (h *Health) Notes() []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	lines := make([]string, 0, len(h.notes))
	for _, name := range slices.Sorted(maps.Keys(h.notes)) {
		lines = append(lines, line(name, h.notes[name]))
	}
	return lines
}

func line(name, text string) string {
	return name + ": " + strings.ReplaceAll(strings.TrimSpace(text), "\n", "; ")
}

// Alive is nil while every loop ticks, else an error with a line for each that
// is stuck. The broker has no part in it: a restart does not mend the broker.
func (h *Health) Alive() error {
	h.mu.Lock()
	defer h.mu.Unlock()
	var stuck []error
	for _, b := range h.beats {
		if silent := b.silent(); silent > b.limit {
			stuck = append(stuck, fmt.Errorf("%s: no tick for %s, at most %s is allowed",
				b.name, silent.Round(time.Second), b.limit))
		}
	}
	return errors.Join(stuck...)
}

// Beat registers a loop that ticks at least once in every interval. It counts
// as stuck after three intervals without a tick, never before ten seconds.
func (h *Health) Beat(name string, every time.Duration) *Beat {
	b := &Beat{name: name, limit: max(3*every, minSilence), start: time.Now(), health: h}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.beats = append(h.beats, b)
	return b
}

// Beat is the sign of life of one loop.
type Beat struct {
	name   string
	limit  time.Duration
	start  time.Time
	last   atomic.Int64 // the last tick, as time since start
	health *Health
}

// Tick says that the loop came round.
func (b *Beat) Tick() { b.last.Store(int64(time.Since(b.start))) }

// Stop says that the loop has ended, as it should: it is not waited for any more.
func (b *Beat) Stop() {
	b.health.mu.Lock()
	defer b.health.mu.Unlock()
	b.health.beats = slices.DeleteFunc(b.health.beats, func(other *Beat) bool { return other == b })
}

func (b *Beat) silent() time.Duration { return time.Since(b.start) - time.Duration(b.last.Load()) }
