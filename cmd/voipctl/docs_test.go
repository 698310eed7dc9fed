package main

import (
	"testing"

	"github.com/voip-push/worker/cmd/internal/cli"
	"github.com/voip-push/worker/internal/testkit"
)

// TestDocs: the page in docs/cli is the help of the commands.
func TestDocs(t *testing.T) {
	t.Parallel()
	page, err := cli.Markdown(newRoot())
	if err != nil {
		t.Fatal(err)
	}
	testkit.Golden(t, "../../../docs/cli/voipctl.md", page)
}
