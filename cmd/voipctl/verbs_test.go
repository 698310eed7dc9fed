package main

import (
	"testing"

	"github.com/voip-push/worker/cmd/internal/cli"
	"github.com/voip-push/worker/cmd/internal/clitest"
)

// TestVerbsRefuse: every verb against every broker that is not as it should be.
func TestVerbsRefuse(t *testing.T) {
	clitest.Refuse(t, newRoot, []clitest.Verb{
		{Line: "watch", Stream: "VOIP_RESULT", Subject: "voip.report.result", Listens: true},
		{Line: "watch --since 1h", Stream: "VOIP_RESULT", Subject: "$JS.API.CONSUMER.CREATE.VOIP_RESULT.>"},
		{Line: "explain c", Stream: "KV_VOIP_CALLS", Subject: "$JS.API.STREAM.MSG.GET.KV_VOIP_CALLS", Empty: "nothing is known of call c: it has no record", EmptyCode: cli.Failed},
		{Line: "explain c --since 1h", Stream: "KV_VOIP_CALLS", Subject: "$JS.API.CONSUMER.CREATE.VOIP_PUSH.>", Empty: "nothing is known of call c in the last 1h0m0s", EmptyCode: cli.Failed},
		{Line: "cancel c", Stream: "VOIP_CANCEL", Subject: "voip.cancel", Blind: true, Empty: "cancelled c\n"},
		{Line: "audit", Stream: "VOIP_PUSH", Subject: "$JS.API.CONSUMER.CREATE.VOIP_PUSH.>", Empty: "0 pushes and 0 results in the last 10m0s"},
		{Line: "dlq list", Stream: "VOIP_DLQ", Subject: "$JS.API.CONSUMER.CREATE.VOIP_DLQ.>", Empty: "0 dead letters\n"},
		{Line: "dlq show 1", Stream: "VOIP_DLQ", Subject: "$JS.API.STREAM.MSG.GET.VOIP_DLQ", Empty: "there is no dead letter 1", EmptyCode: cli.Failed},
		{Line: "dlq show --call-id c", Stream: "VOIP_DLQ", Subject: "$JS.API.CONSUMER.CREATE.VOIP_DLQ.>", Empty: "there is no such dead letter", EmptyCode: cli.Failed},
		{Line: "dlq redrive --dry-run", Stream: "VOIP_DLQ", Subject: "$JS.API.CONSUMER.CREATE.VOIP_DLQ.>", Empty: "0 of 0 dead letters can be redriven\n"},
		{Line: "dlq redrive --extend 1m", Stream: "VOIP_DLQ", Subject: "$JS.API.STREAM.MSG.GET.VOIP_DLQ", Empty: "0 redriven\n"},
		{Line: "dlq purge --force", Stream: "VOIP_DLQ", Subject: "$JS.API.STREAM.PURGE.VOIP_DLQ", Empty: "0 dead letters match\n0 deleted\n"},
		{Line: "dlq purge --force --max 1", Stream: "VOIP_DLQ", Subject: "$JS.API.STREAM.MSG.DELETE.VOIP_DLQ", Empty: "0 dead letters match\n0 deleted\n"},
		{Line: "callkit --nats", Subject: "voip.callkit.report", Listens: true},
	})
}
