package main

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql/parser"
)

// metrics are what expressions may name.
type metrics struct {
	parse    parser.Parser
	series   map[string][]labels.Labels // by name, as a worker exposes them from the start
	recorded map[string]bool
}

// What the Prometheus itself and the scraping add to a series.
func fromScraping(label string) bool {
	return slices.Contains([]string{"namespace", "pod", "container", "instance", "job", "le"}, label)
}

// What every Go process exposes beside its own, as far as it is used.
func fromRuntime(name string) bool {
	return slices.Contains([]string{"process_cpu_seconds_total", "process_resident_memory_bytes"}, name)
}

// readPage reads a page of metrics as a worker serves it.
func readPage(path string) (*metrics, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	m := &metrics{parse: parser.NewParser(parser.Options{}), series: map[string][]labels.Labels{}, recorded: map[string]bool{}}
	for line := range strings.Lines(string(b)) {
		line = strings.TrimSuffix(line, "\n")
		if strings.HasPrefix(line, "#") {
			continue
		}
		at := strings.LastIndexByte(line, ' ')
		if at < 0 {
			return nil, fmt.Errorf("%s: %q has no value", path, line)
		}
		series, err := m.parse.ParseMetric(line[:at])
		if err != nil {
			return nil, fmt.Errorf("%s: %q: %w", path, line, err)
		}
		name := series.Get("__name__")
		m.series[name] = append(m.series[name], series)
	}
	return m, nil
}

func (m *metrics) record(name string) {
	if name != "" {
		m.recorded[name] = true
	}
}

// check says what in an expression nothing can answer.
func (m *metrics) check(where, expr string) error {
	parsed, err := m.parse.ParseExpr(expr)
	if err != nil {
		return fmt.Errorf("%s: %w", where, err)
	}
	var errs []error
	parser.Inspect(parsed, func(node parser.Node, _ []parser.Node) error {
		switch n := node.(type) {
		case *parser.VectorSelector:
			errs = append(errs, m.selects(n))
		case *parser.AggregateExpr:
			errs = append(errs, m.labels(n.Grouping))
		case *parser.BinaryExpr:
			if n.VectorMatching != nil {
				errs = append(errs, m.labels(n.VectorMatching.MatchingLabels))
			}
		}
		return nil
	})
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("%s: %w", where, err)
	}
	return nil
}

// selects says whether a selector can ever find something.
func (m *metrics) selects(s *parser.VectorSelector) error {
	if m.recorded[s.Name] || fromRuntime(s.Name) {
		return nil
	}
	all, found := m.series[s.Name]
	if !found {
		return fmt.Errorf("no worker exposes %s", s.Name)
	}
	matchers := slices.DeleteFunc(slices.Clone(s.LabelMatchers), func(l *labels.Matcher) bool { return fromScraping(l.Name) && l.Name != "le" })
	for _, series := range all {
		if !slices.ContainsFunc(matchers, func(l *labels.Matcher) bool { return !series.Has(l.Name) || !l.Matches(series.Get(l.Name)) }) {
			return nil
		}
	}
	return fmt.Errorf("no worker exposes %s", s)
}

// labels says whether these labels are of any series.
func (m *metrics) labels(names []string) error {
	have := map[string]bool{}
	for _, series := range slices.Concat(slices.Collect(maps.Values(m.series))...) {
		series.Range(func(l labels.Label) { have[l.Name] = true })
	}
	for _, name := range names {
		if !have[name] && !fromScraping(name) {
			return fmt.Errorf("no series has a label %s", name)
		}
	}
	return nil
}
