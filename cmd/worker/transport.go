package main

import (
	"fmt"

	"github.com/voip-push/worker/internal/report"
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
	stage, err := report.New(w.cfg.report(), t, w.metrics, w.log)
	if err != nil {
		return nil, fmt.Errorf("set up the report stage: %w", err)
	}
	return stage, nil
}

func (w *worker) newTransport() (report.Transport, error) {
	switch w.cfg.Report.Transport {
	case transportNATS:
		return report.NewNATS(w.nc, w.cfg.Report.Subject), nil
	default:
		return inProcess(), nil
	}
}
