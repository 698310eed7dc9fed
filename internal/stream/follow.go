package stream

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// Reading says what of a stream is followed, oldest first.
type Reading struct {
	Stream      string
	Subjects    []string  // empty: all
	Since       time.Time // zero: from the beginning
	HeadersOnly bool      // messages come without their bodies
}

// Follower reads a stream in order, each message once, and goes on with what
// comes; Keep begins it again when it has to.
// (nats.go's ordered consumer does all of this by itself, but never gets past an
// empty message with a header named Status.)
type Follower struct {
	nc   *nats.Conn
	what Reading
	take func(*nats.Msg, *nats.MsgMetadata)
	log  *slog.Logger

	serial sync.Mutex // held while a message is taken: an earlier beginning may still do so

	mu       sync.Mutex
	puller   *Puller
	consumer jetstream.Consumer
	created  time.Time // of the stream
	last     uint64    // the stream's sequence of the last message that was taken
	next     uint64    // the consumer's sequence of the one to come
	lost     error     // why the rest waits for the next beginning; nil: it does not
	taking   bool
	read     chan struct{}
	isRead   bool
}

// followAhead is what is asked for ahead: reading a long stream waits for no
// round trip.
const (
	followAhead    = 2000
	followBytes    = 8 << 20     // of which so much at once, or large messages would fill the memory
	followInactive = time.Minute // then the server forgets a consumer that nobody asks
)

// errGap: the server counts on a message that never came here.
var errGap = errors.New("a message was lost on its way")

// NewFollower follows nothing yet; take gets the messages one after the other,
// and must not block for long.
func NewFollower(nc *nats.Conn, what Reading, take func(*nats.Msg, *nats.MsgMetadata), log *slog.Logger) *Follower {
	return &Follower{nc: nc, what: what, take: take, log: log, read: make(chan struct{})}
}

// Begin begins, or goes on behind the last message that was taken: after a
// connection was lost, or when State says why nothing comes. A stream that was
// made again is read from its beginning. stream is as it was just looked up.
func (f *Follower) Begin(ctx context.Context, stream jetstream.Stream) error {
	f.End()
	info := stream.CachedInfo()
	f.mu.Lock()
	if !info.Created.Equal(f.created) || info.State.LastSeq < f.last {
		f.last = 0
	}
	cfg := f.config(f.last)
	f.mu.Unlock()
	consumer, err := stream.CreateConsumer(ctx, cfg)
	if err != nil {
		return fmt.Errorf("read stream %s: %w", f.what.Stream, err)
	}
	ahead := followAhead
	if most := consumer.CachedInfo().Config.MaxRequestBatch; most > 0 { // a server may set its own on every consumer
		ahead = min(ahead, most)
	}
	p := &Puller{
		Conn: f.nc, Subject: NextSubject(f.what.Stream, consumer.CachedInfo().Name), Ahead: ahead, Bytes: followBytes, Log: f.log,
		Room: func() (free, places int) { return ahead, ahead },
	}
	p.Deliver = func(msg *nats.Msg, _ time.Time) { f.deliver(p, msg) }
	f.mu.Lock()
	f.puller, f.consumer, f.created, f.next, f.lost = p, consumer, info.Created, 1, nil
	if consumer.CachedInfo().NumPending == 0 {
		f.readAll()
	}
	f.mu.Unlock()
	return p.Renew()
}

func (f *Follower) config(last uint64) jetstream.ConsumerConfig {
	cfg := jetstream.ConsumerConfig{
		AckPolicy: jetstream.AckNonePolicy, DeliverPolicy: jetstream.DeliverAllPolicy, MemoryStorage: true, Replicas: 1,
		InactiveThreshold: followInactive, FilterSubjects: f.what.Subjects, HeadersOnly: f.what.HeadersOnly,
	}
	switch {
	case last > 0:
		cfg.DeliverPolicy, cfg.OptStartSeq = jetstream.DeliverByStartSequencePolicy, last+1
	case !f.what.Since.IsZero():
		cfg.DeliverPolicy, cfg.OptStartTime = jetstream.DeliverByStartTimePolicy, &f.what.Since
	}
	return cfg
}

// deliver takes a message of the present beginning. What an earlier one still
// has on its way comes again.
func (f *Follower) deliver(p *Puller, msg *nats.Msg) {
	meta, err := msg.Metadata()
	if err != nil {
		return // no message of the stream
	}
	f.serial.Lock()
	defer f.serial.Unlock()
	f.mu.Lock()
	if f.puller != p || f.lost != nil {
		f.mu.Unlock()
		return
	}
	if meta.Sequence.Consumer != f.next {
		f.lost = errGap
		f.mu.Unlock()
		return
	}
	f.next, f.last, f.taking = f.next+1, meta.Sequence.Stream, true
	f.mu.Unlock()
	f.take(msg, meta)
	f.mu.Lock()
	f.taking = false
	if meta.NumPending == 0 {
		f.readAll()
	}
	f.mu.Unlock()
}

// readAll closes read, once. mu is held.
func (f *Follower) readAll() {
	if !f.isRead {
		f.isRead = true
		close(f.read)
	}
}

// Read is closed once nothing that the stream held was left to take.
func (f *Follower) Read() <-chan struct{} { return f.read }

// State is why nothing comes; nil while it may.
func (f *Follower) State() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	switch {
	case f.puller == nil:
		return errors.New("not reading yet")
	case f.taking: // whoever takes his time hears nothing of the server meanwhile
		return nil
	case f.lost != nil:
		return f.lost
	}
	return f.puller.State()
}

// Lose has all that is not taken yet read anew by the next beginning.
func (f *Follower) Lose(why error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.lost = why
}

// Created is when the stream that is followed was made; zero: none is.
func (f *Follower) Created() time.Time {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.created
}

// Last is the stream's sequence of the last message that was taken; 0: none was.
func (f *Follower) Last() uint64 {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.last
}

// Left asks how many messages there are that are not taken yet; one that is being
// taken counts.
func (f *Follower) Left(ctx context.Context) (uint64, error) {
	f.mu.Lock()
	consumer := f.consumer
	f.mu.Unlock()
	info, err := consumer.Info(ctx)
	if err != nil {
		return 0, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.consumer != consumer {
		return 0, errors.New("it has begun again meanwhile")
	}
	left := info.NumPending + info.Delivered.Consumer + 1 - f.next
	if f.taking {
		left++
	}
	return left, nil
}

// End ends the following; what is on its way is dropped.
func (f *Follower) End() {
	f.mu.Lock()
	p := f.puller
	f.puller = nil
	f.mu.Unlock()
	if p != nil {
		p.End()
	}
}
