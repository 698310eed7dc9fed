package telemetry

import (
	"maps"
	"slices"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
)

// Conditions shows the conditions of readiness as they are when somebody looks.
// It is called once, when h has all of its conditions.
func (m *Metrics) Conditions(h *Health) {
	h.mu.Lock()
	names := slices.Sorted(maps.Keys(h.conditions))
	h.mu.Unlock()
	for _, name := range names {
		promauto.With(m.registry).NewGaugeFunc(prometheus.GaugeOpts{
			Name: "voip_ready", Help: "1 while a condition of readiness holds.", ConstLabels: prometheus.Labels{"condition": name},
		}, func() float64 { return h.holds(name) })
	}
}

func (h *Health) holds(name string) float64 {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.conditions[name] == nil {
		return 1
	}
	return 0
}
