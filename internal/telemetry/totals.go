package telemetry

import (
	"fmt"
	"time"

	dto "github.com/prometheus/client_model/go"
)

// Totals are what a worker has counted so far, for who asks it without
// scraping it. Names that were never counted are left out.
type Totals struct {
	Outcomes     map[string]uint64 `json:"outcomes"`
	Reasons      map[string]uint64 `json:"reasons"`
	DeadLetters  map[string]uint64 `json:"deadLetters"`
	Duplicates   uint64            `json:"duplicates"`
	Redeliveries uint64            `json:"redeliveries"`
	InFlight     int               `json:"inFlight"`
	CircuitOpen  bool              `json:"circuitOpen"`

	// Took is the time from push to result, of all of them together.
	Took time.Duration `json:"-"`
}

// Totals reads the metrics: nothing is counted twice for its sake.
func (m *Metrics) Totals() (*Totals, error) {
	families, err := m.registry.Gather()
	if err != nil {
		return nil, fmt.Errorf("read the metrics: %w", err)
	}
	t := &Totals{Outcomes: map[string]uint64{}, Reasons: map[string]uint64{}, DeadLetters: map[string]uint64{}}
	for _, f := range families {
		for _, series := range f.GetMetric() {
			t.add(f.GetName(), series)
		}
	}
	return t, nil
}

func (t *Totals) add(name string, series *dto.Metric) {
	n := uint64(series.GetCounter().GetValue())
	switch name {
	case "voip_pushes_total":
		sum(t.Outcomes, label(series, "outcome"), n)
		sum(t.Reasons, label(series, "reason"), n)
	case "voip_dead_letters_total":
		sum(t.DeadLetters, label(series, "reason"), n)
	case "voip_call_latency_seconds":
		t.Took += time.Duration(series.GetHistogram().GetSampleSum() * float64(time.Second))
	case "voip_duplicates_total":
		t.Duplicates = n
	case "voip_redeliveries_total":
		t.Redeliveries = n
	case "voip_calls_in_flight":
		t.InFlight = int(series.GetGauge().GetValue())
	case "voip_report_circuit_open":
		t.CircuitOpen = series.GetGauge().GetValue() > 0
	}
}

func sum(into map[string]uint64, name string, n uint64) {
	if n > 0 {
		into[name] += n
	}
}

func label(series *dto.Metric, name string) string {
	for _, l := range series.GetLabel() {
		if l.GetName() == name {
			return l.GetValue()
		}
	}
	return ""
}
