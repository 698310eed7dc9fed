// Package clitest is what the tests of the three commands share: how a command
// line is run, how its help is held against docs/cli, and what each of its verbs
// says when the broker is not as it should be.
package clitest

import (
	"bytes"
	"context"
	"slices"
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

// Offer is what a shell offers for the beginning of a command line, separated
// by spaces: nothing else, and no files.
type Offer struct{ Line, Want string }

// Complete checks that each shell gets a script that knows the command, and
// what is offered.
func Complete(t *testing.T, newRoot func() *cobra.Command, offers ...Offer) {
	t.Helper()
	name := newRoot().Name()
	for shell, want := range map[string]string{"bash": "__start_" + name, "zsh": "#compdef " + name, "fish": "complete -c " + name} {
		if ended := Run(t.Context(), newRoot(), "", "completion", shell); ended.Code != cli.Done || !strings.Contains(ended.Stdout, want) {
			t.Errorf("%s: no %q: %+v", shell, want, ended)
		}
	}
	for _, o := range offers {
		ended := Run(t.Context(), newRoot(), "", append([]string{cobra.ShellCompRequestCmd}, strings.Fields(o.Line)...)...)
		var got []string
		for line := range strings.Lines(ended.Stdout) {
			value, _, _ := strings.Cut(strings.TrimSpace(line), "\t") // its description
			got = append(got, value)
		}
		want := append(strings.Fields(o.Want), ":4") // ShellCompDirectiveNoFileComp
		if ended.Code != cli.Done || !slices.Equal(got, want) {
			t.Errorf("%s: offers %q, want %q", o.Line, got, want)
		}
	}
}
