package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/nats-io/nats.go"
	"github.com/spf13/cobra"

	"github.com/voip-push/worker/cmd/internal/cli"
	"github.com/voip-push/worker/internal/voip"
)

// wait prints the results of the pushes as they arrive. Its error says how many
// calls were not reported, or have no result.
func wait(cmd *cobra.Command, results <-chan *nats.Msg, sent []push, f *sendFlags) error {
	open := map[string]bool{}
	for _, p := range sent {
		if p.callID == "" {
			fmt.Fprintln(cmd.ErrOrStderr(), "a push without a callId has no result: see the dead letters")
			continue
		}
		open[p.callID] = true
	}
	total, reported := len(open), 0
	ctx, cancel := context.WithTimeout(cmd.Context(), f.timeout)
	defer cancel()
	if !f.asJSON && total > 0 {
		cli.ResultHeader(cmd.OutOrStdout())
	}
	for len(open) > 0 {
		select {
		case msg := <-results:
			if r := resultFor(msg, open); r != nil {
				delete(open, r.CallID)
				if r.Outcome == voip.Reported {
					reported++
				}
				printResult(cmd, f, msg, r)
			}
		case <-ctx.Done():
			if errors.Is(cmd.Context().Err(), context.Canceled) {
				return fmt.Errorf("interrupted: %d of %d calls have no result yet", len(open), total)
			}
			return fmt.Errorf("%d of %d calls have no result after %s; is a worker running? (a duplicate of a call has no result of its own)", len(open), total, f.timeout)
		}
	}
	if missing := len(sent) - reported; missing > 0 {
		return fmt.Errorf("%d of %d pushes were not reported", missing, len(sent))
	}
	return nil
}

// resultFor reads a result of one of the calls; nil: it is none of theirs.
func resultFor(msg *nats.Msg, open map[string]bool) *voip.Result {
	r, err := cli.ReadResult(msg)
	if err != nil || r == nil || !open[r.CallID] {
		return nil
	}
	return r
}

func printResult(cmd *cobra.Command, f *sendFlags, msg *nats.Msg, r *voip.Result) {
	if f.asJSON {
		cmd.Println(string(msg.Data))
		return
	}
	cli.ResultLine(cmd.OutOrStdout(), r)
}
