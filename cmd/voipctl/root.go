package main

import (
	"github.com/spf13/cobra"

	"github.com/voip-push/worker/cmd/internal/cli"
)

//go:generate go test . -run TestDocs -update

// name is how the command shows in the broker's list of connections.
const name = "voipctl"

func newRoot() *cobra.Command {
	root := cli.Root(&cobra.Command{
		Use:   name,
		Short: "Watch, explain and audit calls, cancel them, and mind the dead letters",
		Long: `Watch, explain and audit calls, cancel them, and mind the dead letters.

The NATS_* settings of the environment say where the broker is; without any, it
is the embedded one of a worker on this machine.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	})
	root.AddCommand(newWatch(), newCancel(), newCallKit(), newAudit(), newDLQ(), newExplain(), cli.Version(name))
	return root
}
