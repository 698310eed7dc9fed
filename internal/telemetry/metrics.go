package telemetry

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promauto"
)

// Labels are the label values that exist from the start, at zero. Every other
// value is counted as Unknown.
type Labels struct {
	Pushes      []PushLabel // the pairs that can occur together
	Outcomes    []string
	Attempts    []string // reasons
	DeadLetters []string // reasons
	Avatars     []AvatarLabel
	AvatarCache []string // results of a lookup
	Stages      []string
}

// PushLabel is how a push can end.
type PushLabel struct{ Outcome, Reason string }

// AvatarLabel is how an avatar can end; the reason may be empty.
type AvatarLabel struct{ Status, Reason string }

// Metrics are a worker's metrics, on a registry of their own. The methods may
// be called from any goroutine and, for known label values, allocate nothing.
type Metrics struct {
	registry *prometheus.Registry

	pushes       pairFamily[prometheus.Counter]
	latency      family[prometheus.Observer]
	attempts     family[prometheus.Counter]
	deadLetters  family[prometheus.Counter]
	avatars      pairFamily[prometheus.Counter]
	avatarCache  family[prometheus.Counter]
	stages       family[prometheus.Observer]
	duplicates   prometheus.Counter
	withoutID    prometheus.Counter
	redeliveries prometheus.Counter
	refusals     prometheus.Counter
	inFlight     prometheus.Gauge
	oldest       prometheus.Gauge
	circuitOpen  prometheus.Gauge
	waiting      prometheus.Gauge
	held         prometheus.Gauge
}

// NewMetrics registers every metric, and the Go runtime's and the process's.
func NewMetrics(l Labels) *Metrics {
	registry := prometheus.NewRegistry()
	registry.MustRegister(
		collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
	)
	m := &Metrics{registry: registry}
	f := promauto.With(registry)
	m.registerOutcomes(f, l)
	m.registerStages(f, l)
	m.registerFlow(f)
	m.registerQueue(f)
	registerBuild(f)
	return m
}

func (m *Metrics) registerOutcomes(f promauto.Factory, l Labels) {
	pushes := make([]pair, len(l.Pushes))
	for i, p := range l.Pushes {
		pushes[i] = pair{p.Outcome, p.Reason}
	}
	m.pushes = newPairFamily(f.NewCounterVec(prometheus.CounterOpts{
		Name: "voip_pushes_total", Help: "Pushes that ended, one for each result.",
	}, []string{"outcome", "reason"}).WithLabelValues, pushes)
	m.latency = newFamily(f.NewHistogramVec(prometheus.HistogramOpts{
		Name: "voip_call_latency_seconds", Help: "Time from the push being stored to its result being stored.",
		Buckets: buckets(),
	}, []string{"outcome"}).WithLabelValues, l.Outcomes)
	m.deadLetters = newFamily(f.NewCounterVec(prometheus.CounterOpts{
		Name: "voip_dead_letters_total", Help: "Dead letters stored.",
	}, []string{"reason"}).WithLabelValues, l.DeadLetters)
}

func (m *Metrics) registerStages(f promauto.Factory, l Labels) {
	avatars := make([]pair, len(l.Avatars))
	for i, a := range l.Avatars {
		avatars[i] = pair{a.Status, a.Reason}
	}
	m.attempts = newFamily(f.NewCounterVec(prometheus.CounterOpts{
		Name: "voip_report_attempts_total", Help: "Attempts to report a call, by what each ended with.",
	}, []string{"reason"}).WithLabelValues, l.Attempts)
	m.avatars = newPairFamily(f.NewCounterVec(prometheus.CounterOpts{
		Name: "voip_avatars_total", Help: "Avatars prepared, the default picture included.",
	}, []string{"status", "reason"}).WithLabelValues, avatars)
	m.avatarCache = newFamily(f.NewCounterVec(prometheus.CounterOpts{
		Name: "voip_avatar_cache_total", Help: "Lookups in the avatar cache.",
	}, []string{"result"}).WithLabelValues, l.AvatarCache)
	m.stages = newFamily(f.NewHistogramVec(prometheus.HistogramOpts{
		Name: "voip_stage_duration_seconds", Help: "Time that a call spent in a stage.",
		Buckets: buckets(),
	}, []string{"stage"}).WithLabelValues, l.Stages)
}

