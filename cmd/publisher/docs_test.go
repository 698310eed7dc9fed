package main

import (
	"testing"

	"github.com/voip-push/worker/cmd/internal/clitest"
)

// TestDocs: the page in docs/cli is the help of the commands.
func TestDocs(t *testing.T) {
	t.Parallel()
	clitest.Docs(t, newRoot())
}
