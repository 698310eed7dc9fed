package cli

import (
	"context"
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
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop)
	return Execute(ctx, root)
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

// Version is the command that prints the version.
func Version() *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Print the version",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			version, commit, goVersion := telemetry.Build()
			cmd.Printf("%s %s (commit %s, %s)\n", cmd.Root().Name(), version, commit, goVersion)
			return nil
		},
	}
}
