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

// wait prints the results of the pushes: those that are stored already, and the
// others as they arrive. Its error says how many calls were not reported, or
// have no result.
func wait(cmd *cobra.Command, stored []*nats.Msg, results <-chan *nats.Msg, sent []push, f *sendFlags) error {
	w := newWaiting(cmd, sent, f)
	for _, msg := range stored {
		w.take(msg)
	}
	ctx, cancel := context.WithTimeout(cmd.Context(), f.timeout)
	defer cancel()
	for len(w.open) > 0 {
		select {
		case msg := <-results:
			w.take(msg)
		case <-ctx.Done():
			if errors.Is(cmd.Context().Err(), context.Canceled) {
				return fmt.Errorf("interrupted: %d of %d calls have no result yet", len(w.open), w.calls)
			}
			return fmt.Errorf("%d of %d calls have no result after %s; is a worker running? (a duplicate of a call has no result of its own)", len(w.open), w.calls, f.timeout)
		}
	}
	return w.fault(sent)
}

// waiting is what is known of the calls so far.
type waiting struct {
	cmd      *cobra.Command
	flags    *sendFlags
	calls    int
	open     map[string]bool
	reported map[string]bool
}

func newWaiting(cmd *cobra.Command, sent []push, f *sendFlags) *waiting {
	w := &waiting{cmd: cmd, flags: f, open: map[string]bool{}, reported: map[string]bool{}}
	for _, p := range sent {
		if p.callID == "" {
			fmt.Fprintln(cmd.ErrOrStderr(), "a push without a callId has no result: see the dead letters")
			continue
		}
		w.open[p.callID] = true
	}
	w.calls = len(w.open)
	if !f.asJSON && w.calls > 0 {
		cli.ResultHeader(cmd.OutOrStdout())
	}
	return w
}

// take prints a result of a call that has none yet.
func (w *waiting) take(msg *nats.Msg) {
	r := resultFor(msg, w.open)
	if r == nil {
		return
	}
	delete(w.open, r.CallID)
	if r.Outcome == voip.Reported {
		w.reported[r.CallID] = true
	}
	printResult(w.cmd, w.flags, msg, r)
}

// fault counts the pushes whose calls were not reported, and those of no call.
func (w *waiting) fault(sent []push) error {
	missing := 0
	for _, p := range sent {
		if !w.reported[p.callID] {
			missing++
		}
	}
	if missing > 0 {
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
