// Package cli is what the three commands have in common: exit codes, and how a
// wrong use is told from a failure.
package cli

import (
	"errors"
	"os"

	"github.com/spf13/cobra"
)

// Exit codes.
const (
	Done   = 0
	Failed = 1
	Misuse = 2
)

// usageError is a wrong use of the command line.
type usageError struct{ err error }

func (e *usageError) Error() string { return e.err.Error() }
func (e *usageError) Unwrap() error { return e.err }

// Usage marks an error as a wrong use of the command line.
func Usage(err error) error {
	if err == nil {
		return nil
	}
	return &usageError{err}
}

// exitCode is 0 for nil, 2 for a wrong use, else 1.
func exitCode(err error) int {
	if err == nil {
		return Done
	}
	if _, ok := errors.AsType[*usageError](err); ok {
		return Misuse
	}
	return Failed
}

// Root prepares a root command: errors are printed once, by main, and neither
// they nor wrong flags bring the whole help with them.
func Root(c *cobra.Command) *cobra.Command {
	c.SilenceErrors, c.SilenceUsage = true, true
	c.CompletionOptions.SetDefaultShellCompDirective(cobra.ShellCompDirectiveNoFileComp)
	c.SetOut(os.Stdout)
	c.SetErr(os.Stderr)
	c.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return Usage(errors.New(err.Error() + "; see " + cmd.CommandPath() + " --help"))
	})
	return c
}

// strict makes every command of the tree say a wrong number of arguments, or a
// command that does not exist, as a wrong use.
func strict(c *cobra.Command) {
	if args := c.Args; args != nil {
		c.Args = func(cmd *cobra.Command, a []string) error { return Usage(args(cmd, a)) }
	}
	for _, sub := range c.Commands() {
		strict(sub)
	}
}
