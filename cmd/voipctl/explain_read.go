package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/voip-push/worker/cmd/internal/cli"
	"github.com/voip-push/worker/internal/broker"
	"github.com/voip-push/worker/internal/voip"
)

// explainer gathers the events of one call.
type explainer struct {
	session *cli.Session
	callID  string
	from    time.Time // zero: what the records name, else everything
	private bool

	pushes map[uint64]bool // of the call; true: its result was found
	claims []callRecord
	events []event
}

// callRecord is what is read of a call's record in the bucket.
type callRecord struct {
	Sequence   uint64        `json:"sequence"`
	Deliveries uint64        `json:"deliveries"`
	Worker     string        `json:"worker"`
	Starts     int           `json:"starts"`
	Clean      bool          `json:"clean"`
	Progress   voip.Progress `json:"progress"`
	Decided    *struct{}     `json:"decided"`

	at time.Time
}

func (e *explainer) run(ctx context.Context) error {
	for _, read := range []func(context.Context) error{e.readRecords, e.readPushes, e.readResults, e.readDead, e.readCancels} {
		if err := read(ctx); err != nil {
			return err
		}
	}
	for i := range e.claims {
		e.claimed(&e.claims[i])
	}
	slices.SortStableFunc(e.events, func(a, b event) int { return a.At.Compare(b.At) })
	return nil
}

// readRecords looks the call's record up, and those of its redrives.
func (e *explainer) readRecords(ctx context.Context) error {
	stream, err := e.session.JS.Stream(ctx, broker.CallsStream)
	if err != nil {
		return cli.Fault(ctx, broker.CallsStream, err)
	}
	key := broker.CallsPrefix + voip.Token(e.callID)
	redrives, err := stream.Info(ctx, jetstream.WithSubjectFilter(key+".>"))
	if err != nil {
		return cli.Fault(ctx, broker.CallsStream, err)
	}
	keys := []string{key}
	for subject := range redrives.State.Subjects {
		keys = append(keys, subject)
	}
	for _, key := range keys {
		msg, err := stream.GetLastMsgForSubject(ctx, key)
		if errors.Is(err, jetstream.ErrMsgNotFound) {
			continue
		}
		if err != nil {
			return cli.Fault(ctx, broker.CallsStream, err)
		}
		r := callRecord{at: msg.Time}
		if err := json.Unmarshal(msg.Data, &r); err != nil {
			return fmt.Errorf("the call's record cannot be read: %w", err)
		}
		e.claims, e.pushes[r.Sequence] = append(e.claims, r), false
	}
	return nil
}

// readPushes reads the pushes that the records name, or looks for them all.
func (e *explainer) readPushes(ctx context.Context) error {
	if len(e.pushes) == 0 || !e.from.IsZero() {
		return e.session.Scan(ctx, cli.Scan{Stream: voip.StreamPush, Since: e.from}, func(m *cli.Entry) error {
			if voip.OpenPush(m.Body).CallID == e.callID {
				e.pushes[m.Sequence] = false
				e.push(m)
			}
			return nil
		})
	}
	stream, err := e.session.JS.Stream(ctx, voip.StreamPush)
	if err != nil {
		return cli.Fault(ctx, voip.StreamPush, err)
	}
	for sequence := range e.pushes {
		msg, err := stream.GetMsg(ctx, sequence)
		if errors.Is(err, jetstream.ErrMsgNotFound) {
			continue
		}
		if err != nil {
			return cli.Fault(ctx, voip.StreamPush, err)
		}
		e.push(&cli.Entry{Header: msg.Header, Body: msg.Data, Sequence: sequence, At: msg.Time})
	}
	return nil
}

// readResults looks for the results from the first push on, and only as far as
// there is a push without one.
func (e *explainer) readResults(ctx context.Context) error {
	from := e.from
	for _, ev := range e.events {
		if e.from.IsZero() && (from.IsZero() || ev.At.Before(from)) {
			from = ev.At
		}
	}
	var found []uint64
	scan := cli.Scan{Stream: voip.StreamResult, Since: from, HeadersOnly: true}
	err := e.session.Scan(ctx, scan, func(m *cli.Entry) error {
		if m.Header.Get(voip.HeaderCallID) != e.callID {
			return nil
		}
		found = append(found, m.Sequence)
		if sequence, ok := resultOf(m.Header.Get(voip.HeaderMsgID)); ok {
			e.pushes[sequence] = true
		}
		if e.from.IsZero() && !e.waiting() {
			return cli.ErrEnough
		}
		return nil
	})
	if err != nil || len(found) == 0 {
		return err
	}
	stream, err := e.session.JS.Stream(ctx, voip.StreamResult)
	for _, sequence := range found {
		var msg *jetstream.RawStreamMsg
		if err == nil {
			msg, err = stream.GetMsg(ctx, sequence)
		}
		if err != nil {
			return cli.Fault(ctx, voip.StreamResult, err)
		}
		r, err := voip.DecodeResult(msg.Data)
		if err != nil {
			return err
		}
		e.result(&r, sequence, msg.Time)
	}
	return nil
}

func (e *explainer) waiting() bool {
	for _, found := range e.pushes {
		if !found {
			return true
		}
	}
	return false
}

func (e *explainer) readDead(ctx context.Context) error {
	f := dlqFilter{callID: e.callID, from: e.from}
	return f.scan(ctx, e.session, func(d *deadLetter) error {
		e.dead(d)
		return nil
	})
}

func (e *explainer) readCancels(ctx context.Context) error {
	return e.session.Scan(ctx, cli.Scan{Stream: voip.StreamCancel}, func(m *cli.Entry) error {
		if id, err := voip.DecodeCancel(m.Body); err == nil && id == e.callID {
			e.add(m.At, "cancel stored", "%s %d", voip.StreamCancel, m.Sequence)
		}
		return nil
	})
}
