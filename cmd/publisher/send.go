package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/spf13/cobra"

	"github.com/voip-push/worker/cmd/internal/cli"
	"github.com/voip-push/worker/internal/voip"
)

// sendFlags are the flags of send that are no field of a push.
type sendFlags struct {
	callID, form, data, file, expiresAt string
	count                               int
	noMsgID, wait, asJSON               bool
	timeout                             time.Duration
}

func newSend() *cobra.Command {
	var f sendFlags
	var fields fieldFlags
	c := &cobra.Command{
		Use:   "send",
		Short: "Send one or more pushes",
		Long: `Send one or more pushes: one from the flags, or one for each line of --file, which
is sent as it stands. Without --call-id a new callId is made up. Nats-Msg-Id is set
to the callId, as gateways should: one that the broker knows of the last 15 minutes
it does not store again, and --wait prints the result that the call has already.`,
		Example: `  publisher send --user-name "Li Lei" --scene video --wait
  publisher send --call-id c-1 --form payload --avatar https://example.com/a.jpg
  echo '{"callId":"c-2","data":{"userName":"Li Lei"}}' | publisher send --file - --wait`,
		Args: cobra.NoArgs,
	}
	c.Flags().StringVar(&f.callID, "call-id", "", "callId; with --count, -1, -2, … are appended")
	c.Flags().IntVar(&f.count, "count", 1, "how many pushes to send")
	c.Flags().StringVar(&f.form, "form", string(voip.FormObject), "form of the push: payload (a PushPayload verbatim), string or object")
	c.Flags().StringVar(&f.data, "data", "", "opaque text as the push's data, instead of fields")
	c.Flags().StringVar(&f.file, "file", "", "file with a push's JSON on each line, - for standard input")
	c.Flags().StringVar(&f.expiresAt, "expires-at", "", "header Voip-Expires-At: a time as in RFC 3339, or a duration from now such as 10s")
	c.Flags().BoolVar(&f.noMsgID, "no-msg-id", false, "leave Nats-Msg-Id out")
	c.Flags().BoolVar(&f.wait, "wait", false, "wait for the results and print them; exit 1 when one was not reported")
	c.Flags().BoolVar(&f.asJSON, "json", false, "with --wait, print each result's JSON on a line of its own")
	c.Flags().DurationVar(&f.timeout, "timeout", 90*time.Second, "with --wait, how long to wait for all results")
	fields.register(c.Flags())
	cli.Values(c, "form", voip.Forms()...)
	cli.Values(c, "scene", "voice", "video")
	cli.Values(c, "voip-call-type", "voice", "video")
	cli.Values(c, "direction", voip.Outgoing, voip.Incoming)
	cli.File(c, "file")
	c.RunE = func(cmd *cobra.Command, _ []string) error { return send(cmd, &f, &fields) }
	return c
}

func send(cmd *cobra.Command, f *sendFlags, fields *fieldFlags) error {
	if f.asJSON && !f.wait {
		return cli.Usage(errors.New("--json prints results: use it with --wait"))
	}
	pushes, err := f.pushes(cmd, fields)
	if err != nil {
		return err
	}
	ctx, s, err := cli.Open(cmd, name)
	if err != nil {
		return err
	}
	defer s.Close()
	flush, err := startTraces(ctx, cmd, s)
	if err != nil {
		return err
	}
	defer flush()
	if !f.wait {
		_, err := publish(ctx, cmd, s, pushes)
		return err
	}
	results, err := cli.Listen(ctx, s.Conn)
	if err != nil {
		return cli.Fault(ctx, voip.StreamResult, err)
	}
	sent, err := publish(ctx, cmd, s, pushes)
	if err != nil && len(sent) == 0 {
		return err
	}
	stored, lookErr := earlier(ctx, s, sent)
	if lookErr != nil {
		return errors.Join(err, fmt.Errorf("a push was stored before, and its result cannot be looked for: %w", lookErr))
	}
	return errors.Join(err, wait(cmd, stored, results, sent, f))
}

// push is one message to send.
type push struct {
	callID string // empty: it has none, and no result can come
	msg    *nats.Msg
	before uint64 // the sequence under which it was stored before; 0: it was not
}

// publish sends the pushes, and returns those that the broker has stored.
func publish(ctx context.Context, cmd *cobra.Command, s *cli.Session, pushes []push) (sent []push, err error) {
	var errs []error
	for i, p := range pushes {
		ack, err := s.Publish(ctx, voip.StreamPush, p.msg)
		if err != nil {
			errs = append(errs, fmt.Errorf("push %s %w", shown(p.callID), err))
			if ctx.Err() != nil || errors.Is(err, cli.ErrNobody) {
				errs = append(errs, unsent(len(pushes)-i-1))
				break
			}
			continue
		}
		if ack.Duplicate {
			p.before = ack.Sequence
			fmt.Fprintf(cmd.ErrOrStderr(), "push %s was stored before, as %s %d: its Nats-Msg-Id is known\n", shown(p.callID), ack.Stream, ack.Sequence)
		} else {
			fmt.Fprintf(cmd.ErrOrStderr(), "sent %s as %s %d\n", shown(p.callID), ack.Stream, ack.Sequence)
		}
		sent = append(sent, p)
	}
	return sent, errors.Join(errs...)
}

// unsent says how many are left out once every one would fail alike.
func unsent(n int) error {
	if n == 0 {
		return nil
	}
	return fmt.Errorf("not sent after that: %d", n)
}

func shown(callID string) string {
	if callID == "" {
		return "(no callId)"
	}
	return callID
}
