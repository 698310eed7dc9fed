package cli

import (
	"context"
	"errors"
	"io"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/voip-push/worker/internal/stream"
)

// Scan says what of a stream is read, oldest first, once.
type Scan struct {
	Stream      string
	Subjects    []string  // empty: all
	Since       time.Time // zero: from the beginning
	HeadersOnly bool
}

// Entry is one message that a scan comes by.
type Entry struct {
	Subject  string
	Header   nats.Header
	Body     []byte // nil with HeadersOnly
	Sequence uint64
	At       time.Time // the broker's timestamp
}

// ErrEnough ends a scan without an error.
var ErrEnough = errors.New("enough was read")

// scanIdle is when a scan that nothing came by asks whether anything will.
const scanIdle = time.Second

// Scan reads what the stream holds as it begins. What is stored later is left to the next one, so that it ends on a busy
// stream as well. The error of each ends it. A long one says how far it is.
func (s *Session) Scan(ctx context.Context, what Scan, each func(*Entry) error) error {
	held, err := s.JS.Stream(ctx, what.Stream)
	if err != nil {
		return Fault(ctx, what.Stream, err)
	}
	state := held.CachedInfo().State
	if state.Msgs == 0 {
		return nil
	}
	r := reading{
		each: each, until: state.LastSeq, all: len(what.Subjects) == 0, end: make(chan error, 1),
		stderr: s.stderr,
	}
	if err := r.run(ctx, s, held, &what); err != nil {
		return Fault(ctx, what.Stream, err)
	}
	return r.failed
}

// reading is a scan under way.
type reading struct {
	each   func(*Entry) error
	until  uint64
	all    bool // every message is read, the last one too
	end    chan error
	seen   atomic.Uint64 // messages so far
	failed error         // each's own
	stderr io.Writer

	mu   sync.Mutex // held while each runs
	over bool
}

func (r *reading) run(ctx context.Context, s *Session, held jetstream.Stream, what *Scan) error {
	f := s.follower(stream.Reading{Stream: what.Stream, Subjects: what.Subjects, Since: what.Since, HeadersOnly: what.HeadersOnly}, r.take)
	if err := f.Begin(ctx, held); err != nil {
		return err
	}
	defer f.End()
	left, err := f.Left(ctx)
	if err != nil || left == 0 && f.Last() == 0 {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	var kept sync.WaitGroup
	defer kept.Wait() // or it may begin again after the end
	defer cancel()
	kept.Go(func() { s.keep(ctx, f, what.Stream) })
	err = r.wait(ctx, f.Left, NewMeter(r.stderr, "reading "+what.Stream, int(left)))
	r.mu.Lock()
	defer r.mu.Unlock()
	r.over = true
	return err
}

// wait waits for the end. What is deleted while it is read may leave no last
// message to end by: when none came for a while the server is asked.
func (r *reading) wait(ctx context.Context, left func(context.Context) (uint64, error), meter *Meter) error {
	idle := time.NewTicker(scanIdle)
	defer idle.Stop()
	for last := uint64(0); ; last = r.seen.Load() {
		select {
		case err := <-r.end:
			return err
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-idle.C:
		}
		meter.At(r.seen.Load())
		if r.seen.Load() != last {
			continue
		}
		if n, err := left(ctx); err == nil && n == 0 {
			return nil
		}
	}
}

func (r *reading) take(msg *nats.Msg, meta *nats.MsgMetadata) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.seen.Add(1)
	if r.over {
		return // one too many
	}
	if meta.Sequence.Stream > r.until {
		r.finish(nil)
		return
	}
	err := r.each(&Entry{
		Subject: msg.Subject, Header: msg.Header, Body: msg.Data, Sequence: meta.Sequence.Stream, At: meta.Timestamp,
	})
	// A replica that lags behind has nothing more for now, long before the end.
	if err != nil || meta.NumPending == 0 && !r.all || meta.Sequence.Stream == r.until {
		r.finish(err)
	}
}

// finish ends the reading; the mutex is held.
func (r *reading) finish(err error) {
	if !errors.Is(err, ErrEnough) {
		r.failed = err
	}
	r.over = true
	r.end <- nil
}
