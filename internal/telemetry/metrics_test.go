package telemetry

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"
	dto "github.com/prometheus/client_model/go"
)

var update = flag.Bool("update", false, "write the golden files again")

func labels() Labels {
	return Labels{
		Pushes:      []PushLabel{{"reported", "ERROR_NONE"}, {"failed", "INVALID_CALL"}, {"expired", "EXPIRED"}},
		Outcomes:    []string{"reported", "failed", "expired"},
		Attempts:    []string{"ERROR_NONE", "INVALID_CALL"},
		DeadLetters: []string{"INVALID_CALL"},
		Avatars:     []AvatarLabel{{"ok", ""}, {"none", ""}, {"fallback", "timeout"}},
		AvatarCache: []string{"hit", "miss"},
		Stages:      []string{"avatar", "report"},
	}
}

func TestMetricsAtStart(t *testing.T) {
	got := strings.Join(series(t, NewMetrics(labels())), "\n") + "\n"
	golden := filepath.Join("testdata", "start.golden")
	if *update {
		if err := os.WriteFile(golden, []byte(got), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("the metrics have changed (-update writes them):\ngot\n%swant\n%s", got, want)
	}
}

func TestMetricsPassTheLint(t *testing.T) {
	problems, err := testutil.GatherAndLint(NewMetrics(labels()).registry)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		t.Errorf("%s: %s", p.Metric, p.Text)
	}
}

func TestRuntimeAndProcessAreThere(t *testing.T) {
	n, err := testutil.GatherAndCount(NewMetrics(Labels{}).registry, "go_goroutines", "process_open_fds")
	if err != nil || n != 2 {
		t.Errorf("got %d of 2, %v", n, err)
	}
}

// TestEachMethodMovesItsSeries also shows that no other series moves.
func TestEachMethodMovesItsSeries(t *testing.T) {
	tests := []struct {
		name string
		call func(*Metrics)
		want []string
	}{
		{"Outcome", func(m *Metrics) { m.Outcome("reported", "ERROR_NONE", 3*time.Millisecond) }, []string{
			`counter voip_pushes_total{outcome="reported",reason="ERROR_NONE"} 1`,
			`histogram voip_call_latency_seconds{outcome="reported"} count 1 sum 0.003 buckets 15`,
		}},
		{"Outcome of a new reason", func(m *Metrics) { m.Outcome("failed", "NEW", time.Second) }, []string{
			`counter voip_pushes_total{outcome="failed",reason="unknown"} 1`,
			`histogram voip_call_latency_seconds{outcome="failed"} count 1 sum 1 buckets 15`,
		}},
		{"Outcome of a new pair", func(m *Metrics) { m.Outcome("expired", "INVALID_CALL", 0) }, []string{
			`counter voip_pushes_total{outcome="expired",reason="INVALID_CALL"} 1`,
			`histogram voip_call_latency_seconds{outcome="expired"} count 1 sum 0 buckets 15`,
		}},
		{"Outcome that is new", func(m *Metrics) { m.Outcome("\xff", "\xff", -time.Second) }, []string{
			`counter voip_pushes_total{outcome="unknown",reason="unknown"} 1`,
			`histogram voip_call_latency_seconds{outcome="unknown"} count 1 sum 0 buckets 15`,
		}},
		{"Attempt", func(m *Metrics) { m.Attempt("INVALID_CALL") }, []string{`counter voip_report_attempts_total{reason="INVALID_CALL"} 1`}},
		{"Attempt of a new reason", func(m *Metrics) { m.Attempt("NEW") }, []string{`counter voip_report_attempts_total{reason="unknown"} 1`}},
		{"DeadLetter", func(m *Metrics) { m.DeadLetter("INVALID_CALL") }, []string{`counter voip_dead_letters_total{reason="INVALID_CALL"} 1`}},
		{"Duplicate", (*Metrics).Duplicate, []string{`counter voip_duplicates_total{} 1`}},
		{"PushWithoutID", (*Metrics).PushWithoutID, []string{`counter voip_pushes_without_id_total{} 1`}},
		{"Redelivery", (*Metrics).Redelivery, []string{`counter voip_redeliveries_total{} 1`}},
		{"Avatar", func(m *Metrics) { m.Avatar("ok", "") }, []string{`counter voip_avatars_total{reason="",status="ok"} 1`}},
		{"Avatar of a new reason", func(m *Metrics) { m.Avatar("fallback", "new") }, []string{`counter voip_avatars_total{reason="unknown",status="fallback"} 1`}},
		{"AvatarCache", func(m *Metrics) { m.AvatarCache("hit") }, []string{`counter voip_avatar_cache_total{result="hit"} 1`}},
		{"Stage", func(m *Metrics) { m.Stage("avatar", 20*time.Millisecond) }, []string{
			`histogram voip_stage_duration_seconds{stage="avatar"} count 1 sum 0.02 buckets 15`,
		}},
		{"PermissionRefused", (*Metrics).PermissionRefused, []string{`counter voip_permissions_refused_total{} 1`}},
		{"Oldest", func(m *Metrics) { m.Oldest(90 * time.Second) }, []string{`gauge voip_oldest_call_seconds{} 90`}},
		{"Oldest by a clock that is behind", func(m *Metrics) { m.Oldest(-time.Second) }, nil},
		{"Queue", func(m *Metrics) { m.Queue(3, 2) }, []string{`gauge voip_queue_pushes{state="held"} 2`, `gauge voip_queue_pushes{state="waiting"} 3`}},
		{"InFlight", func(m *Metrics) { m.InFlight(7); m.InFlight(5) }, []string{`gauge voip_calls_in_flight{} 5`}},
		{"CircuitOpen", func(m *Metrics) { m.CircuitOpen(true) }, []string{`gauge voip_report_circuit_open{} 1`}},
		{"CircuitOpen and shut", func(m *Metrics) { m.CircuitOpen(true); m.CircuitOpen(false) }, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			m := NewMetrics(labels())
			before := series(t, m)
			tt.call(m)
			got := slices.DeleteFunc(series(t, m), func(s string) bool { return slices.Contains(before, s) })
			if slices.Sort(tt.want); !slices.Equal(got, tt.want) {
				t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(tt.want, "\n"))
			}
		})
	}
}

