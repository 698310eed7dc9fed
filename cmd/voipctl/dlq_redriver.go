package main

import (
	"context"
	"errors"
	"fmt"
	"net/textproto"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/voip-push/worker/cmd/internal/cli"
	"github.com/voip-push/worker/internal/voip"
)

// redriver sends dead letters again, one after the other.
type redriver struct {
	session *cli.Session
	stream  jetstream.Stream
	flags   *redriveFlags
	report  *redriveReport
	sent    map[string]bool // ids of redriven pushes that are stored
}

// stepTimeout is for the steps of one entry, which is finished once it is begun.
const stepTimeout = 10 * time.Second

// all takes the entries to their ends, at the pace, until it is told to stop.
func (d *redriver) all(ctx context.Context, pace *pace, sequences []uint64, meter *cli.Meter) error {
	if len(sequences) == 0 {
		return nil
	}
	if err := d.before(ctx); err != nil {
		return err
	}
	for i, sequence := range sequences {
		if err := pace.next(ctx); err != nil {
			return cli.Fault(ctx, voip.StreamDLQ, err)
		}
		if err := d.one(ctx, sequence); err != nil {
			return err
		}
		meter.At(uint64(i + 1))
	}
	return nil
}

// before reads which redriven pushes the stream holds: an earlier redrive may
// have been cut off between storing one and deleting its entry. The broker's
// own check of ids reaches back 15 minutes, this one as far as pushes are kept.
func (d *redriver) before(ctx context.Context) error {
	scan := cli.Scan{Stream: voip.StreamPush, HeadersOnly: true}
	return d.session.Scan(ctx, scan, func(e *cli.Entry) error {
		if id := e.Header.Get(voip.HeaderMsgID); strings.HasPrefix(id, redrivePrefix) {
			d.sent[id] = true
		}
		return nil
	})
}

const redrivePrefix = "redrive:"

// one takes an entry to its end. A stop is heard before it and after it.
func (d *redriver) one(ctx context.Context, sequence uint64) error {
	ctx, done := cli.Finish(ctx, stepTimeout)
	defer done()
	msg, err := d.stream.GetMsg(ctx, sequence)
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		d.report.Gone++
		d.report.Remaining--
		return nil
	}
	if err != nil {
		return cli.Fault(ctx, voip.StreamDLQ, err)
	}
	letter := newDeadLetter(sequence, msg.Subject, msg.Header, msg.Time)
	if why := d.flags.skip(&letter, time.Now()); why != "" { // its deadline came while others were sent
		d.report.Skipped[why]++
		d.report.Remaining--
		return nil
	}
	push := d.push(&letter, msg)
	known := d.sent[push.Header.Get(voip.HeaderMsgID)]
	if !known {
		if known, err = d.publish(ctx, push); err != nil {
			return err
		}
	}
	if err := d.stream.DeleteMsg(ctx, sequence); err != nil && !errors.Is(err, jetstream.ErrMsgNotFound) {
		return fmt.Errorf("dead letter %d is redriven, and not deleted: %w; run it again within 30m", sequence, cli.Fault(ctx, voip.StreamDLQ, err))
	}
	if known {
		d.report.Before++
	} else {
		d.report.Redriven++
	}
	d.report.Remaining--
	return nil
}

// publish stores the push; known says that it was stored before.
func (d *redriver) publish(ctx context.Context, push *nats.Msg) (known bool, err error) {
	ack, err := d.session.JS.PublishMsg(ctx, push, jetstream.WithExpectStream(voip.StreamPush))
	if err != nil {
		return false, cli.Fault(ctx, voip.StreamPush, err)
	}
	return ack.Duplicate, nil
}

// push is the dead letter as a push again: its bytes, its own headers, and what
// makes it a redrive.
func (d *redriver) push(letter *deadLetter, msg *jetstream.RawStreamMsg) *nats.Msg {
	h := nats.Header{}
	for k, values := range msg.Header {
		key := textproto.CanonicalMIMEHeaderKey(k)
		if !strings.HasPrefix(key, "Nats-") && !isDeadLetterHeader(key) {
			h[k] = values
		}
	}
	n, origin := strconv.Itoa(letter.Redrives+1), strconv.FormatUint(letter.OriginSequence, 10)
	expires := letter.ExpiresAt
	if now := time.Now(); !expires.After(now) {
		expires = now.Add(d.flags.extend)
	}
	h.Set(voip.HeaderRedrives, n)
	h.Set(voip.HeaderOriginSequence, origin)
	h.Set(voip.HeaderExpiresAt, expires.UTC().Format(time.RFC3339Nano))
	h.Set(voip.HeaderMsgID, redrivePrefix+origin+":r"+n)
	return &nats.Msg{Subject: voip.SubjectPush, Header: h, Data: msg.Data}
}

// isDeadLetterHeader names the headers that a dead letter adds.
func isDeadLetterHeader(key string) bool {
	switch key {
	case voip.HeaderReason, voip.HeaderClass, voip.HeaderError, voip.HeaderStage, voip.HeaderCallID, voip.HeaderAttempts,
		voip.HeaderFirstSeen, voip.HeaderFailedAt, voip.HeaderExpiresAt, voip.HeaderWorker, voip.HeaderOriginStream,
		voip.HeaderOriginSubject, voip.HeaderOriginSequence, voip.HeaderOriginMsgID, voip.HeaderRedrives:
		return true
	default:
		return false
	}
}
