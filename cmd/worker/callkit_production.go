//go:build production

package main

import "github.com/voip-push/worker/internal/report"

// hasCallKit says whether this build holds the model of Call Kit.
const (
	hasCallKit = false
	orCallKit  = ""
)

// inProcess is never reached: the settings refuse it.
func inProcess() report.Transport { return nil }
