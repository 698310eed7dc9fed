//go:build !production

package main

import (
	"testing"

	"github.com/voip-push/worker/cmd/internal/clitest"
)

// TestDocs: the page in docs/cli is the help of the commands. The production build
// differs in its demo alone.
func TestDocs(t *testing.T) {
	t.Parallel()
	clitest.Docs(t, newRoot())
}

func TestCompletion(t *testing.T) {
	t.Parallel()
	clitest.Complete(t, newRoot, clitest.Offer{Line: "pro", Want: "provision"}, clitest.Offer{Line: "provision --d", Want: "--dry-run"})
}