func (m *Metrics) registerFlow(f promauto.Factory) {
	m.duplicates = f.NewCounter(prometheus.CounterOpts{
		Name: "voip_duplicates_total", Help: "Pushes of a callId that another push had claimed.",
	})
	m.withoutID = f.NewCounter(prometheus.CounterOpts{
		Name: "voip_pushes_without_id_total", Help: "Pushes without a callId, which can have no result.",
	})
	m.redeliveries = f.NewCounter(prometheus.CounterOpts{
		Name: "voip_redeliveries_total", Help: "Pushes that the broker delivered again.",
	})
	m.refusals = f.NewCounter(prometheus.CounterOpts{
		Name: "voip_permissions_refused_total", Help: "Publishes and subscriptions that NATS refused for want of a permission.",
	})
	m.inFlight = f.NewGauge(prometheus.GaugeOpts{
		Name: "voip_calls_in_flight", Help: "Calls that the worker holds, those waiting for a retry included.",
	})
	m.circuitOpen = f.NewGauge(prometheus.GaugeOpts{
		Name: "voip_report_circuit_open", Help: "1 while calls are held because the report stage cannot be reached.",
	})
	m.oldest = f.NewGauge(prometheus.GaugeOpts{
		Name: "voip_oldest_call_seconds", Help: "Age of the oldest call that the worker holds, since its push was stored; 0 when it holds none.",
	})
}

// The queue is the fleet's, and every worker tells the same of it: a maximum is
// meant to be taken, not a sum.
func (m *Metrics) registerQueue(f promauto.Factory) {
	queue := f.NewGaugeVec(prometheus.GaugeOpts{
		Name: "voip_queue_pushes", Help: "Pushes of the whole fleet: those that wait for a worker, and those that a worker holds.",
	}, []string{"state"})
	m.waiting, m.held = queue.WithLabelValues("waiting"), queue.WithLabelValues("held")
}

func registerBuild(f promauto.Factory) {
	version, commit, goVersion := Build()
	f.NewGaugeVec(prometheus.GaugeOpts{
		Name: "voip_build_info", Help: "What the binary was built from; always 1.",
	}, []string{"version", "commit", "go_version"}).WithLabelValues(version, commit, goVersion).Set(1)
}

// buckets reach from a stage that works in memory to the life of a call.
func buckets() []float64 {
	return []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60}
}

// Outcome counts a result and how long it took, from the push being stored to
// the result being stored.
func (m *Metrics) Outcome(outcome, reason string, latency time.Duration) {
	m.pushes.with(pair{outcome, reason}).Inc()
	observe(m.latency.with(outcome), latency)
}

// Attempt counts an attempt to report, by the reason that it ended with.
func (m *Metrics) Attempt(reason string) { m.attempts.with(reason).Inc() }

// DeadLetter counts a dead letter that was stored.
func (m *Metrics) DeadLetter(reason string) { m.deadLetters.with(reason).Inc() }

// Duplicate counts a push of a callId that another push had claimed.
func (m *Metrics) Duplicate() { m.duplicates.Inc() }

// PushWithoutID counts a push without a callId.
func (m *Metrics) PushWithoutID() { m.withoutID.Inc() }

// Redelivery counts a push that was delivered before.
func (m *Metrics) Redelivery() { m.redeliveries.Inc() }

// Avatar counts a picture that was prepared, or why it could not be.
func (m *Metrics) Avatar(status, reason string) { m.avatars.with(pair{status, reason}).Inc() }

// AvatarCache counts a lookup in the avatar cache.
func (m *Metrics) AvatarCache(result string) { m.avatarCache.with(result).Inc() }

// Stage notes how long a call spent in a stage.
func (m *Metrics) Stage(stage string, took time.Duration) { observe(m.stages.with(stage), took) }

// PermissionRefused counts what NATS refused to do for the worker.
func (m *Metrics) PermissionRefused() { m.refusals.Inc() }

// InFlight sets how many calls the worker holds.
func (m *Metrics) InFlight(n int) { m.inFlight.Set(float64(n)) }

// Oldest sets the age of the oldest call that the worker holds.
func (m *Metrics) Oldest(age time.Duration) { m.oldest.Set(max(age, 0).Seconds()) }

// Queue sets how many pushes wait for a worker, and how many workers hold.
func (m *Metrics) Queue(waiting, held int) {
	m.waiting.Set(float64(waiting))
	m.held.Set(float64(held))
}

// CircuitOpen sets whether the report stage's circuit is open.
func (m *Metrics) CircuitOpen(open bool) {
	if open {
		m.circuitOpen.Set(1)
		return
	}
	m.circuitOpen.Set(0)
}

// observe takes a negative time as none: clocks of two machines differ, and a
// sum that falls would look like a restart.
func observe(o prometheus.Observer, took time.Duration) { o.Observe(max(took, 0).Seconds()) }
