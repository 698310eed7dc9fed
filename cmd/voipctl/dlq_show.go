package main

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/spf13/cobra"

	"github.com/voip-push/worker/cmd/internal/cli"
	"github.com/voip-push/worker/internal/voip"
)

type dlqShowFlags struct {
	dlqFilter

	private, asJSON bool
}

func newDLQShow() *cobra.Command {
	var f dlqShowFlags
	c := &cobra.Command{
		Use:   "show [SEQUENCE...]",
		Short: "Print dead letters whole: headers and body",
		Long: `Print dead letters whole, headers and body: by the sequences that "dlq list" shows, or
those of a call, a reason or a time, oldest first.

Names, addresses of pictures, opaque data and the values of foreign headers are left
out but for --private or LOG_PRIVATE=true.`,
		Example: "  voipctl dlq show 17 18\n  voipctl dlq show --call-id c-1 --private\n  voipctl dlq show --reason CRASH_LOOP --max 3 --json",
		RunE:    func(cmd *cobra.Command, args []string) error { return dlqShow(cmd, args, &f) },
	}
	f.register(c, 20, "show at most so many (0: all)")
	c.Flags().BoolVar(&f.private, "private", false, "show private values")
	c.Flags().BoolVar(&f.asJSON, "json", false, "print each as JSON on a line of its own")
	return c
}

// shownLetter is a dead letter as JSON; Body is the text of it.
type shownLetter struct {
	deadLetter

	Subject string              `json:"subject"`
	Headers map[string][]string `json:"headers"`
	Bytes   int                 `json:"bytes"`
	Body    string              `json:"body"`
}

// given are the sequences on the command line. There are some, or a filter.
func (f *dlqShowFlags) given(args []string) ([]uint64, error) {
	if (len(args) > 0) == f.narrowed() {
		return nil, cli.Usage(errors.New("which? want sequences, or a filter: --call-id, --reason or --since"))
	}
	sequences := make([]uint64, 0, len(args))
	for _, arg := range args {
		n, err := strconv.ParseUint(arg, 10, 64)
		if err != nil || n == 0 {
			return nil, cli.Usage(fmt.Errorf("%q is no sequence: see voipctl dlq list", arg))
		}
		sequences = append(sequences, n)
	}
	return sequences, f.validate()
}

func dlqShow(cmd *cobra.Command, args []string, f *dlqShowFlags) error {
	sequences, err := f.given(args)
	if err != nil {
		return err
	}
	ctx, s, stream, err := openDLQ(cmd)
	if err != nil {
		return err
	}
	defer s.Close()
	if f.narrowed() {
		if sequences, err = f.chosen(ctx, s); err == nil && len(sequences) == 0 {
			err = errors.New("there is no such dead letter")
		}
		if err != nil {
			return err
		}
	}
	var errs []error
	for _, n := range sequences {
		msg, err := stream.GetMsg(ctx, n)
		if errors.Is(err, jetstream.ErrMsgNotFound) {
			errs = append(errs, fmt.Errorf("there is no dead letter %d", n))
			continue
		}
		if err != nil {
			return cli.Fault(ctx, voip.StreamDLQ, err)
		}
		shown := showLetter(msg, f.private || s.Private)
		if f.asJSON {
			errs = append(errs, cli.JSON(cmd.OutOrStdout(), shown))
			continue
		}
		shown.print(cmd)
	}
	return errors.Join(errs...)
}

func showLetter(msg *jetstream.RawStreamMsg, private bool) *shownLetter {
	shown := &shownLetter{
		deadLetter: newDeadLetter(msg.Sequence, msg.Subject, msg.Header, msg.Time),
		Subject:    msg.Subject, Headers: msg.Header, Bytes: len(msg.Data), Body: string(msg.Data),
	}
	if !private {
		shown.Headers, shown.Body = redactHeader(msg.Header), redactBody(msg.Data)
	}
	return shown
}

func (l *shownLetter) print(cmd *cobra.Command) {
	w := cmd.OutOrStdout()
	fmt.Fprintf(w, "%s %d, %s, stored %s\n", voip.StreamDLQ, l.Sequence, l.Subject, cli.Clock(l.StoredAt))
	rows := [][]string{{"HEADER", "VALUE"}}
	for _, k := range slices.Sorted(maps.Keys(l.Headers)) {
		for _, v := range l.Headers[k] {
			rows = append(rows, []string{k, v})
		}
	}
	cli.Table(w, rows)
	fmt.Fprintf(w, "\n%d bytes\n%s\n\n", l.Bytes, l.Body)
}
