// Package clitest is what the tests of the three commands share: how a command
// line is run, how its help is held against docs/cli, and what each of its verbs
// says when the broker is not as it should be.
package clitest

import (
	"bytes"
	"context"
	"strings"
	"testing"

	"github.com/spf13/cobra"

	"github.com/voip-push/worker/cmd/internal/cli"
	"github.com/voip-push/worker/internal/testkit"
)

// Ended is what a command line came to.
type Ended struct {
	Code           int
	Stdout, Stderr string
}

// Run runs a command line until it ends, or ctx does.
func Run(ctx context.Context, root *cobra.Command, stdin string, args ...string) Ended {
	var out, errs bytes.Buffer
	root.SetOut(&out)
	root.SetErr(&errs)
	root.SetIn(strings.NewReader(stdin))
	root.SetArgs(args)
	code := cli.Execute(ctx, root)
	return Ended{code, out.String(), errs.String()}
}

// Docs compares the page in docs/cli with the help of the command.
func Docs(t *testing.T, root *cobra.Command) {
	t.Helper()
	page, err := cli.Markdown(root)
	if err != nil {
		t.Fatal(err)
	}
	testkit.Golden(t, "../../../docs/cli/"+root.Name()+".md", page)
}
