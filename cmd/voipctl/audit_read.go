package main

import (
	"context"
	"hash/maphash"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/voip-push/worker/cmd/internal/cli"
	"github.com/voip-push/worker/internal/voip"
)

const (
	claimLife = 15 * time.Minute // as long as a callId is one call
	// lookBack is how long before the window the push lies that may have claimed
	// a call of it: a claim is as long as its record, which a call may write to
	// the end of its life.
	lookBack = claimLife + voip.MaxTTL
)

// auditor holds forty bytes for each push, and no callId: those are read again
// for the few that are found.
type auditor struct {
	session   *cli.Session
	from, now time.Time
	grace     time.Duration

	seed   maphash.Seed
	first  uint64 // the sequence of pushes[0]
	end    uint64 // the last sequence that was there as the reading began
	pushes []auditPush

	withoutID, results int
	most               int // findings of a kind that are kept
	strange            []finding
	strangers          int // results without a push
	foreign            []foreign
	maxAge             time.Duration
	begin              uint64   // the sequence that the stream of pushes began at
	settled            []uint64 // earlier pushes that are known to have ended
	lowest             uint64   // of them, with a result in the window
}

// auditPush is what is kept of a push; times in milliseconds.
type auditPush struct {
	call    uint64 // a hash of the key of its claim; 0: it has no callId, or there is no push
	at, due int64
	result  int64 // when its result was stored
	stored  bool
	foreign bool // one of its results is none of a worker's
	results uint8
}

func (p *auditPush) addResult(at time.Time) {
	if p.results < math.MaxUint8 {
		p.results++
	}
	p.result = max(p.result, at.UnixMilli())
}

// key is the hash of a claim's.
func (a *auditor) key(callID string, redrive voip.Redrive) uint64 {
	return max(1, maphash.String(a.seed, voip.RecordKey(callID, redrive)))
}

func (a *auditor) run(ctx context.Context, most int) (*auditReport, error) {
	a.seed, a.most = maphash.MakeSeed(), most
	if err := a.readPushes(ctx); err != nil {
		return nil, err
	}
	if err := a.readResults(ctx); err != nil {
		return nil, err
	}
	if err := a.adopt(ctx); err != nil {
		return nil, err
	}
	return a.report(ctx)
}

func (a *auditor) readPushes(ctx context.Context) error {
	_, last, err := a.lookAtPushes(ctx)
	if err != nil {
		return err
	}
	a.first, a.end = last+1, last
	scan := cli.Scan{Stream: voip.StreamPush, Since: a.from.Add(-lookBack)}
	return a.session.Scan(ctx, scan, func(e *cli.Entry) error {
		if len(a.pushes) == 0 {
			a.first = e.Sequence
		}
		a.end = max(a.end, e.Sequence)
		a.reach(e.Sequence)
		a.pushes[e.Sequence-a.first] = a.push(e)
		return nil
	})
}

// reach makes room for a push, and for those before it.
func (a *auditor) reach(sequence uint64) {
	for uint64(len(a.pushes)) <= sequence-a.first {
		a.pushes = append(a.pushes, auditPush{})
	}
}

// push keeps what counts of a push. The life of one that cannot be decoded is
// over at once.
func (a *auditor) push(e *cli.Entry) auditPush {
	p := auditPush{stored: true, at: e.At.UnixMilli(), due: e.At.UnixMilli()}
	envelope := voip.OpenPush(e.Body)
	if envelope.CallID == "" {
		if !e.At.Before(a.from) {
			a.withoutID++
		}
		return p
	}
	redrive, _ := voip.RedriveOf(e.Header, e.Sequence) // what cannot be read is ignored, as the worker does
	p.call = a.key(envelope.CallID, redrive)
	expires, err := voip.ExpiresAtOf(e.Header)
	if err != nil {
		expires = time.Time{}
	}
	push, err := envelope.Decode(voip.Defaults{UserName: "-", Density: 1, TTL: defaultLife})
	if err == nil {
		p.due = push.Deadline(e.At, expires, redrive.Count > 0).UnixMilli()
	}
	return p
}

// defaultLife is CALL_TTL's default; --grace is for fleets that have another.
const defaultLife = time.Minute

func (a *auditor) readResults(ctx context.Context) error {
	scan := cli.Scan{Stream: voip.StreamResult, Since: a.from.Add(-lookBack), HeadersOnly: true}
	var last uint64 // whatever has a result by now was stored by now
	return a.session.Scan(ctx, scan, func(e *cli.Entry) (err error) {
		if last == 0 {
			if _, last, err = a.lookAtPushes(ctx); err != nil {
				return err
			}
		}
		inWindow := !e.At.Before(a.from)
		if inWindow {
			a.results++
		}
		sequence, ok := resultOf(e.Header.Get(voip.HeaderMsgID))
		switch {
		case !ok:
			a.foreign = append(a.foreign, foreign{e.Header.Get(voip.HeaderCallID), e.Sequence, e.At, -1})
		case sequence > last:
			if inWindow {
				a.strangeResult(e.Sequence, e.At, e.Header.Get(voip.HeaderCallID), sequence, "no such push was stored")
			}
		case sequence >= a.first && sequence <= a.end:
			a.take(e, sequence, inWindow)
		case sequence < a.first:
			a.settled = append(a.settled, sequence)
			if inWindow && (a.lowest == 0 || sequence < a.lowest) {
				a.lowest = sequence
			}
		}
		return nil
	})
}

// take notes the result of a push that was read.
func (a *auditor) take(e *cli.Entry, sequence uint64, inWindow bool) {
	a.reach(sequence)
	p := &a.pushes[sequence-a.first]
	p.addResult(e.At)
	if !p.stored && inWindow {
		a.strangeResult(e.Sequence, e.At, e.Header.Get(voip.HeaderCallID), sequence, "its push was deleted")
	}
}

func (a *auditor) strangeResult(result uint64, at time.Time, callID string, push uint64, why string) {
	if a.strangers++; a.strangers <= a.most {
		a.strange = append(a.strange, finding{Kind: kindNoPush, CallID: callID, Push: push, Result: result, At: at, State: why})
	}
}

// lookAtPushes is how long pushes are kept, and the sequence of the last.
func (a *auditor) lookAtPushes(ctx context.Context) (state jetstream.StreamState, last uint64, err error) {
	stream, err := a.session.JS.Stream(ctx, voip.StreamPush)
	if err != nil {
		return state, 0, cli.Fault(ctx, voip.StreamPush, err)
	}
	a.maxAge, a.begin = stream.CachedInfo().Config.MaxAge, stream.CachedInfo().Config.FirstSeq
	state = stream.CachedInfo().State
	return state, state.LastSeq, nil
}

// resultOf is the sequence of the push in a result's message id.
func resultOf(id string) (uint64, bool) {
	n, found := strings.CutPrefix(id, "res:"+voip.StreamPush+":")
	sequence, err := strconv.ParseUint(n, 10, 64)
	return sequence, found && err == nil && sequence > 0
}
