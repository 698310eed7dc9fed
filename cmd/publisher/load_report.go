package main

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strconv"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"

	"github.com/voip-push/worker/cmd/internal/cli"
)

// loadReport is what a run came to. Latencies are in milliseconds, from the
// intended time of the push to the arrival of its result.
type loadReport struct {
	Run        string         `json:"run"` // what its callIds begin with
	Began      time.Time      `json:"began"`
	Seed       uint64         `json:"seed"`
	Count      int            `json:"count"`
	Sent       int64          `json:"sent"`
	NotStored  int64          `json:"notStored"`
	Duplicates int64          `json:"duplicates"`
	Results    int64          `json:"results"`
	Missing    int64          `json:"missing"`
	Second     int            `json:"secondResults"` // results of calls that had one
	Rate       float64        `json:"rate"`          // that was asked for
	ResultRate float64        `json:"resultRate"`    // from the first push to the last result
	MaxLagMs   float64        `json:"maxSendLagMs"`  // how late a push left at most
	Latency    latencies      `json:"latencyMs"`
	Outcomes   []outcomeCount `json:"outcomes"`
	Course     []moment       `json:"course"`

	refusal error
}

type latencies struct {
	Mean float64 `json:"mean"`
	P50  float64 `json:"p50"`
	P90  float64 `json:"p90"`
	P99  float64 `json:"p99"`
	P999 float64 `json:"p99_9"`
	Max  float64 `json:"max"`
}

type outcomeCount struct {
	Outcome string `json:"outcome"`
	Reason  string `json:"reason"`
	Count   int    `json:"count"`
}

// moment is a part of the run: what was meant to be sent in it, and what came.
type moment struct {
	AtSeconds float64 `json:"atSeconds"`
	Sent      int     `json:"sent"`
	Results   int     `json:"results"` // that arrived in it
	P50       float64 `json:"p50Ms"`   // of the pushes that were meant to be sent in it
	P99       float64 `json:"p99Ms"`
	Max       float64 `json:"maxMs"`
}

const highest = int64(time.Hour / time.Microsecond)

func (r *loadRun) report() *loadReport {
	r.mu.Lock()
	defer r.mu.Unlock()
	sent, results, unstored := r.figures()
	l := &loadReport{
		Run: r.plan.prefix, Began: r.began.UTC(), Seed: r.flags.seed, Count: r.flags.count, Sent: sent, NotStored: unstored, Duplicates: r.twice.Load(), Results: results,
		Missing: max(0, sent-unstored-results), Second: r.again, Rate: r.flags.rate, MaxLagMs: millis(r.lag.Load()),
		Outcomes: []outcomeCount{}, Course: []moment{}, refusal: r.refusal,
	}
	for k, n := range r.outcomes {
		l.Outcomes = append(l.Outcomes, outcomeCount{string(k.Outcome), string(k.Reason), n})
	}
	slices.SortFunc(l.Outcomes, func(a, b outcomeCount) int {
		return cmp.Or(cmp.Compare(b.Count, a.Count), cmp.Compare(a.Reason, b.Reason))
	})
	h, last := hdrhistogram.New(1, highest, 3), int64(0)
	for i, at := range r.arrived {
		if at > 0 {
			note(h, at-r.intended(i))
			last = max(last, at)
		}
	}
	if last > 0 {
		l.ResultRate = float64(results) / (float64(last) / 1e6)
		l.Latency = latencies{
			Mean: h.Mean() / 1e3, P50: at(h, 50), P90: at(h, 90), P99: at(h, 99), P999: at(h, 99.9), Max: millis(h.Max()),
		}
	}
	l.Course = r.course(int(sent), last)
	return l
}

// maxMoments is how many points the course has at most.
const maxMoments = 300

// course cuts the run into seconds, or longer parts of a long one.
func (r *loadRun) course(sent int, last int64) []moment {
	end := max(last, r.intended(max(0, sent-1)))
	step := int64(1e6) * (1 + end/(maxMoments*1e6))
	all := make([]moment, 1+end/step)
	h, in := hdrhistogram.New(1, highest, 3), int64(0)
	flush := func() {
		if h.TotalCount() > 0 {
			m := &all[in]
			m.P50, m.P99, m.Max = at(h, 50), at(h, 99), millis(h.Max())
			h.Reset()
		}
	}
	for i, arrived := range r.arrived[:sent] {
		meant := r.intended(i)
		if k := meant / step; k != in {
			flush()
			in = k
		}
		all[in].Sent++
		if arrived > 0 {
			note(h, arrived-meant)
			all[arrived/step].Results++
		}
	}
	flush()
	for i := range all {
		all[i].AtSeconds = float64(int64(i)*step) / 1e6
	}
	return all
}

func note(h *hdrhistogram.Histogram, micros int64) {
	_ = h.RecordValue(min(max(1, micros), highest)) // it is within the range
}

func at(h *hdrhistogram.Histogram, percentile float64) float64 {
	return millis(h.ValueAtQuantile(percentile))
}

func millis(micros int64) float64 { return float64(micros) / 1e3 }

func (l *loadReport) print(w io.Writer) {
	fmt.Fprintf(w, "%d of %d calls sent at %g a second (the latest left %.1f ms late), %d duplicates, %d not stored\n",
		l.Sent, l.Count, l.Rate, l.MaxLagMs, l.Duplicates, l.NotStored)
	fmt.Fprintf(w, "%d results, %.1f a second; %d missing\n\n", l.Results, l.ResultRate, l.Missing)
	ms := func(v float64) string { return strconv.FormatFloat(v, 'f', 1, 64) + " ms" }
	t := l.Latency
	cli.Table(w, [][]string{
		{"PUSH TO RESULT", "MEAN", "P50", "P90", "P99", "P99.9", "MAX"},
		{"", ms(t.Mean), ms(t.P50), ms(t.P90), ms(t.P99), ms(t.P999), ms(t.Max)},
	})
	rows := [][]string{{"OUTCOME", "REASON", "COUNT"}}
	for _, o := range l.Outcomes {
		rows = append(rows, []string{o.Outcome, o.Reason, strconv.Itoa(o.Count)})
	}
	if len(l.Outcomes) > 0 {
		fmt.Fprintln(w)
	}
	cli.Table(w, rows)
}

// fault is what of a run has failed; a call that ended as failed has not.
func (l *loadReport) fault() error {
	switch {
	case l.NotStored > 0:
		return fmt.Errorf("%d pushes are not stored, the last because of: %w", l.NotStored, l.refusal)
	case l.Missing > 0:
		return fmt.Errorf("%d of %d calls have no result; is a worker running? see voipctl audit", l.Missing, l.Sent)
	case l.Second > 0:
		return fmt.Errorf("%d calls have more than one result; see voipctl audit", l.Second)
	}
	return nil
}
