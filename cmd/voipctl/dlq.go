package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/spf13/cobra"

	"github.com/voip-push/worker/cmd/internal/cli"
	"github.com/voip-push/worker/internal/voip"
)

func newDLQ() *cobra.Command {
	c := &cobra.Command{
		Use:   "dlq",
		Short: "List, show, redrive and purge dead letters",
		Long: `List, show, redrive and purge dead letters: the pushes of calls that failed, with
their original bytes. They are kept for 72 hours.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	c.AddCommand(newDLQList(), newDLQShow(), newDLQRedrive(), newDLQPurge())
	return c
}

// dlqFilter is which dead letters are meant.
type dlqFilter struct {
	reasons []string
	callID  string
	since   time.Duration
	max     int
	from    time.Time // since, as a time; zero: all
}

func (f *dlqFilter) register(c *cobra.Command, most int, what string) {
	c.Flags().StringSliceVar(&f.reasons, "reason", nil, "only these reasons, such as REPORT_UNAVAILABLE; may be given more than once")
	c.Flags().StringVar(&f.callID, "call-id", "", "only this call")
	c.Flags().DurationVar(&f.since, "since", 0, "only what failed in the last so long (0: all)")
	c.Flags().IntVar(&f.max, "max", most, what)
	cli.Values(c, "reason", cli.Reasons(true)...)
}

// narrowed says whether the filter leaves anything out.
func (f *dlqFilter) narrowed() bool { return len(f.reasons) > 0 || f.callID != "" || f.since > 0 }

func (f *dlqFilter) validate() (err error) {
	for _, r := range f.reasons {
		if r == "" || strings.Trim(r, "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_") != "" {
			return cli.Usage(fmt.Errorf("--reason %q: want a reason such as REPORT_UNAVAILABLE", r))
		}
	}
	if f.callID != "" && !voip.ValidCallID(f.callID) {
		return cli.Usage(fmt.Errorf("--call-id %q is no callId", f.callID))
	}
	if f.max < 0 {
		return cli.Usage(fmt.Errorf("--max %d: want 0 or more", f.max))
	}
	f.from, err = cli.Since("since", f.since)
	return err
}

// subjects are what the filter comes to; one at least.
func (f *dlqFilter) subjects() []string {
	token, reasons := ">", f.reasons
	if f.callID != "" {
		token = voip.Token(f.callID)
	}
	if len(reasons) == 0 {
		reasons = []string{"*"}
	}
	all := make([]string, 0, len(reasons))
	for _, r := range reasons {
		all = append(all, voip.DLQPrefix+r+"."+token)
	}
	return all
}

// scan reads the dead letters that are meant, oldest first.
func (f *dlqFilter) scan(ctx context.Context, s *cli.Session, each func(*deadLetter) error) error {
	scan := cli.Scan{Stream: voip.StreamDLQ, Subjects: f.subjects(), Since: f.from, HeadersOnly: true}
	return s.Scan(ctx, scan, func(e *cli.Entry) error {
		d := newDeadLetter(e.Sequence, e.Subject, e.Header, e.At)
		return each(&d)
	})
}

// chosen are the entries that are meant, eight bytes for each.
func (f *dlqFilter) chosen(ctx context.Context, s *cli.Session) (sequences []uint64, err error) {
	err = f.scan(ctx, s, func(d *deadLetter) error {
		if sequences = append(sequences, d.Sequence); len(sequences) == f.max {
			return cli.ErrEnough
		}
		return nil
	})
	return sequences, err
}

// openDLQ connects and finds the stream.
func openDLQ(cmd *cobra.Command) (context.Context, *cli.Session, jetstream.Stream, error) {
	ctx, s, err := cli.Open(cmd, name)
	if err != nil {
		return nil, nil, nil, err
	}
	stream, err := s.JS.Stream(ctx, voip.StreamDLQ)
	if err != nil {
		err = cli.Fault(ctx, voip.StreamDLQ, err)
		s.Close()
		return nil, nil, nil, err
	}
	return ctx, s, stream, nil
}

// pace keeps a rate; its next waits for the turn, or for the end of ctx.
type pace struct {
	every time.Duration
	at    time.Time
}

func newPace(rate float64) (*pace, error) {
	if rate < 0 {
		return nil, cli.Usage(fmt.Errorf("--rate %g: want 0 or more a second", rate))
	}
	p := &pace{at: time.Now()}
	if rate > 0 {
		p.every = time.Duration(float64(time.Second) / rate)
	}
	return p, nil
}

var errInterrupted = errors.New("interrupted")

func (p *pace) next(ctx context.Context) error {
	if ctx.Err() != nil {
		return errInterrupted
	}
	now := time.Now()
	wait := p.at.Sub(now) // what was not used is not made up for
	p.at = now.Add(max(0, wait) + p.every)
	if wait <= 0 {
		return nil
	}
	t := time.NewTimer(wait)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return errInterrupted
	}
}
