package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/spf13/cobra"

	"github.com/voip-push/worker/cmd/internal/cli"
	"github.com/voip-push/worker/cmd/internal/settings"
	"github.com/voip-push/worker/internal/broker"
)

const verbTimeout = 30 * time.Second

func newProvision() *cobra.Command {
	var dryRun bool
	c := &cobra.Command{
		Use:   "provision",
		Short: "Create or update the streams, the consumer and the bucket",
		Long: `Create or update the streams, the consumer and the bucket, and print what changed.
It can be run again at any time. What is there beside the project's own settings
(placement, say) is left alone.`,
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
			return withBroker(cmd.Context(), cfg, func(ctx context.Context, js jetstream.JetStream) error {
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
	return &b, warnings, errors.Join(err, b.Validate())
}

// withBroker connects for one verb, and says at once when nobody is there. An
// embedded broker is the running worker's, or is started for the verb.
func withBroker(ctx context.Context, b *broker.Config, do func(context.Context, jetstream.JetStream) error) error {
	ctx, cancel := context.WithTimeout(ctx, verbTimeout)
	defer cancel()
	ctx, refuse := context.WithCancelCause(ctx)
	defer refuse(nil)
	opts := broker.Options{
		Name: "voip-worker verb", InboxPrefix: inboxPrefix, Log: slog.New(slog.DiscardHandler),
		Violation: refuse, // to whoever asked it would look like a timeout
	}
	nc, err := broker.Connect(b, opts) //nolint:contextcheck // a connection outlives the context that it was made in
	if err != nil && b.IsEmbedded() {
		server, startErr := broker.StartEmbedded(b, opts.Log)
		if startErr != nil {
			return startErr
		}
		defer server.Stop()
		nc, err = broker.Connect(b, server.Options(opts)) //nolint:contextcheck // likewise
	}
	if err != nil {
		return err
	}
	defer nc.Close()
	js, err := broker.JetStream(nc)
	if err != nil {
		return err
	}
	err = do(ctx, js)
	if cause := context.Cause(ctx); errors.Is(cause, nats.ErrPermissionViolation) {
		return fmt.Errorf("refused by the broker: %w", cause)
	}
	if cli.LacksJetStream(err) {
		return cli.ErrNoJetStream
	}
	return err
}
