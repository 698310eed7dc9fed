package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/voip-push/worker/cmd/internal/cli"
	"github.com/voip-push/worker/internal/voip"
)

// Kinds of findings.
const (
	kindNone   = "no_outcome"
	kindTwo    = "two_outcomes"
	kindNoPush = "no_push"
	kindGone   = "gone"
)

// finding is one thing that is wrong.
type finding struct {
	Kind   string    `json:"kind"`
	CallID string    `json:"callId"`
	Push   uint64    `json:"pushSequence"`   // 0: not known
	Result uint64    `json:"resultSequence"` // 0: there is none, or more than one
	At     time.Time `json:"at,omitzero"`    // of the push, or of the result that has none
	State  string    `json:"state"`
}

// auditReport is what an audit says.
type auditReport struct {
	Since     string         `json:"since"`
	Pushes    int            `json:"pushes"`
	WithoutID int            `json:"pushesWithoutCallId"`
	Results   int            `json:"results"`
	Counts    map[string]int `json:"counts"`
	Findings  []finding      `json:"findings"` // the first few of each kind

	most int
}

func (r *auditReport) add(f finding) {
	r.Counts[f.Kind]++
	if r.Counts[f.Kind] <= r.most {
		f.At = f.At.UTC()
		r.Findings = append(r.Findings, f)
	}
}

func (r *auditReport) faults() (n int) {
	for _, count := range r.Counts {
		n += count
	}
	return n
}

func (r *auditReport) print(w io.Writer) {
	fmt.Fprintf(w, "%d pushes and %d results in the last %s; %d pushes without a callId\n", r.Pushes, r.Results, r.Since, r.WithoutID)
	if r.faults() == 0 {
		fmt.Fprintln(w, "every call whose life has ended has its outcome, and no more than one")
		return
	}
	for _, kind := range []string{kindNone, kindTwo, kindNoPush, kindGone} {
		if n := r.Counts[kind]; n > 0 {
			fmt.Fprintf(w, "%8d  %s\n", n, kind)
		}
	}
	rows := [][]string{{"FINDING", "CALL", "PUSH", "RESULT", "AT", "STATE"}}
	for _, f := range r.Findings {
		at := "-"
		if !f.At.IsZero() {
			at = cli.Clock(f.At)
		}
		rows = append(rows, []string{f.Kind, or(f.CallID), number(f.Push), number(f.Result), at, or(f.State)})
	}
	if len(r.Findings) > 0 {
		fmt.Fprintln(w)
	}
	cli.Table(w, rows)
	if left := r.faults() - len(r.Findings); left > 0 {
		fmt.Fprintf(w, "and %d more: see --max\n", left)
	}
}

// name reads again whose pushes were found.
func (a *auditor) name(ctx context.Context, r *auditReport) error {
	stream, err := a.session.JS.Stream(ctx, voip.StreamPush)
	if err != nil {
		return cli.Fault(ctx, voip.StreamPush, err)
	}
	slices.SortStableFunc(r.Findings, func(a, b finding) int { return cmp.Or(cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Push, b.Push)) })
	for i := range r.Findings {
		f := &r.Findings[i]
		if f.Kind == kindNoPush && f.CallID == "" {
			if f.CallID, err = a.callOf(ctx, f.Result); err != nil {
				return err
			}
		}
		if f.Kind != kindNone && f.Kind != kindTwo {
			continue
		}
		msg, err := stream.GetMsg(ctx, f.Push)
		if errors.Is(err, jetstream.ErrMsgNotFound) {
			f.State = "its push has aged out meanwhile"
			continue
		}
		if err != nil {
			return cli.Fault(ctx, voip.StreamPush, err)
		}
		f.CallID = voip.OpenPush(msg.Data).CallID
	}
	return nil
}

// originOf is the sequence of the push that a dead letter was; 0: not known.
func originOf(h nats.Header) uint64 {
	n, err := strconv.ParseUint(h.Get(voip.HeaderOriginSequence), 10, 64)
	if err != nil {
		return 0
	}
	return n
}

func isNoConsumer(err error) bool { return errors.Is(err, jetstream.ErrConsumerNotFound) }

func or(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

func number(n uint64) string {
	if n == 0 {
		return "-"
	}
	return strconv.FormatUint(n, 10)
}
