//go:build !production

package main

import (
	"github.com/voip-push/worker/internal/callkit"
	"github.com/voip-push/worker/internal/report"
)

// hasCallKit says whether this build holds the model of Call Kit; withoutURL is
// for the help.
const (
	hasCallKit = true
	withoutURL = "Without NATS_URL it runs the embedded broker and the model of Call Kit."
	orCallKit  = " (or callkit, a model of it for development)"
)

func inProcess() report.Transport { return callkit.New(callkit.Options{}) }
