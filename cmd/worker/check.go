package main

import (
	"context"
	"errors"
	"strings"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/spf13/cobra"

	"github.com/voip-push/worker/cmd/internal/settings"
	"github.com/voip-push/worker/internal/broker"
	"github.com/voip-push/worker/internal/voip"
)

func newCheck() *cobra.Command {
	return &cobra.Command{
		Use:   "check",
		Short: "Check the settings and the broker, and print the effective settings",
		Long: `Read the settings, connect to the broker and look at its streams. The effective
settings are printed with secrets hidden, then every fault; exit 1 on any. Nothing
is changed, and nothing is left behind.`,
		Example: "  worker check\n  NATS_URL=nats://broker:4222 REPORT_TRANSPORT=nats worker check",
		Args:    cobra.NoArgs,
		RunE:    func(cmd *cobra.Command, _ []string) error { return check(cmd) },
	}
}

func check(cmd *cobra.Command) error {
	cfg, warnings, err := loadConfig()
	for _, v := range settings.Variables(cfg) {
		cmd.Printf("%s=%s\n", v.Name, shown(&v))
	}
	for _, w := range warnings {
		cmd.PrintErrln("warning: " + w)
	}
	b := cfg.broker()
	if err != nil && errors.Join(b.Validate(), namesBroker(&b)) != nil {
		return err // nothing to connect to
	}
	v := &visit{broker: b, looks: true}
	return errors.Join(err, v.run(cmd.Context(), func(ctx context.Context, js jetstream.JetStream) error {
		return checkStreams(ctx, cmd, js, cfg)
	}))
}

func checkStreams(ctx context.Context, cmd *cobra.Command, js jetstream.JetStream, cfg *config) error {
	b := cfg.broker()
	if cfg.provision() {
		drift, err := broker.Inspect(ctx, js, &b)
		for _, d := range drift {
			cmd.PrintErrln("at its start a worker will mend: " + d.String())
		}
		return err
	}
	drift, err := inspect(ctx, js, &b)
	for _, d := range drift {
		cmd.PrintErrln("warning: " + d.String())
	}
	return err
}

// shown is a setting as it may be printed: URLs may hold a password, and
// headers a token.
func shown(v *settings.Variable) string {
	switch v.Name {
	case "NATS_URL":
		if v.Value() == broker.Embedded {
			return broker.Embedded
		}
		return broker.RedactURLs(v.Value())
	case "OTEL_EXPORTER_OTLP_HEADERS", "OTEL_EXPORTER_OTLP_TRACES_HEADERS": // they hold tokens
		if v.Value() == "" {
			return ""
		}
		return voip.Redacted
	case "REPORT_URL", "OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT":
		return redactURL(v.Value())
	default:
		return v.Value()
	}
}

// redactURL hides what of a URL may be secret: its user part and its query.
func redactURL(s string) string {
	if s == "" {
		return ""
	}
	place, query, asks := strings.Cut(s, "?")
	if place = broker.RedactURLs(place); asks && query != "" {
		place += "?" + voip.Redacted
	}
	return place
}
