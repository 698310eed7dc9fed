package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/spf13/cobra"

	"github.com/voip-push/worker/cmd/internal/cli"
	"github.com/voip-push/worker/internal/voip"
)

const cancelTimeout = 5 * time.Second

func newCancel() *cobra.Command {
	return &cobra.Command{
		Use:   "cancel CALLID...",
		Short: "Cancel calls, before or after their pushes",
		Long: `Cancel calls, before or after their pushes: a call that is queued, in its stages or
waiting for a retry ends as cancelled. An attempt that is on its way is let finish,
and a call that was reported stays reported. A cancel counts for ten minutes.`,
		Example: "  voipctl cancel c-1",
		Args:    cobra.MinimumNArgs(1),
		RunE:    cancel,
	}
}

func cancel(cmd *cobra.Command, ids []string) error {
	for _, id := range ids {
		if !voip.ValidCallID(id) {
			return cli.Usage(fmt.Errorf("%q is no callId: 1 to 128 bytes of UTF-8 without control characters or outer spaces", id))
		}
	}
	ctx, s, err := cli.Open(cmd, name)
	if err != nil {
		return err
	}
	defer s.Close()
	ctx, stop := context.WithTimeout(ctx, cancelTimeout)
	defer stop()
	var errs []error
	for _, id := range ids {
		body, err := json.Marshal(map[string]string{"callId": id})
		if err == nil {
			_, err = s.JS.Publish(ctx, voip.SubjectCancel, body)
		}
		if err != nil {
			if errors.Is(err, jetstream.ErrNoStreamResponse) {
				err = jetstream.ErrStreamNotFound
			}
			errs = append(errs, fmt.Errorf("cancel %s: %w", id, cli.Fault(ctx, voip.StreamCancel, err)))
			continue
		}
		cmd.Printf("cancelled %s\n", id)
	}
	return errors.Join(errs...)
}
