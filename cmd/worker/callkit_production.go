//go:build production

package main

import "github.com/voip-push/worker/internal/report"

// hasCallKit says whether this build holds the model of Call Kit; withoutURL is
// for the help.
const (
	hasCallKit = false
	withoutURL = "NATS_URL and REPORT_TRANSPORT must be set: this build holds neither a broker nor\na model of Call Kit."
	orCallKit  = ""
)

// inProcess is never reached: the settings refuse it.
func inProcess() report.Transport { return nil }
