package main

import (
	"testing"

	"github.com/voip-push/worker/cmd/internal/cli"
	"github.com/voip-push/worker/cmd/internal/clitest"
)

// TestVerbsRefuse: every verb against every broker that is not as it should be.
func TestVerbsRefuse(t *testing.T) {
	const nobodyWorks = "--count 1 --timeout 1ms"
	clitest.Refuse(t, newRoot, []clitest.Verb{
		{Line: "send", Stream: "VOIP_PUSH", Subject: "voip.push", Blind: true},
		{Line: "send --wait", Stream: "VOIP_PUSH", Subject: "voip.report.result", Listens: true, Blind: true},
		{Line: "load " + nobodyWorks, Stream: "VOIP_PUSH", Subject: "voip.push", Empty: "1 of 1 calls have no result", EmptyCode: cli.Failed},
		{Line: "load " + nobodyWorks, Stream: "VOIP_PUSH", Subject: "voip.report.result", Listens: true},
	})
}
