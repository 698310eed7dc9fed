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

// Figures of a scan. What is fetched ahead is bounded by bytes, so that large
// messages do not fill the memory.
const (
	scanAhead      = 2000
	scanAheadBytes = 8 << 20
	scanIdle       = time.Second
)

// Scan reads what the stream holds as it begins, through an ordered consumer.
// What is stored later is left to the next one, so that it ends on a busy
// stream as well. The error of each ends it. A long one says how far it is.
func (s *Session) Scan(ctx context.Context, what Scan, each func(*Entry) error) error {
	stream, err := s.JS.Stream(ctx, what.Stream)
	if err != nil {
		return Fault(ctx, what.Stream, err)
	}
	state := stream.CachedInfo().State
	if state.Msgs == 0 {
		return nil
	}
	r := reading{
		each: each, until: state.LastSeq, all: len(what.Subjects) == 0, end: make(chan error, 1),
		stderr: s.stderr,
	}
	if err := r.run(ctx, s.JS, &what); err != nil {
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
	taken  atomic.Uint64 // the consumer's number of the last
	failed error         // each's own
	stderr io.Writer

	mu   sync.Mutex // held while each runs
	over bool
}

func (r *reading) run(ctx context.Context, js jetstream.JetStream, what *Scan) error {
	cfg := jetstream.OrderedConsumerConfig{FilterSubjects: what.Subjects, HeadersOnly: what.HeadersOnly, DeliverPolicy: jetstream.DeliverAllPolicy}
	if !what.Since.IsZero() {
		cfg.DeliverPolicy, cfg.OptStartTime = jetstream.DeliverByStartTimePolicy, &what.Since
	}
	ordered, err := js.OrderedConsumer(ctx, what.Stream, cfg)
	if err != nil {
		return err
	}
	info, err := ordered.Info(ctx)
	if err != nil || info.NumPending == 0 {
		return err
	}
	consuming, err := ordered.Consume(r.take, jetstream.PullMaxMessagesWithBytesLimit(scanAhead, scanAheadBytes))
	if err != nil {
		return err
	}
	defer consuming.Stop()
	err = r.wait(ctx, ordered, NewMeter(r.stderr, "reading "+what.Stream, int(info.NumPending)))
	r.mu.Lock()
	defer r.mu.Unlock()
	r.over = true
	return err
}

// wait waits for the end. What is deleted while it is read may leave no last
// message to end by: when none came for a while the consumer is asked.
func (r *reading) wait(ctx context.Context, ordered jetstream.Consumer, meter *Meter) error {
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
		info, err := ordered.Info(ctx)
		if err == nil && info.NumPending == 0 && r.caughtUp(info.Delivered.Consumer) {
			return nil
		}
	}
}

// caughtUp says whether all that the consumer has delivered is taken: its last
// message may be behind its word that nothing is left. One that has begun anew
// has delivered nothing yet.
func (r *reading) caughtUp(delivered uint64) bool {
	return delivered == 0 || delivered == r.taken.Load()
}

func (r *reading) take(msg jetstream.Msg) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.seen.Add(1)
	meta, err := msg.Metadata()
	if err != nil || r.over {
		return // no message of the stream, or one too many
	}
	r.taken.Store(meta.Sequence.Consumer)
	if meta.Sequence.Stream > r.until {
		r.finish(nil)
		return
	}
	err = r.each(&Entry{
		Subject: msg.Subject(), Header: msg.Headers(), Body: msg.Data(), Sequence: meta.Sequence.Stream, At: meta.Timestamp,
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
