package telemetry

import "slices"

// Unknown is the label value that stands for every one that NewMetrics was not
// told of, so that nothing which comes in from outside can grow the number of
// series.
const Unknown = "unknown"

// family is a metric with one label whose children are resolved beforehand: a
// known value costs a map lookup and no allocation.
type family[T any] struct {
	known   map[string]T
	resolve func(...string) T
}

func newFamily[T any](resolve func(...string) T, values []string) family[T] {
	f := family[T]{known: make(map[string]T, len(values)), resolve: resolve}
	for _, v := range values {
		f.known[v] = resolve(v)
	}
	return f
}

func (f family[T]) with(value string) T {
	if child, ok := f.known[value]; ok {
		return child
	}
	return f.resolve(Unknown)
}

// pair is a pair of label values.
type pair [2]string

// pairFamily is a family with two labels.
type pairFamily[T any] struct {
	known   map[pair]T
	values  [2][]string
	resolve func(...string) T
}

func newPairFamily[T any](resolve func(...string) T, pairs []pair) pairFamily[T] {
	f := pairFamily[T]{known: make(map[pair]T, len(pairs)), resolve: resolve}
	for _, p := range pairs {
		f.known[p] = resolve(p[0], p[1])
		for i, v := range p {
			f.values[i] = append(f.values[i], v)
		}
	}
	return f
}

// with takes each label for itself when the pair is not known: known outcomes
// keep their name beside a reason that is not.
func (f pairFamily[T]) with(p pair) T {
	if child, ok := f.known[p]; ok {
		return child
	}
	values := make([]string, len(p))
	for i, v := range p {
		values[i] = v
		if !slices.Contains(f.values[i], v) {
			values[i] = Unknown
		}
	}
	return f.resolve(values...)
}
