package main

import (
	"github.com/spf13/cobra"

	"github.com/voip-push/worker/cmd/internal/cli"
)

//go:generate go test . -run TestDocs -update

// name is how the command shows in the broker's list of connections.
const name = "publisher"

func newRoot() *cobra.Command {
	root := cli.Root(&cobra.Command{
		Use:   name,
		Short: "Send VoIP pushes, as a push gateway does",
		Long: `Send VoIP pushes, as a push gateway does.

The NATS_* settings of the environment say where the broker is; without any, it
is the embedded one of a worker on this machine. With the standard OTEL_* settings
each push begins a trace.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	})
	root.AddCommand(newSend(), newLoad(), cli.Version(name))
	return root
}
