package main

import (
	"context"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/spf13/cobra"

	"github.com/voip-push/worker/cmd/internal/cli"
	"github.com/voip-push/worker/internal/voip"
)

// watchFilter is what of the results is shown.
type watchFilter struct {
	outcome, reason, callID string
	count                   int
	since                   time.Duration
	asJSON                  bool
}

func newWatch() *cobra.Command {
	var f watchFilter
	c := &cobra.Command{
		Use:   "watch",
		Short: "Print results as they arrive, until interrupted",
		Long: `Print results as they arrive, until interrupted. With --since those that are stored
already come first; each is printed once.`,
		Example: "  voipctl watch --outcome failed\n  voipctl watch --since 1h --reason REPORT_UNAVAILABLE\n  voipctl watch --json --count 1 --call-id c-1",
		Args:    cobra.NoArgs,
		RunE:    func(cmd *cobra.Command, _ []string) error { return watch(cmd, &f) },
	}
	c.Flags().StringVar(&f.outcome, "outcome", "", "only this outcome: reported, failed, expired or cancelled")
	c.Flags().StringVar(&f.reason, "reason", "", "only this reason, such as INVALID_CALL")
	c.Flags().StringVar(&f.callID, "call-id", "", "only this call")
	c.Flags().IntVar(&f.count, "count", 0, "end after so many results (0: go on)")
	c.Flags().DurationVar(&f.since, "since", 0, "begin with the results of the last so long (0: with the next one)")
	c.Flags().BoolVar(&f.asJSON, "json", false, "print each result's JSON on a line of its own")
	cli.Values(c, "outcome", voip.Reported, voip.Failed, voip.Expired, voip.Cancelled)
	cli.Values(c, "reason", cli.Reasons(false)...)
	return c
}

func (f *watchFilter) validate() error {
	switch voip.Outcome(f.outcome) {
	case "", voip.Reported, voip.Failed, voip.Expired, voip.Cancelled:
	default:
		return cli.Usage(fmt.Errorf("--outcome %q: want reported, failed, expired or cancelled", f.outcome))
	}
	if f.count < 0 {
		return cli.Usage(fmt.Errorf("--count %d: want 0 or more", f.count))
	}
	return cli.OneOf("reason", f.reason, cli.Reasons(false)...)
}

func (f *watchFilter) matches(r *voip.Result) bool {
	return (f.outcome == "" || f.outcome == string(r.Outcome)) && (f.reason == "" || f.reason == string(r.Reason)) &&
		(f.callID == "" || f.callID == r.CallID)
}

func watch(cmd *cobra.Command, f *watchFilter) error {
	if err := f.validate(); err != nil {
		return err
	}
	from, err := cli.Since("since", f.since)
	if err != nil {
		return err
	}
	ctx, s, err := cli.Open(cmd, name)
	if err != nil {
		return err
	}
	defer s.Close()
	messages, err := listen(ctx, s, from)
	if err != nil {
		return cli.Fault(ctx, voip.StreamResult, err)
	}
	if !f.asJSON {
		cli.ResultHeader(cmd.OutOrStdout())
	}
	for seen := 0; f.count == 0 || seen < f.count; {
		select {
		case <-ctx.Done():
			if cmd.Context().Err() != nil {
				return nil
			}
			return cli.Fault(ctx, voip.StreamResult, ctx.Err())
		case msg := <-messages:
			if show(cmd, f, msg) {
				seen++
			}
		}
	}
	return nil
}

// listen follows the results: what arrives, or what is stored from a time on.
func listen(ctx context.Context, s *cli.Session, from time.Time) (<-chan *nats.Msg, error) {
	if _, err := s.JS.Stream(ctx, voip.StreamResult); err != nil {
		return nil, err // without it nothing would ever come
	}
	if from.IsZero() {
		return cli.Listen(ctx, s.Conn)
	}
	return s.Follow(ctx, voip.StreamResult, from)
}

// show prints a result that matches.
func show(cmd *cobra.Command, f *watchFilter, msg *nats.Msg) bool {
	r, err := cli.ReadResult(msg)
	if err != nil {
		fmt.Fprintln(cmd.ErrOrStderr(), "a message is skipped: "+err.Error())
		return false
	}
	if r == nil || !f.matches(r) {
		return false
	}
	if f.asJSON {
		cmd.Println(string(msg.Data))
	} else {
		cli.ResultLine(cmd.OutOrStdout(), r)
	}
	return true
}
