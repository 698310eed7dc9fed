package main

import (
	"github.com/spf13/cobra"

	"github.com/voip-push/worker/cmd/internal/cli"
	"github.com/voip-push/worker/internal/telemetry"
)

//go:generate go test . -run TestDocs -update

const name = "worker"

func newRoot() *cobra.Command {
	run := newRun()
	root := cli.Root(&cobra.Command{
		Use:   name,
		Short: "Consume VoIP pushes, report their calls to Call Kit, publish the outcomes",
		Long: `Consume VoIP pushes from NATS JetStream, report each call to Call Kit, and publish
what became of it to voip.report.result. Without a command it runs.

Settings come from the environment: see docs/configuration.md, or "worker check".`,
		Args: cobra.NoArgs,
		RunE: run.RunE,
	})
	root.AddCommand(run, newDemo(), newProvision(), newCheck(), newHealthcheck(), cli.Version(name))
	return root
}

func newHealthcheck() *cobra.Command {
	return &cobra.Command{
		Use:   "healthcheck",
		Short: "Exit 0 when the worker at HTTP_ADDR is ready",
		Long: `Exit 0 when the worker at HTTP_ADDR is ready, else 1 with what it waits for: a probe
for images that hold no shell and no curl.`,
		Example: "  worker healthcheck\n  HTTP_ADDR=127.0.0.1:9080 worker healthcheck",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			addr, err := healthAddr()
			if err != nil {
				return err
			}
			return telemetry.Check(cmd.Context(), addr)
		},
	}
}
