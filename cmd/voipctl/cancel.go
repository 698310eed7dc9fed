package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/nats-io/nats.go"
	"github.com/spf13/cobra"

	"github.com/voip-push/worker/cmd/internal/cli"
	"github.com/voip-push/worker/internal/voip"
)

func newCancel() *cobra.Command {
	var asJSON bool
	c := &cobra.Command{
		Use:   "cancel CALLID...",
		Short: "Cancel calls, before or after their pushes",
		Long: `Cancel calls, before or after their pushes: a call that is queued, in its stages or
waiting for a retry ends as cancelled. An attempt that is on its way is let finish,
and a call that was reported stays reported. A cancel counts for ten minutes.`,
		Example: "  voipctl cancel c-1\n  voipctl cancel c-1 c-2 --json",
		Args:    cobra.MinimumNArgs(1),
		RunE:    func(cmd *cobra.Command, ids []string) error { return cancel(cmd, ids, asJSON) },
	}
	c.Flags().BoolVar(&asJSON, "json", false, "print each cancel that is stored as JSON on a line of its own")
	return c
}

// cancelled is a cancel that is stored.
type cancelled struct {
	CallID   string `json:"callId"`
	Sequence uint64 `json:"sequence"`
}

func cancel(cmd *cobra.Command, ids []string, asJSON bool) error {
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
	var errs []error
	for _, id := range ids {
		sequence, err := cancelOne(ctx, s, id)
		if err != nil {
			errs = append(errs, fmt.Errorf("cancel %s %w", id, err))
			if ctx.Err() != nil || errors.Is(err, cli.ErrNobody) {
				break // of the others the same would be said
			}
			continue
		}
		if asJSON {
			errs = append(errs, cli.JSON(cmd.OutOrStdout(), cancelled{id, sequence}))
			continue
		}
		cmd.Printf("cancelled %s\n", id)
	}
	return errors.Join(errs...)
}

func cancelOne(ctx context.Context, s *cli.Session, id string) (sequence uint64, err error) {
	body, err := json.Marshal(map[string]string{"callId": id})
	if err != nil {
		return 0, fmt.Errorf("encode the cancel: %w", err)
	}
	ack, err := s.Publish(ctx, voip.StreamCancel, &nats.Msg{Subject: voip.SubjectCancel, Data: body})
	if err != nil {
		return 0, err
	}
	return ack.Sequence, nil
}
