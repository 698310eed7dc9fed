package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/spf13/cobra"

	"github.com/voip-push/worker/cmd/internal/settings"
	"github.com/voip-push/worker/internal/broker"
)

func newProvision() *cobra.Command {
	var dryRun bool
	c := &cobra.Command{
		Use:   "provision",
		Short: "Create or update the streams, the consumer and the bucket",
		Long: `Create or update the streams, the consumer and the bucket, and print what changed.
It can be run again at any time. What is there beside the project's own settings
(placement, say) is left alone. It says first which broker it has found.`,
		Example: "  worker provision --dry-run\n  NATS_URL=nats://broker:4222 NATS_REPLICAS=3 worker provision",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, warnings, err := loadBroker()
			for _, w := range warnings {
				cmd.PrintErrln("warning: " + w)
			}
			if err != nil {
				return err
			}
			v := &visit{broker: *cfg, looks: dryRun}
			return v.run(cmd.Context(), func(ctx context.Context, js jetstream.JetStream) error {
				cmd.Println("broker: " + v.where)
				return provision(ctx, cmd, js, cfg, dryRun)
			})
		},
	}
	c.Flags().BoolVar(&dryRun, "dry-run", false, "print what differs, and change nothing")
	return c
}

func provision(ctx context.Context, cmd *cobra.Command, js jetstream.JetStream, b *broker.Config, dryRun bool) error {
	if dryRun {
		drift, err := broker.Inspect(ctx, js, b)
		if err != nil {
			return err
		}
		for _, d := range drift {
			cmd.Println(d.String())
		}
		if len(drift) == 0 {
			cmd.Println("nothing differs")
		}
		return nil
	}
	changed, err := broker.Provision(ctx, js, b)
	for _, d := range changed {
		cmd.Println(change(d))
	}
	if err == nil && len(changed) == 0 {
		cmd.Println("nothing to change")
	}
	return err
}

// change says what was done about a difference.
func change(d broker.Drift) string {
	switch {
	case d.Severity == broker.Missing:
		return "created " + d.Object
	case d.Fixed:
		return "left: " + d.String() + " (the broker cannot change it)"
	default:
		return fmt.Sprintf("updated %s: %s was %s, is %s", d.Object, d.Field, d.Have, d.Want)
	}
}

// loadBroker reads the settings that the streams depend on, and no others: a
// job that provisions needs to know nothing of avatars and reports.
func loadBroker() (cfg *broker.Config, warnings []string, err error) {
	var c struct {
		NATS     settings.NATS
		Consumer consumerGroup
	}
	warnings, err = settings.Load(&c)
	b := (&config{NATS: c.NATS, Consumer: c.Consumer}).broker()
	return &b, warnings, errors.Join(err, b.Validate(), namesBroker(&b))
}
