package main

import (
	"context"
	"encoding/json"
	"path"
	"strings"
	"time"

	"github.com/nats-io/nats.go/micro"

	"github.com/voip-push/worker/internal/service"
	"github.com/voip-push/worker/internal/telemetry"
	"github.com/voip-push/worker/internal/voip"
)

// What `nats service list` shows of a worker.
const (
	serviceName        = "voip-worker"
	serviceDescription = "consumes VoIP pushes and reports their calls to Call Kit"
	serviceEndpoint    = "push"
)

// announce lets the worker show among the NATS micro services, with the pushes
// that it takes as its endpoint. It is a convenience: without permission for
// $SRV.> the server refuses it, the log says so, and the worker works.
func (w *worker) announce(ctx context.Context) {
	s := service.New(w.serviceInfo(), w.serviceStats)
	if err := s.Start(w.nc); err != nil {
		w.log.WarnContext(ctx, "cannot show as a NATS micro service", "error", err)
		return
	}
	w.onStop("micro service", func(context.Context) error { return s.Stop() })
}

func (w *worker) serviceInfo() micro.Info {
	version, commit, _ := telemetry.Build()
	return micro.Info{
		// The ID becomes a token of a subject: the host's name may hold dots.
		ServiceIdentity: micro.ServiceIdentity{
			Name: serviceName, ID: path.Base(w.id), Version: semantic(version),
			Metadata: map[string]string{
				"worker": w.id, "commit": commit, "stream": voip.StreamPush, "consumer": voip.ConsumerWorkers,
				"transport": w.cfg.Report.Transport, "claim": w.cfg.Call.Claim,
			},
		},
		Description: serviceDescription,
		Endpoints:   []micro.EndpointInfo{{Name: serviceEndpoint, Subject: voip.SubjectPush, QueueGroup: voip.ConsumerWorkers}},
	}
}

// semantic is a version as micro services have it: without a v, and of a build
// that nobody gave one 0.0.0.
func semantic(version string) string {
	version = strings.TrimPrefix(version, "v")
	if version == "" || version[0] < '0' || version[0] > '9' {
		return "0.0.0-" + version
	}
	return version
}

// serviceStats count a result as a request, a failed call as an error, and the
// time from push to result as its processing.
func (w *worker) serviceStats() []*micro.EndpointStats {
	s := &micro.EndpointStats{Name: serviceEndpoint, Subject: voip.SubjectPush, QueueGroup: voip.ConsumerWorkers}
	t, err := w.metrics.Totals()
	if err != nil {
		s.LastError = err.Error()
		return []*micro.EndpointStats{s}
	}
	for outcome, n := range t.Outcomes {
		s.NumRequests += int(n)
		if outcome == string(voip.Failed) {
			s.NumErrors += int(n)
		}
	}
	s.ProcessingTime = t.Took
	s.AverageProcessingTime = t.Took / time.Duration(max(1, s.NumRequests))
	if s.Data, err = json.Marshal(t); err != nil {
		s.LastError = err.Error()
	}
	return []*micro.EndpointStats{s}
}
