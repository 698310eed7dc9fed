package main

import (
	"context"
	"fmt"

	"github.com/voip-push/worker/internal/consumer"
	"github.com/voip-push/worker/internal/report"
	"github.com/voip-push/worker/internal/telemetry"
)

// reportStage makes the report stage with the transport that is asked for.
func (w *worker) reportStage() (*report.Stage, error) {
	t := w.transport
	if t == nil {
		var err error
		if t, err = w.newTransport(); err != nil {
			return nil, err
		}
	}
	stage, err := report.New(w.cfg.report(), w.traced(t), circuit{w.metrics, w.health}, w.log)
	if err != nil {
		return nil, fmt.Errorf("set up the report stage: %w", err)
	}
	return stage, nil
}

// circuit tells of the report stage's circuit where operators look: an open one
// is no reason to be unready, for calls are held and outcomes published on time.
type circuit struct {
	*telemetry.Metrics

	health *telemetry.Health
}

func (c circuit) CircuitOpen(open bool) {
	c.Metrics.CircuitOpen(open)
	text := ""
	if open {
		text = "the circuit is open: the bridge cannot be reached or refuses this worker; calls are held until it answers or their deadlines end"
	}
	c.health.Note("report", text)
}

// newTransport is the way to Call Kit's side that REPORT_TRANSPORT names.
func (w *worker) newTransport() (report.Transport, error) {
	r := &w.cfg.Report
	switch r.Transport {
	case transportNATS:
		return report.NewNATS(w.nc, r.Subject, w.log), nil
	case transportHTTP:
		t, err := report.NewHTTP(report.HTTPConfig{URL: r.URL, TokenFile: r.TokenFile, CAFile: r.CaFile, Concurrency: r.Concurrency}, w.log)
		if err != nil {
			return nil, err
		}
		w.onStop("bridge connections", func(context.Context) error { t.Close(); return nil })
		return t, nil
	default:
		return inProcess(), nil
	}
}

// connector is the connection step; nil when there is none.
func (w *worker) connector() (consumer.Connector, error) {
	if w.cfg.Connect.Subject == "" {
		return nil, nil
	}
	c, err := report.NewConnector(w.cfg.report(), w.nc, w.cfg.Connect.Subject, w.log)
	if err != nil {
		return nil, fmt.Errorf("set up the connection step: %w", err)
	}
	return w.tracedConnector(c), nil
}
