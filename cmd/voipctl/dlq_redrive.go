package main

import (
	"context"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/voip-push/worker/cmd/internal/cli"
)

const maxExtend = 5 * time.Minute

type redriveFlags struct {
	dlqFilter

	extend      time.Duration
	rate        float64
	maxRedrives int
	dryRun      bool
	asJSON      bool
}

func newDLQRedrive() *cobra.Command {
	var f redriveFlags
	c := &cobra.Command{
		Use:   "redrive",
		Short: "Send dead letters again as pushes",
		Long: `Send dead letters again as pushes, oldest first: the original bytes, with a new
deadline where the old one has passed. Each makes one more result. First it says how
many can be sent, and why others cannot; with --dry-run that is all.

A call whose deadline has passed, or is not known, is skipped unless --extend says
how long it lives from now. One that was redriven --max-redrives times is left.

An entry leaves the dead letters only once its push is stored, and its push has an id
of its own. So a redrive that is interrupted, however it is, loses none; begun again
within 30 minutes it sends none twice.`,
		Example: `  voipctl dlq redrive --reason REPORT_UNAVAILABLE --extend 1m --dry-run
  voipctl dlq redrive --reason REPORT_UNAVAILABLE --extend 1m --rate 50 --max 1000
  voipctl dlq redrive --call-id c-1 --extend 30s`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return dlqRedrive(cmd, &f) },
	}
	f.register(c, 0, "send at most so many (0: all)")
	c.Flags().DurationVar(&f.extend, "extend", 0, "the new life of calls whose deadline has passed, at most 5m")
	c.Flags().Float64Var(&f.rate, "rate", 0, "send at most so many a second (0: as fast as it goes)")
	c.Flags().IntVar(&f.maxRedrives, "max-redrives", 3, "leave what was redriven so often")
	c.Flags().BoolVar(&f.dryRun, "dry-run", false, "say what would be sent, and send nothing")
	c.Flags().BoolVar(&f.asJSON, "json", false, "print one JSON object at the end")
	return c
}

// redriveReport is what became of the entries.
type redriveReport struct {
	Matched   int            `json:"matched"`
	Eligible  int            `json:"eligible"`
	Skipped   map[string]int `json:"skipped"`
	DryRun    bool           `json:"dryRun"`
	Redriven  int            `json:"redriven"`
	Before    int            `json:"redrivenBefore"` // by a redrive that was interrupted
	Gone      int            `json:"gone"`           // purged, or redriven by somebody else meanwhile
	Remaining int            `json:"remaining"`
}

// Why an entry is skipped.
const (
	skipDeadline = "its deadline has passed: use --extend"
	skipLoop     = "it was redriven too often: see --max-redrives"
	skipOrigin   = "its headers do not say which push it was"
	skipMax      = "over --max"
)

func (f *redriveFlags) validate() error {
	if f.extend < 0 || f.extend > maxExtend {
		return cli.Usage(fmt.Errorf("--extend %s: want a duration of more than 0, at most %s", f.extend, maxExtend))
	}
	if f.maxRedrives < 1 {
		return cli.Usage(fmt.Errorf("--max-redrives %d: want 1 or more", f.maxRedrives))
	}
	return f.dlqFilter.validate()
}

func dlqRedrive(cmd *cobra.Command, f *redriveFlags) error {
	pace, err := newPace(f.rate)
	if err == nil {
		err = f.validate()
	}
	if err != nil {
		return err
	}
	ctx, s, stream, err := openDLQ(cmd)
	if err != nil {
		return err
	}
	defer s.Close()
	r := redriveReport{Skipped: map[string]int{}, DryRun: f.dryRun}
	sequences, err := f.choose(ctx, s, &r)
	if err != nil {
		return fmt.Errorf("%w; nothing is sent", err)
	}
	w := cmd.OutOrStdout()
	if !f.asJSON {
		r.printPlan(w)
	}
	if !f.dryRun {
		d := &redriver{session: s, stream: stream, flags: f, report: &r, sent: map[string]bool{}}
		err = d.all(ctx, pace, sequences, cli.NewMeter(cmd.ErrOrStderr(), "redriving", len(sequences)))
	}
	if f.asJSON {
		if printed := cli.JSON(w, r); err == nil {
			err = printed
		}
	} else if !f.dryRun {
		r.print(w)
	}
	return err
}

// choose finds the entries that can be sent, eight bytes for each.
func (f *redriveFlags) choose(ctx context.Context, s *cli.Session, r *redriveReport) (sequences []uint64, err error) {
	err = f.scan(ctx, s, func(d *deadLetter) error {
		r.Matched++
		why := f.skip(d, time.Now())
		if why == "" && f.max > 0 && r.Eligible == f.max {
			why = skipMax
		}
		if why != "" {
			r.Skipped[why]++
			return nil
		}
		r.Eligible++
		sequences = append(sequences, d.Sequence)
		return nil
	})
	r.Remaining = r.Eligible
	return sequences, err
}

// skip is why an entry cannot be sent; empty: it can.
func (f *redriveFlags) skip(d *deadLetter, now time.Time) string {
	switch {
	case d.OriginSequence == 0:
		return skipOrigin
	case d.Redrives >= f.maxRedrives:
		return skipLoop
	case f.extend == 0 && !d.ExpiresAt.After(now):
		return skipDeadline
	}
	return ""
}

func (r *redriveReport) printPlan(w io.Writer) {
	fmt.Fprintf(w, "%d of %d dead letters can be redriven\n", r.Eligible, r.Matched)
	for _, why := range slices.Sorted(maps.Keys(r.Skipped)) {
		fmt.Fprintf(w, "%8d  skipped: %s\n", r.Skipped[why], why)
	}
}

func (r *redriveReport) print(w io.Writer) {
	fmt.Fprintf(w, "%d redriven", r.Redriven)
	for _, p := range []struct {
		n    int
		text string
	}{{r.Before, "had been sent by an earlier redrive"}, {r.Gone, "were gone meanwhile"}, {r.Remaining, "remain"}} {
		if p.n > 0 {
			fmt.Fprint(w, ", "+strconv.Itoa(p.n)+" "+p.text)
		}
	}
	fmt.Fprintln(w)
}
