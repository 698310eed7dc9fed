package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/voip-push/worker/internal/telemetry"
)

// Main runs a command line until it is done or told to stop, prints what went
// wrong, and returns the exit code: 0 done, 1 failed, 2 usage. The first signal
// asks it to stop; from then on signals have their usual effect, so that a
// second one ends it at once.
func Main(root *cobra.Command) int {
	ctx, stop := context.WithCancelCause(context.Background())
	defer stop(nil)
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	go func() { // until the process ends
		first := <-signals
		// Before anyone hears of the first: who sees the stop may send the second.
		signal.Stop(signals)
		stop(errors.New(first.String() + " signal received"))
		raise(<-signals) // one that came at the same time; mostly none ever does
	}()
	return Execute(ctx, root)
}

// raise sends the process a signal that was caught too early.
func raise(s os.Signal) {
	if self, err := os.FindProcess(os.Getpid()); err == nil {
		_ = self.Signal(s) // it ends this process
	}
}

// Execute is Main under a context of the caller's.
func Execute(ctx context.Context, root *cobra.Command) int {
	strict(root)
	err := root.ExecuteContext(ctx)
	if err == nil {
		return Done
	}
	for line := range strings.SplitSeq(err.Error(), "\n") {
		fmt.Fprintln(root.ErrOrStderr(), root.Name()+": "+line)
	}
	return exitCode(err)
}

// Version is the command that prints the version of the binary of that name.
func Version(name string) *cobra.Command {
	return &cobra.Command{
		Use:     "version",
		Short:   "Print the version",
		Example: "  " + name + " version",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			version, commit, goVersion := telemetry.Build()
			cmd.Printf("%s %s (commit %s, %s)\n", cmd.Root().Name(), version, commit, goVersion)
			return nil
		},
	}
}
