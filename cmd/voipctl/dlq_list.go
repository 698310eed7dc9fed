package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/voip-push/worker/cmd/internal/cli"
)

// dlqListing is the list as JSON.
type dlqListing struct {
	Total   uint64        `json:"total"`
	Reasons []reasonCount `json:"reasons"`
	Entries []deadLetter  `json:"entries"`
}

func newDLQList() *cobra.Command {
	var f dlqFilter
	var asJSON bool
	c := &cobra.Command{
		Use:   "list",
		Short: "Count dead letters by reason and age, and list them",
		Long: `Count dead letters by reason and age, and list the first of them, oldest first. The
counts are the broker's own: they cost the same for ten entries as for a million.`,
		Example: "  voipctl dlq list\n  voipctl dlq list --reason REPORT_UNAVAILABLE --since 1h --max 100\n  voipctl dlq list --max 0 --json",
		Args:    cobra.NoArgs,
		RunE:    func(cmd *cobra.Command, _ []string) error { return dlqList(cmd, &f, asJSON) },
	}
	f.register(c, 20, "how many entries to list below the counts")
	c.Flags().BoolVar(&asJSON, "json", false, "print one JSON object")
	return c
}

func dlqList(cmd *cobra.Command, f *dlqFilter, asJSON bool) error {
	if err := f.validate(); err != nil {
		return err
	}
	ctx, s, stream, err := openDLQ(cmd)
	if err != nil {
		return err
	}
	defer s.Close()
	l := dlqListing{Reasons: []reasonCount{}, Entries: []deadLetter{}}
	counts, err := f.byReason(ctx, stream)
	if err != nil {
		return err
	}
	l.Reasons = append(l.Reasons, counts...)
	for _, c := range counts {
		l.Total += c.Count
	}
	if f.max > 0 && l.Total > 0 {
		err = f.scan(ctx, s, func(d *deadLetter) error {
			if l.Entries = append(l.Entries, *d); len(l.Entries) == f.max {
				return cli.ErrEnough
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	if asJSON {
		return cli.JSON(cmd.OutOrStdout(), l)
	}
	l.print(cmd)
	return nil
}

func (l *dlqListing) print(cmd *cobra.Command) {
	w := cmd.OutOrStdout()
	fmt.Fprintf(w, "%d dead letters\n", l.Total)
	printCounts(w, l.Reasons)
	if len(l.Entries) == 0 {
		return
	}
	fmt.Fprintln(w)
	rows := [][]string{deadLetterColumns()}
	for i := range l.Entries {
		rows = append(rows, l.Entries[i].row())
	}
	cli.Table(w, rows)
	if more := l.Total - min(l.Total, uint64(len(l.Entries))); more > 0 {
		fmt.Fprintf(w, "and %d more: see --max and --since\n", more)
	}
}
