package main

import (
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/voip-push/worker/cmd/internal/cli"
	"github.com/voip-push/worker/internal/voip"
)

type explainFlags struct {
	since           time.Duration
	private, asJSON bool
}

func newExplain() *cobra.Command {
	var f explainFlags
	c := &cobra.Command{
		Use:   "explain CALLID",
		Short: "Print the timeline of a call",
		Long: `Print the timeline of a call from the broker's own records: its push, who holds it,
each attempt, cancels, dead letters, redrives, and its result.

A call that was claimed in the last 15 minutes is found by its record at once. An
older one is looked for in the streams, which says now and then how far it is;
--since bounds that. With --since duplicates of the push are looked for as well.
Pushes are kept for 30 minutes, results for 24 hours, dead letters for 72.

Names, addresses of pictures and opaque data are left out but for --private or
LOG_PRIVATE=true.`,
		Example: "  voipctl explain c-1\n  voipctl explain c-1 --since 6h --json",
		Args:    cobra.ExactArgs(1),
		RunE:    func(cmd *cobra.Command, args []string) error { return explain(cmd, args[0], &f) },
	}
	c.Flags().DurationVar(&f.since, "since", 0, "look through the streams this far back (0: go by the call's record, or through all that is kept)")
	c.Flags().BoolVar(&f.private, "private", false, "show private values")
	c.Flags().BoolVar(&f.asJSON, "json", false, "print one JSON object")
	return c
}

// timeline is what is known of a call.
type timeline struct {
	CallID string  `json:"callId"`
	Events []event `json:"events"`
}

// event is one thing that happened.
type event struct {
	At     time.Time `json:"at"`
	What   string    `json:"what"`
	Detail string    `json:"detail"`
}

func explain(cmd *cobra.Command, callID string, f *explainFlags) error {
	if !voip.ValidCallID(callID) {
		return cli.Usage(fmt.Errorf("%q is no callId: 1 to 128 bytes of UTF-8 without control characters or outer spaces", callID))
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
	e := &explainer{session: s, callID: callID, from: from, private: f.private || s.Private, pushes: map[uint64]bool{}}
	if err := e.run(ctx); err != nil {
		return err
	}
	if len(e.events) == 0 {
		return f.unknown(callID)
	}
	if f.asJSON {
		return cli.JSON(cmd.OutOrStdout(), timeline{callID, e.events})
	}
	rows := [][]string{{"AT", "AFTER", "WHAT", "DETAIL"}}
	for _, ev := range e.events {
		rows = append(rows, []string{cli.Clock(ev.At), ev.At.Sub(e.events[0].At).Round(100 * time.Microsecond).String(), ev.What, ev.Detail})
	}
	cli.Table(cmd.OutOrStdout(), rows)
	return nil
}

func (f *explainFlags) unknown(callID string) error {
	if f.since > 0 {
		return fmt.Errorf("nothing is known of call %s in the last %s", callID, f.since)
	}
	return fmt.Errorf("nothing is known of call %s: it has no record, and no stream holds anything of it", callID)
}
