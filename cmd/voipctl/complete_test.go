package main

import (
	"strings"
	"testing"

	"github.com/voip-push/worker/cmd/internal/clitest"
	"github.com/voip-push/worker/internal/voip"
)

// TestCompletion: values are offered where there are few; of dead letters only
// the reasons that they can have.
func TestCompletion(t *testing.T) {
	t.Parallel()
	var results, dead []string
	for _, rule := range voip.Rules() {
		results = append(results, string(rule.Reason))
		if rule.Class != "" {
			dead = append(dead, string(rule.Reason))
		}
	}
	clitest.Complete(t, newRoot,
		clitest.Offer{Line: "dlq r", Want: "redrive"},
		clitest.Offer{Line: "dlq show f", Want: ""},
		clitest.Offer{Line: "dlq purge --dr", Want: "--dry-run"},
		clitest.Offer{Line: "watch --outcome e", Want: "reported failed expired cancelled"}, // the shell chooses
		clitest.Offer{Line: "watch --reason C", Want: strings.Join(results, " ")},
		clitest.Offer{Line: "dlq redrive --reason C", Want: strings.Join(dead, " ")},
	)
}
