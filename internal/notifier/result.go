package notifier

import (
	"context"
	"errors"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/voip-push/worker/internal/voip"
)

// Answers of the server to a rollup on a stream that allows none. nats.go does
// not name them; they are pinned by a test against the server itself.
const (
	codeRollupRefused jetstream.ErrorCode = 10111 // the id was not known
	codeIDInProcess   jetstream.ErrorCode = 10158 // the id is being stored: ask again
)

// Result publishes a result until it is stored; trace is the traceparent that
// it carries, empty for none. again says that this result was stored before.
func (n *Notifier) Result(ctx context.Context, may func() error, r *voip.Result, trace string) (again bool, err error) {
	body, err := r.Encode()
	if err != nil {
		return false, err
	}
	h := nats.Header{
		voip.HeaderMsgID:   {voip.ResultMsgID(r.Push.Sequence)},
		voip.HeaderCallID:  {r.CallID},
		voip.HeaderOutcome: {string(r.Outcome)},
		voip.HeaderReason:  {string(r.Reason)},
	}
	if trace != "" {
		h[voip.HeaderTraceparent] = []string{trace}
	}
	return n.store(ctx, may, &nats.Msg{Subject: voip.SubjectResult, Header: h, Data: body}, nil)
}

// Stored asks whether the result of the push with that sequence is stored.
// Nothing indexes message ids, but the server's own duplicate check can be
// asked: a message with that id and a rollup header, which the stream does not
// allow, is acked as a duplicate when the id is known, and refused without a
// trace when it is not.
func (n *Notifier) Stored(ctx context.Context, sequence uint64) (bool, error) {
	wait := newBackOff()
	probe := &nats.Msg{Subject: voip.SubjectResult, Header: nats.Header{
		voip.HeaderMsgID:  {voip.ResultMsgID(sequence)},
		voip.HeaderRollup: {jetstream.MsgRollupSubject},
	}}
	for {
		ack, err := n.publish(ctx, probe)
		if err == nil {
			if !ack.Duplicate {
				return false, errors.New("stream " + voip.StreamResult + " allows rollups: run `worker provision`")
			}
			return true, nil
		}
		if refused, ok := errors.AsType[*jetstream.APIError](err); ok && refused.ErrorCode == codeRollupRefused {
			return false, nil
		} else if !ok || refused.ErrorCode != codeIDInProcess {
			return false, err
		}
		if sleep(ctx, wait.NextBackOff()); ctx.Err() != nil {
			return false, context.Cause(ctx)
		}
	}
}

// stamp is a time as every header of ours shows it.
func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339Nano) }
