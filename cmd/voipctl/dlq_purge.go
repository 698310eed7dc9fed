package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/spf13/cobra"

	"github.com/voip-push/worker/cmd/internal/cli"
	"github.com/voip-push/worker/internal/voip"
)

type purgeFlags struct {
	dlqFilter

	rate                  float64
	force, dryRun, asJSON bool
}

// purgeReport is what became of the entries.
type purgeReport struct {
	Matched uint64 `json:"matched"`
	Purged  uint64 `json:"purged"`
	DryRun  bool   `json:"dryRun"`
}

func newDLQPurge() *cobra.Command {
	var f purgeFlags
	c := &cobra.Command{
		Use:   "purge",
		Short: "Delete dead letters for good",
		Long: `Delete dead letters for good. It says how many are meant and asks whoever sits at
the terminal first; with --force or --json, or where nobody can answer, as in a script,
it does not. What fails in the meantime is kept.`,
		Example: "  voipctl dlq purge --reason INVALID_CALL --dry-run\n  voipctl dlq purge --call-id c-1\n  voipctl dlq purge --force",
		Args:    cobra.NoArgs,
		RunE:    func(cmd *cobra.Command, _ []string) error { return dlqPurge(cmd, &f) },
	}
	f.register(c, 0, "delete at most so many, oldest first (0: all)")
	c.Flags().Float64Var(&f.rate, "rate", 0, "delete at most so many a second (0: as fast as it goes)")
	c.Flags().BoolVar(&f.force, "force", false, "do not ask")
	c.Flags().BoolVar(&f.dryRun, "dry-run", false, "say what would be deleted, and delete nothing")
	c.Flags().BoolVar(&f.asJSON, "json", false, "print one JSON object at the end; asks nothing")
	return c
}

func dlqPurge(cmd *cobra.Command, f *purgeFlags) error {
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
	sequences, err := f.chosen(ctx, s)
	if err != nil {
		return fmt.Errorf("%w; nothing is deleted", err)
	}
	r := purgeReport{Matched: uint64(len(sequences)), DryRun: f.dryRun}
	if !f.asJSON {
		cmd.Printf("%d dead letters match\n", r.Matched)
	}
	if !f.dryRun && r.Matched > 0 {
		if err := f.confirm(cmd, r.Matched); err != nil {
			return err
		}
		err = f.purge(ctx, stream, sequences, pace, &r, cli.NewMeter(cmd.ErrOrStderr(), "deleting", len(sequences)))
	}
	if f.asJSON {
		return errors.Join(err, cli.JSON(cmd.OutOrStdout(), r))
	}
	if !f.dryRun {
		cmd.Printf("%d deleted\n", r.Purged)
	}
	return err
}

// confirm asks; anything but a yes is a no, but for no answer from where nobody
// can give one.
func (f *purgeFlags) confirm(cmd *cobra.Command, n uint64) error {
	if f.force || f.asJSON {
		return nil
	}
	fmt.Fprintf(cmd.ErrOrStderr(), "delete %d dead letters for good? [y/N] ", n)
	answer, err := bufio.NewReader(cli.Stdin(cmd)).ReadString('\n')
	if err != nil {
		fmt.Fprintln(cmd.ErrOrStderr()) // nobody has ended the line
	}
	answer = strings.ToLower(strings.TrimSpace(answer))
	switch {
	case answer == "" && errors.Is(err, io.EOF) && cli.Unattended(cmd):
		return nil
	case errors.Is(err, cli.ErrInterrupted):
		return fmt.Errorf("%w: nothing is deleted", err)
	case answer != "y" && answer != "yes":
		return errors.New("nothing is deleted")
	}
	return nil
}

// purge deletes the entries: at once where every one of the subject is meant,
// up to the last that was counted, else one by one.
func (f *purgeFlags) purge(ctx context.Context, stream jetstream.Stream, sequences []uint64, pace *pace, r *purgeReport, meter *cli.Meter) error {
	if f.since == 0 && f.max == 0 && f.rate == 0 {
		if err := f.purgeAll(ctx, stream, sequences[len(sequences)-1]); err != nil {
			return cli.Fault(ctx, voip.StreamDLQ, err)
		}
		r.Purged = r.Matched
		return nil
	}
	for _, sequence := range sequences {
		if err := pace.next(ctx); err != nil {
			return cli.Fault(ctx, voip.StreamDLQ, err)
		}
		err := stream.DeleteMsg(ctx, sequence)
		if err != nil && !errors.Is(err, jetstream.ErrMsgNotFound) {
			return cli.Fault(ctx, voip.StreamDLQ, err)
		}
		r.Purged++
		meter.At(r.Purged)
	}
	return nil
}

// purgeTimeout is ample: of a million entries of one reason the server takes
// some ten seconds, of all at once a fraction of one.
const purgeTimeout = 5 * time.Minute

func (f *purgeFlags) purgeAll(ctx context.Context, stream jetstream.Stream, last uint64) error {
	ctx, cancel := context.WithTimeout(ctx, purgeTimeout)
	defer cancel()
	if len(f.reasons) == 0 && f.callID == "" {
		return stream.Purge(ctx, jetstream.WithPurgeSequence(last+1))
	}
	for _, subject := range f.subjects() {
		if err := stream.Purge(ctx, jetstream.WithPurgeSubject(subject), jetstream.WithPurgeSequence(last+1)); err != nil {
			return err
		}
	}
	return nil
}
