package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/voip-push/worker/internal/telemetry"
)

// Main runs a command line until it is done or told to stop, prints what went
// wrong, and returns the exit code: 0 done, 1 failed, 2 usage. The first signal
// asks it to stop; a second one ends it at once.
func Main(root *cobra.Command) int {
	ctx, stop := context.WithCancelCause(context.Background())
	defer stop(nil)
	// What a shell script leaves in the background it starts with SIGINT ignored:
	// given up, the signal would be ignored again.
	usual := slices.DeleteFunc([]os.Signal{os.Interrupt, syscall.SIGTERM}, signal.Ignored)
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	go func() { // until the process ends
		first := <-signals
		// Before anyone hears of the first: who sees the stop may send the second.
		giveUp(usual)
		stop(errors.New(first.String() + " signal received"))
		end(<-signals, usual) // one that came at the same time, or has no usual effect
	}()
	return Execute(ctx, root)
}

// giveUp lets signals have their usual effect, which is to end the process.
func giveUp(usual []os.Signal) {
	if len(usual) > 0 { // none would mean all
		signal.Reset(usual...)
	}
}

// shellSaysSignal is what a shell adds to a signal for the exit code of a process
// that it has ended.
const shellSaysSignal = 128

// end ends the process for a signal that was caught: by the signal itself where
// that has its usual effect.
func end(s os.Signal, usual []os.Signal) {
	if self, err := os.FindProcess(os.Getpid()); err == nil && slices.Contains(usual, s) && self.Signal(s) == nil {
		return
	}
	code := shellSaysSignal
	if n, ok := s.(syscall.Signal); ok {
		code += int(n)
	}
	os.Exit(code) //nolint:forbidigo // main may hang, which is what a second signal is for
}

// Execute is Main under a context of the caller's.
func Execute(ctx context.Context, root *cobra.Command) int {
	withCompletion(root)
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