// Each condition has a series from the start, which follows it.
func TestConditionsAreShown(t *testing.T) {
	m, h := NewMetrics(labels()), NewHealth("nats", "pulling")
	m.Conditions(h)
	ready := func() []string {
		return slices.DeleteFunc(series(t, m), func(s string) bool { return !strings.Contains(s, "voip_ready{") })
	}
	starting := []string{`gauge voip_ready{condition="nats"} 0`, `gauge voip_ready{condition="pulling"} 0`}
	if got := ready(); !slices.Equal(got, starting) {
		t.Errorf("got %q, want %q", got, starting)
	}
	h.Set("nats", nil)
	h.Set("pulling", nil)
	h.Set("pulling", errNothing)
	if got, want := ready(), []string{`gauge voip_ready{condition="nats"} 1`, starting[1]}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestHotPathAllocatesNothing(t *testing.T) {
	m := NewMetrics(labels())
	if n := testing.AllocsPerRun(100, func() { everyMethod(m) }); n != 0 {
		t.Errorf("got %v allocations", n)
	}
}

func BenchmarkMetrics(b *testing.B) {
	m := NewMetrics(labels())
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			everyMethod(m)
		}
	})
}

func everyMethod(m *Metrics) {
	m.Outcome("reported", "ERROR_NONE", 4*time.Millisecond)
	m.Attempt("ERROR_NONE")
	m.DeadLetter("INVALID_CALL")
	m.Avatar("fallback", "timeout")
	m.AvatarCache("hit")
	m.Stage("report", 2*time.Millisecond)
	m.Duplicate()
	m.PushWithoutID()
	m.Redelivery()
	m.PermissionRefused()
	m.InFlight(12)
	m.Oldest(time.Second)
	m.Queue(3, 2)
	m.CircuitOpen(true)
}

// series are the worker's own series, a line each, sorted. What differs from
// one build to the next is left out.
func series(t *testing.T, m *Metrics) []string {
	t.Helper()
	families, err := m.registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	var lines []string
	for _, f := range families {
		if !strings.HasPrefix(f.GetName(), "voip_") {
			continue
		}
		for _, s := range f.GetMetric() {
			lines = append(lines, fmt.Sprintf("%s %s{%s} %s",
				strings.ToLower(f.GetType().String()), f.GetName(), labelText(s), valueText(s)))
		}
	}
	slices.Sort(lines)
	return lines
}

func labelText(s *dto.Metric) string {
	parts := make([]string, 0, len(s.GetLabel()))
	for _, l := range s.GetLabel() {
		value := l.GetValue()
		if slices.Contains([]string{"version", "commit", "go_version"}, l.GetName()) {
			value = "…"
		}
		parts = append(parts, fmt.Sprintf("%s=%q", l.GetName(), value))
	}
	return strings.Join(parts, ",")
}

func valueText(s *dto.Metric) string {
	if h := s.GetHistogram(); h != nil {
		return fmt.Sprintf("count %d sum %v buckets %d", h.GetSampleCount(), h.GetSampleSum(), len(h.GetBucket()))
	}
	return fmt.Sprint(s.GetCounter().GetValue() + s.GetGauge().GetValue())
}
