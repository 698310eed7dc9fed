package broker

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// Publisher stores messages in streams. It is the hot path's part of
// jetstream.JetStream's PublishMsgAsync without a timer, two channels, reflection
// and a goroutine that waits for each message (BenchmarkPublish has both). It is
// safe for concurrent use.
type Publisher struct {
	nc      *nats.Conn
	prefix  string // of the subjects that the streams' acks come to
	timeout time.Duration
	sub     *nats.Subscription
	status  chan nats.Status
	done    chan struct{}
	loop    sync.WaitGroup

	mu   sync.Mutex
	last uint64
	out  map[uint64]pending // nil: closed
}

// pending is a message whose ack is not here yet.
type pending struct {
	sent time.Time
	then func(jetstream.PubAck, error)
}

// NewPublisher returns a publisher on a connection. Close ends it.
func NewPublisher(nc *nats.Conn) (*Publisher, error) { return newPublisher(nc, requestTimeout) }

func newPublisher(nc *nats.Conn, timeout time.Duration) (*Publisher, error) {
	p := &Publisher{
		nc: nc, prefix: nc.NewInbox() + ".", timeout: timeout, done: make(chan struct{}), out: map[uint64]pending{},
		status: nc.StatusChanged(nats.RECONNECTING, nats.CLOSED),
	}
	var err error
	if p.sub, err = nc.Subscribe(p.prefix+"*", p.receive); err != nil {
		return nil, fmt.Errorf("listen for the acks of streams: %w", err)
	}
	if err := p.sub.SetPendingLimits(-1, -1); err != nil { // there is one for each message that is out
		return nil, fmt.Errorf("listen for the acks of streams: %w", err)
	}
	p.loop.Go(p.watch)
	return p, nil
}

// Close fails what is out, and what is sent from then on, with
// nats.ErrConnectionClosed.
func (p *Publisher) Close() error {
	close(p.done)
	p.loop.Wait()
	p.nc.RemoveStatusListener(p.status)
	p.mu.Lock()
	out := p.out
	p.out = nil
	p.mu.Unlock()
	for _, waits := range out {
		waits.then(jetstream.PubAck{}, nats.ErrConnectionClosed)
	}
	if err := p.sub.Unsubscribe(); err != nil && p.nc.IsConnected() {
		return fmt.Errorf("listen for the acks of streams no longer: %w", err)
	}
	return nil
}

// PublishThen sends a message and calls then once, with the stream's ack or why
// there is none: a *jetstream.APIError is the server's refusal,
// jetstream.ErrNoStreamResponse says that no stream takes the subject, and after
// nats.ErrTimeout or nats.ErrDisconnected it may be stored all the same. then
// must not block; it may be called before PublishThen returns. Nothing of msg is
// kept: nats.go has copied it by then.
func (p *Publisher) PublishThen(msg *nats.Msg, then func(jetstream.PubAck, error)) {
	p.mu.Lock()
	if p.out == nil {
		p.mu.Unlock()
		then(jetstream.PubAck{}, nats.ErrConnectionClosed)
		return
	}
	p.last++
	id := p.last
	p.out[id] = pending{sent: time.Now(), then: then}
	p.mu.Unlock()
	out := nats.Msg{Subject: msg.Subject, Reply: p.reply(id), Header: msg.Header, Data: msg.Data}
	if err := p.nc.PublishMsg(&out); err != nil {
		p.end(id, jetstream.PubAck{}, err)
	}
}

// PublishMsg is PublishThen for those that wait. When ctx ends first, its cause
// is the error, and the message may be stored all the same.
func (p *Publisher) PublishMsg(ctx context.Context, msg *nats.Msg) (jetstream.PubAck, error) {
	w, _ := waiters.Get().(*waiter)
	p.PublishThen(msg, w.then)
	select {
	case a := <-w.answer:
		waiters.Put(w)
		return a.ack, a.err
	case <-ctx.Done():
		return jetstream.PubAck{}, context.Cause(ctx) // w is left to the ack that may come
	}
}

type answer struct {
	ack jetstream.PubAck
	err error
}

// waiter is a place to wait for one answer, used again after it.
type waiter struct {
	answer chan answer
	then   func(jetstream.PubAck, error)
}

//nolint:gochecknoglobals // a pool is made to be shared
var waiters = sync.Pool{New: func() any {
	w := &waiter{answer: make(chan answer, 1)}
	w.then = func(ack jetstream.PubAck, err error) { w.answer <- answer{ack, err} }
	return w
}}

func (p *Publisher) reply(id uint64) string {
	b := make([]byte, 0, 64)
	return string(strconv.AppendUint(append(b, p.prefix...), id, idBase))
}

const idBase = 36

// receive takes the answer of a stream, or the server's that there is none.
func (p *Publisher) receive(msg *nats.Msg) {
	id, err := strconv.ParseUint(strings.TrimPrefix(msg.Subject, p.prefix), idBase, 64)
	if err != nil {
		return // nothing of ours
	}
	if len(msg.Data) == 0 && msg.Header.Get("Status") == "503" {
		p.end(id, jetstream.PubAck{}, jetstream.ErrNoStreamResponse)
		return
	}
	ack, err := readAck(msg.Data)
	p.end(id, ack, err)
}

// end calls what waits for a message, unless it was called already.
func (p *Publisher) end(id uint64, ack jetstream.PubAck, err error) {
	p.mu.Lock()
	waits, found := p.out[id]
	delete(p.out, id)
	p.mu.Unlock()
	if found {
		waits.then(ack, err)
	}
}

// watch fails what has waited for too long, and all of it when the connection
// is lost: acks do not follow to the next one.
func (p *Publisher) watch() {
	tick := time.NewTicker(p.timeout / 4)
	defer tick.Stop()
	for {
		select {
		case <-p.done:
			return
		case <-p.status:
			p.fail(time.Time{}, nats.ErrDisconnected)
		case now := <-tick.C:
			p.fail(now.Add(-p.timeout), nats.ErrTimeout)
		}
	}
}

// fail ends what was sent before a time; the zero time: all of it.
func (p *Publisher) fail(before time.Time, err error) {
	p.mu.Lock()
	var failed []pending
	for id, waits := range p.out {
		if before.IsZero() || waits.sent.Before(before) {
			failed = append(failed, waits)
			delete(p.out, id)
		}
	}
	p.mu.Unlock()
	for _, waits := range failed {
		waits.then(jetstream.PubAck{}, err)
	}
}
