package main

import (
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/voip-push/worker/cmd/internal/cli"
)

type auditFlags struct {
	since, grace time.Duration
	max          int
	asJSON       bool
}

func newAudit() *cobra.Command {
	var f auditFlags
	c := &cobra.Command{
		Use:   "audit",
		Short: "Hold the results against the pushes: every call has exactly one",
		Long: `Hold the results against the pushes: every call has exactly one. Exit 1 when there is

  no_outcome       a call whose life ended longer than --grace ago, without a result
  two_outcomes     a call with more than one, whoever has stored it
  no_push          a result whose push was never in the stream, or was deleted from it;
                   one that names no push, of a call that none was stored of
  gone             a push that left the stream with neither a result nor a dead letter:
                   it aged out unread, or it was a duplicate of a call

A push counts from --since on; what it was before is read as far as duplicates need
it. Every push of a callId within 15 minutes is one call. A redrive is a call of its
own. A life without ttlSeconds is taken for a minute: where CALL_TTL is longer, so
should --grace be. A push without a callId has no result, and is counted alone. Pushes leave their
stream after 30 minutes: only a longer --since looks for those that are gone, and it
cannot tell them from duplicates.`,
		Example: "  voipctl audit --since 10m\n  voipctl audit --since 25m --grace 2m --json",
		Args:    cobra.NoArgs,
		RunE:    func(cmd *cobra.Command, _ []string) error { return audit(cmd, &f) },
	}
	c.Flags().DurationVar(&f.since, "since", 10*time.Minute, "how far back to look")
	c.Flags().DurationVar(&f.grace, "grace", 30*time.Second, "how long after its life ends a call may still have no result")
	c.Flags().IntVar(&f.max, "max", 100, "how many findings of each kind to print (all are counted)")
	c.Flags().BoolVar(&f.asJSON, "json", false, "print one JSON object")
	return c
}

func (f *auditFlags) validate() error {
	switch {
	case f.since <= 0:
		return cli.Usage(fmt.Errorf("--since %s: want a duration of more than 0, such as 10m", f.since))
	case f.grace < 0:
		return cli.Usage(fmt.Errorf("--grace %s: want a duration of 0 or more, such as 30s", f.grace))
	case f.max < 0:
		return cli.Usage(fmt.Errorf("--max %d: want 0 or more", f.max))
	}
	return nil
}

func audit(cmd *cobra.Command, f *auditFlags) error {
	if err := f.validate(); err != nil {
		return err
	}
	ctx, s, err := cli.Open(cmd, name)
	if err != nil {
		return err
	}
	defer s.Close()
	now := time.Now()
	a := &auditor{session: s, from: now.Add(-f.since), now: now, grace: f.grace}
	report, err := a.run(ctx, f.max)
	if err != nil {
		return err
	}
	report.Since = f.since.String()
	if f.asJSON {
		err = cli.JSON(cmd.OutOrStdout(), report)
	} else {
		report.print(cmd.OutOrStdout())
	}
	if n := report.faults(); err == nil && n > 0 {
		return fmt.Errorf("%d findings", n)
	}
	return err
}
