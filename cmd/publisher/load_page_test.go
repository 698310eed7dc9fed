package main

import (
	"encoding/xml"
	"fmt"
	"strings"
	"testing"
)

// TestPage: a moment without a latency leaves a gap, and does not pretend that
// it was zero; throughput counts by the second, however long a step is.
func TestPage(t *testing.T) {
	t.Parallel()
	l := &loadReport{Course: []moment{
		{AtSeconds: 0, Sent: 20, Results: 10, P50: 1, P99: 10, Max: 1000},
		{AtSeconds: 2},
		{AtSeconds: 4, Sent: 10, Results: 20, P50: 10, P99: 100, Max: 100},
	}}
	latency := l.chart("", "", logarithmic, series{"max", func(m *moment) float64 { return m.Max }})
	if got := fmt.Sprint(latency.Lines[0].Pieces); got != "[150.0,0.0 150.0,0.0 750.0,220.0 750.0,220.0]" {
		t.Errorf("latency: %s", got)
	}
	if got := fmt.Sprint(latency.Grid, latency.End); got != "[{220 100} {0 1000}]6" {
		t.Errorf("latency: %s", got)
	}
	rate := l.chart("", "", linear, series{"sent", func(m *moment) float64 { return float64(m.Sent) / l.stepSeconds() }})
	if got := fmt.Sprint(rate.Lines[0].Pieces, rate.Grid); got != "[150.0,0.0 450.0,220.0 750.0,110.0] [{220 0} {110 5} {0 10}]" {
		t.Errorf("throughput: %s", got)
	}
	for name, l := range map[string]*loadReport{"nothing": {}, "all": l} {
		var page strings.Builder
		if err := l.page(&page); err != nil {
			t.Fatal(err)
		}
		for _, foreign := range []string{"NaN", "Inf", "ZgotmplZ", "http", "src=", "href=", "url(", "@import", "<script"} {
			if strings.Contains(page.String(), foreign) {
				t.Errorf("%s: %q in %s", name, foreign, page.String())
			}
		}
		drawings := strings.SplitAfter(page.String(), "<svg")[1:]
		for _, rest := range drawings {
			drawing, _, _ := strings.Cut(rest, "</svg>")
			if err := xml.Unmarshal([]byte("<svg"+drawing+"</svg>"), new(struct{})); err != nil {
				t.Errorf("%s: %v in %s", name, err, drawing)
			}
		}
		if len(drawings) != 2 {
			t.Errorf("%s: %d drawings", name, len(drawings))
		}
	}
}
