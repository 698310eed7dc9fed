package callkit

import (
	"hash/maphash"
	"slices"
	"time"
)

// perMemory is how many generations share the time that a memory keeps things.
const perMemory = 4

// memory keeps values for a time, and forgets them without being asked to: no
// goroutine, no timer. Entries lie in generations, and the oldest generation
// is dropped whole, so that its space is really given back (a Go map never
// shrinks) and no call pays for the forgetting of many others.
type memory[K comparable, V any] struct {
	keep        time.Duration
	generations []generation[K, V] // the newest last
}

type generation[K comparable, V any] struct {
	began   time.Time
	entries map[K]entry[V]
}

type entry[V any] struct {
	value V
	at    uint32 // milliseconds since its generation began: a time.Time would triple the entry
}

func newMemory[K comparable, V any](keep time.Duration) *memory[K, V] {
	return &memory[K, V]{keep: keep}
}

// get finds what was put under k less than keep ago.
func (m *memory[K, V]) get(k K, now time.Time) (v V, ok bool) {
	for _, g := range slices.Backward(m.generations) {
		if e, found := g.entries[k]; found {
			if now.Sub(g.began)-time.Duration(e.at)*time.Millisecond >= m.keep {
				return v, false
			}
			return e.value, true
		}
	}
	return v, false
}

// put keeps v under k from now on. What an older generation holds under k is
// hidden by it, and goes with that generation.
func (m *memory[K, V]) put(k K, v V, now time.Time) {
	m.rotate(now)
	g := &m.generations[len(m.generations)-1]
	g.entries[k] = entry[V]{at: uint32(now.Sub(g.began).Milliseconds()), value: v}
}

func (m *memory[K, V]) drop(k K) {
	for _, g := range m.generations {
		delete(g.entries, k)
	}
}

// rotate begins a generation when the newest is old enough, and drops those
// of which every entry is too old.
func (m *memory[K, V]) rotate(now time.Time) {
	span := m.keep / perMemory
	if n := len(m.generations); n > 0 && now.Sub(m.generations[n-1].began) < span {
		return
	}
	for len(m.generations) > 0 && now.Sub(m.generations[0].began) >= m.keep+span {
		m.generations[0] = generation[K, V]{}
		m.generations = m.generations[1:]
	}
	m.generations = append(m.generations, generation[K, V]{began: now, entries: map[K]entry[V]{}})
}

func (m *memory[K, V]) clear() { m.generations = nil }

// len counts all entries that are held, those that are too old included.
func (m *memory[K, V]) len() int {
	n := 0
	for _, g := range m.generations {
		n += len(g.entries)
	}
	return n
}

// fingerprint stands for some strings: 64 bits stand for them in a map without
// keeping them, so that a call of a device of its own costs some 60 bytes. Of a
// million that are remembered at once, two meet once in forty million times.
type fingerprint uint64

type printer struct{ seed maphash.Seed }

func newPrinter() printer { return printer{maphash.MakeSeed()} }

func (p printer) of(a string) fingerprint { return fingerprint(maphash.String(p.seed, a)) }

// pair is the fingerprint of two strings; ("ab", "c") and ("a", "bc") differ.
func (p printer) pair(a, b string) fingerprint { return p.of(a)*31 + p.of(b) }
