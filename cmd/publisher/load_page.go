package main

import (
	_ "embed"
	"fmt"
	"html/template"
	"io"
	"math"
	"strconv"
	"strings"
)

//go:embed load_page.html
var pageText string

// chart is a drawing of one or more lines over the time of a run.
type chart struct {
	Title, Unit string
	End         string // of the time axis
	Grid        []gridLine
	Lines       []chartLine
}

type gridLine struct {
	Y     float64
	Label string
}

// chartLine is drawn in pieces: where there is no value there is no line. Its
// name is its class on the page, which has the colours.
type chartLine struct {
	Name   string
	Pieces []string
}

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
			l.chart("Latency, push to result", "ms, logarithmic", logarithmic,
				series{"p50", func(m *moment) float64 { return m.P50 }},
				series{"p99", func(m *moment) float64 { return m.P99 }},
				series{"max", func(m *moment) float64 { return m.Max }}),
			l.chart("Throughput", "a second", linear,
				series{"sent", func(m *moment) float64 { return float64(m.Sent) / l.stepSeconds() }},
				series{"results", func(m *moment) float64 { return float64(m.Results) / l.stepSeconds() }}),
		}})
	}
	if err != nil {
		return fmt.Errorf("--out: %w", err)
	}
	return nil
}

// stepSeconds is how long a moment of the course is.
func (l *loadReport) stepSeconds() float64 {
	if len(l.Course) < 2 {
		return 1
	}
	return l.Course[1].AtSeconds - l.Course[0].AtSeconds
}

type series struct {
	name string
	of   func(*moment) float64
}

// scale says how high a value stands, 0 to 1, and where lines help to read it.
// A value that it cannot show is not drawn.
type scale func(lowest, highest float64) (height func(float64) (float64, bool), marks []float64)

func linear(_, highest float64) (func(float64) (float64, bool), []float64) {
	top := max(highest, 1)
	return func(v float64) (float64, bool) { return v / top, true }, []float64{0, top / 2, top}
}

// logarithmic is for latencies: a median of milliseconds beside a tail of
// seconds. A moment in which nothing was sent has none.
func logarithmic(lowest, highest float64) (func(float64) (float64, bool), []float64) {
	bottom := math.Floor(math.Log10(max(lowest, 1e-3)))
	top := max(math.Ceil(math.Log10(max(highest, 1e-3))), bottom+1)
	var marks []float64
	for e := bottom; e <= top; e++ {
		marks = append(marks, math.Pow(10, e))
	}
	return func(v float64) (float64, bool) { return (math.Log10(max(v, 1e-3)) - bottom) / (top - bottom), v > 0 }, marks
}

func (l *loadReport) chart(title, unit string, scaled scale, all ...series) chart {
	lowest, highest := math.Inf(1), 0.0
	for i := range l.Course {
		for _, s := range all {
			if v := s.of(&l.Course[i]); v > 0 {
				lowest, highest = min(lowest, v), max(highest, v)
			}
		}
	}
	height, marks := scaled(min(lowest, max(highest, 1)), highest)
	c := chart{Title: title, Unit: unit}
	for _, m := range marks {
		y, _ := height(m)
		c.Grid = append(c.Grid, gridLine{chartHeight * (1 - y), strconv.FormatFloat(m, 'f', -1, 64)})
	}
	if n := len(l.Course); n > 0 {
		c.End = strconv.FormatFloat(l.Course[n-1].AtSeconds+l.stepSeconds(), 'f', 0, 64)
	}
	for _, s := range all {
		c.Lines = append(c.Lines, chartLine{s.name, l.pieces(height, s.of)})
	}
	return c
}

func (l *loadReport) pieces(height func(float64) (float64, bool), of func(*moment) float64) (all []string) {
	var points []string
	flush := func() {
		if len(points) == 1 { // a dot
			points = append(points, points[0])
		}
		if len(points) > 0 {
			all = append(all, strings.Join(points, " "))
		}
		points = nil
	}
	for i := range l.Course {
		y, ok := height(of(&l.Course[i]))
		if !ok {
			flush()
			continue
		}
		x := chartWidth * (float64(i) + 0.5) / float64(len(l.Course)) // the middle of its part of the run
		points = append(points, fmt.Sprintf("%.1f,%.1f", x, chartHeight*(1-y)))
	}
	flush()
	return all
}
