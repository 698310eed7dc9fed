package telemetry

import (
	"io"
	"log/slog"
	"net/http"
	"slices"
	"strings"

	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// maxScrapes bounds the scrapes that are answered at the same time.
const maxScrapes = 4

// routes answers GET and HEAD on three paths; other methods are 405, other
// paths 404.
func routes(health *Health, metrics *Metrics, log *slog.Logger) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /livez", func(w http.ResponseWriter, _ *http.Request) {
		answer(w, "alive", "not alive", health.Alive(), nil)
	})
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, _ *http.Request) {
		answer(w, "ready", "not ready", health.Ready(), health.Notes())
	})
	mux.Handle("GET /metrics", promhttp.HandlerFor(metrics.registry, promhttp.HandlerOpts{
		ErrorLog:            slog.NewLogLogger(log.Handler(), slog.LevelError),
		ErrorHandling:       promhttp.ContinueOnError,
		MaxRequestsInFlight: maxScrapes,
	}))
	return mux
}

// answer writes the verdict, then a line for each thing that is wrong, then the
// notes.
func answer(w http.ResponseWriter, good, bad string, err error, notes []string) {
	status, verdict := http.StatusOK, good
	if err != nil {
		status, verdict = http.StatusServiceUnavailable, bad+"\n"+err.Error()
	}
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(status)
	_, _ = io.WriteString(w, strings.Join(slices.Concat([]string{verdict}, notes), "\n")+"\n") // a prober that has gone needs no answer
}
