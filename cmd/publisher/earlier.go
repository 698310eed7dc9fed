package main

import (
	"context"
	"errors"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/voip-push/worker/cmd/internal/cli"
	"github.com/voip-push/worker/internal/voip"
)

// pushLife is how long a push lives; for no longer does its stream know its id,
// and its result is not older.
const pushLife = 30 * time.Minute

// earlier are the results of pushes that were stored before: no other will come.
// Those of calls that are not over yet are left out, and arrive.
func earlier(ctx context.Context, s *cli.Session, sent []push) ([]*nats.Msg, error) {
	sought := map[string]bool{}
	for _, p := range sent {
		if p.before > 0 {
			sought[voip.ResultMsgID(p.before)] = true
		}
	}
	if len(sought) == 0 {
		return nil, nil
	}
	var found []uint64
	scan := cli.Scan{Stream: voip.StreamResult, Since: time.Now().Add(-pushLife), HeadersOnly: true}
	err := s.Scan(ctx, scan, func(e *cli.Entry) error {
		id := e.Header.Get(voip.HeaderMsgID)
		if !sought[id] {
			return nil
		}
		delete(sought, id)
		if found = append(found, e.Sequence); len(sought) == 0 {
			return cli.ErrEnough
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return read(ctx, s, found)
}

// read reads results by their sequences.
func read(ctx context.Context, s *cli.Session, sequences []uint64) ([]*nats.Msg, error) {
	stream, err := s.JS.Stream(ctx, voip.StreamResult)
	if err != nil {
		return nil, cli.Fault(ctx, voip.StreamResult, err)
	}
	var results []*nats.Msg
	for _, sequence := range sequences {
		msg, err := stream.GetMsg(ctx, sequence)
		if errors.Is(err, jetstream.ErrMsgNotFound) {
			continue // deleted meanwhile
		}
		if err != nil {
			return nil, cli.Fault(ctx, voip.StreamResult, err)
		}
		results = append(results, &nats.Msg{Subject: msg.Subject, Header: msg.Header, Data: msg.Data})
	}
	return results, nil
}
