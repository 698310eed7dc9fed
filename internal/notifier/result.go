package notifier

import (
	"context"
	"errors"
	"sync"
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
// it carries, empty for none. It does not wait: then is called once, with again
// when this result was stored before, or with why it is not stored (may's error,
// or ctx's cause, which is looked at between tries alone). Mostly it is called
// from where acks are read, and must not block.
func (n *Notifier) Result(ctx context.Context, may func() error, r *voip.Result, trace string, then func(again bool, err error)) {
	l, _ := letters.Get().(*letter)
	defer letters.Put(l)
	err := l.write(r, trace)
	if err == nil {
		err = may()
	}
	if err == nil && ctx.Err() != nil {
		err = unstored(ctx, &l.msg, nil)
	}
	if err != nil {
		then(false, err)
		return
	}
	n.js.PublishThen(&l.msg, func(ack jetstream.PubAck, err error) {
		if err == nil {
			then(ack.Duplicate, nil)
			return
		}
		go func() { then(n.storeResult(ctx, may, r, trace, err)) }()
	})
}

// storeResult goes on after a try that failed.
func (n *Notifier) storeResult(ctx context.Context, may func() error, r *voip.Result, trace string, failed error) (again bool, err error) {
	l := newLetter()
	if err := l.write(r, trace); err != nil {
		return false, err
	}
	return n.store(ctx, may, &l.msg, nil, failed)
}

// letter is the message of a result, written anew for one after the other: its
// body and headers are most of what a push would leave to the garbage collector.
type letter struct {
	msg    nats.Msg
	values [4]string // of the headers that each result has
}

//nolint:gochecknoglobals // a pool is made to be shared
var letters = sync.Pool{New: func() any { return newLetter() }}

func newLetter() *letter {
	l := &letter{}
	v := l.values[:]
	l.msg.Subject = voip.SubjectResult
	l.msg.Header = nats.Header{voip.HeaderMsgID: v[:1:1], voip.HeaderCallID: v[1:2:2], voip.HeaderOutcome: v[2:3:3], voip.HeaderReason: v[3:4:4]}
	return l
}

func (l *letter) write(r *voip.Result, trace string) (err error) {
	if l.msg.Data, err = r.AppendJSON(l.msg.Data[:0]); err != nil {
		return err
	}
	l.values = [...]string{voip.ResultMsgID(r.Push.Sequence), r.CallID, string(r.Outcome), string(r.Reason)}
	delete(l.msg.Header, voip.HeaderTraceparent)
	if trace != "" {
		l.msg.Header[voip.HeaderTraceparent] = []string{trace}
	}
	return nil
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
		ack, err := n.js.PublishMsg(ctx, probe)
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
