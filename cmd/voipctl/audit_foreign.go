package main

import (
	"context"
	"errors"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/voip-push/worker/cmd/internal/cli"
	"github.com/voip-push/worker/internal/voip"
)

// foreign is a result whose message id names no push: none of a worker's. To
// whoever reads results it is one more of its call.
type foreign struct {
	callID   string
	sequence uint64
	at       time.Time
	push     int // the one of its call that it comes after, as an index; -1: there is none
}

// adopt gives the results that name no push to the calls that they name.
func (a *auditor) adopt(ctx context.Context) error {
	calls := map[uint64][]*foreign{}
	for i := range a.foreign {
		f := &a.foreign[i]
		if err := a.askCall(ctx, f); err != nil {
			return err
		}
		if f.callID != "" {
			key := a.key(f.callID, voip.Redrive{})
			calls[key] = append(calls[key], f)
		}
	}
	for i := range a.pushes {
		p := &a.pushes[i]
		for _, f := range calls[p.call] {
			if after := f.at.UnixMilli() - p.at; after >= 0 && after < lookBack.Milliseconds() {
				f.push = i // or a later one
			}
		}
	}
	for i := range a.foreign {
		a.count(&a.foreign[i])
	}
	return nil
}

// count takes a result as one of its call's, or as one without a push.
func (a *auditor) count(f *foreign) {
	switch {
	case f.push >= 0:
		p := &a.pushes[f.push]
		p.addResult(f.at)
		p.foreign = true
	case f.at.Before(a.from):
	case f.callID == "":
		a.strangeResult(f.sequence, f.at, "", 0, "it names neither a push nor a call")
	default:
		a.strangeResult(f.sequence, f.at, f.callID, 0, "no push of its call was stored")
	}
}

// askCall reads whose result it is where no header says so.
func (a *auditor) askCall(ctx context.Context, f *foreign) (err error) {
	if f.callID == "" {
		f.callID, err = a.callOf(ctx, f.sequence)
	}
	return err
}

// callOf is the callId in a result's body; empty: it has none, or has gone.
func (a *auditor) callOf(ctx context.Context, sequence uint64) (string, error) {
	stream, err := a.session.JS.Stream(ctx, voip.StreamResult)
	if err != nil {
		return "", cli.Fault(ctx, voip.StreamResult, err)
	}
	msg, err := stream.GetMsg(ctx, sequence)
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return "", nil
	}
	if err != nil {
		return "", cli.Fault(ctx, voip.StreamResult, err)
	}
	r, err := voip.DecodeResult(msg.Data)
	if err != nil {
		return "", nil //nolint:nilerr // it is no result, which is found
	}
	return r.CallID, nil
}
