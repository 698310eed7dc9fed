package main

import (
	"testing"

	"github.com/voip-push/worker/cmd/internal/clitest"
)

func TestCompletion(t *testing.T) {
	t.Parallel()
	clitest.Complete(t, newRoot,
		clitest.Offer{Line: "lo", Want: "load"},
		clitest.Offer{Line: "send --direction i", Want: "outgoing incoming"}, // the shell chooses
		clitest.Offer{Line: "load --du", Want: "--duplicates --duration"},
	)
}
