package main

import (
	_ "embed"
	"fmt"
	"html/template"
	"io"
	"strconv"
	"strings"
)

//go:embed load_page.html
var pageText string

// chart is a drawing of one or more lines over the time of a run.
type chart struct {
	Title, Unit string
	Top, End    string // of the axes
	Lines       []chartLine
}

type chartLine struct{ Name, Color, Points string }

// Size of a chart's inside, as the page has it.
const (
	chartWidth  = 900.0
	chartHeight = 220.0
)

// page writes the report as one page that needs nothing else.
func (l *loadReport) page(w io.Writer) error {
	t, err := template.New("report").Parse(pageText)
	if err == nil {
		err = t.Execute(w, map[string]any{"Report": l, "Charts": []chart{
			l.chart("Latency, push to result", "ms",
				series{"p50", "#2563eb", func(m *moment) float64 { return m.P50 }},
				series{"p99", "#d97706", func(m *moment) float64 { return m.P99 }},
				series{"max", "#dc2626", func(m *moment) float64 { return m.Max }}),
			l.chart("Throughput", "in each step",
				series{"sent", "#64748b", func(m *moment) float64 { return float64(m.Sent) }},
				series{"results", "#059669", func(m *moment) float64 { return float64(m.Results) }}),
		}})
	}
	if err != nil {
		return fmt.Errorf("--out: %w", err)
	}
	return nil
}

type series struct {
	name, color string
	of          func(*moment) float64
}

func (l *loadReport) chart(title, unit string, all ...series) chart {
	top := 0.0
	for i := range l.Course {
		for _, s := range all {
			top = max(top, s.of(&l.Course[i]))
		}
	}
	c := chart{Title: title, Unit: unit, Top: strconv.FormatFloat(top, 'f', 1, 64)}
	if n := len(l.Course); n > 0 {
		c.End = strconv.FormatFloat(l.Course[n-1].AtSeconds, 'f', 0, 64)
	}
	for _, s := range all {
		var points strings.Builder
		for i := range l.Course {
			x := chartWidth * float64(i) / float64(max(1, len(l.Course)-1))
			y := chartHeight * (1 - s.of(&l.Course[i])/max(top, 1e-9))
			fmt.Fprintf(&points, "%.1f,%.1f ", x, y)
		}
		c.Lines = append(c.Lines, chartLine{s.name, s.color, strings.TrimSpace(points.String())})
	}
	return c
}
