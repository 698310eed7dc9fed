package consumer

import (
	"context"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"go.opentelemetry.io/otel/trace"

	"github.com/voip-push/worker/internal/stream"
	"github.com/voip-push/worker/internal/voip"
)

// ClaimMode says how a call is told from its duplicates.
type ClaimMode string

// The claim modes.
const (
	// ClaimAlways claims each call in the bucket.
	ClaimAlways ClaimMode = "always"
	// ClaimMsgID trusts the stream's duplicate window for pushes whose
	// Nats-Msg-Id is their callId, and claims the rest.
	ClaimMsgID ClaimMode = "msgid"
)

// Config is the CONSUMER_* group of settings and CALL_CLAIM.
type Config struct {
	MaxInFlight  int                  // pushes held, waiting ones included
	MaxHeldBytes int                  // what they may weigh together; 0: anything
	AckWait      func() time.Duration // the consumer's own, as the broker has it now
	MaxStarts    int                  // of a suspect, before it is a crash loop
	DrainTimeout time.Duration
	Claim        ClaimMode
	Worker       string // host/instance
}

// Notifier publishes outcomes. May is asked before each publish.
type Notifier interface {
	// Result calls then once. With a result that is stored it may call it from
	// where acks are read, and it must not block. ctx is looked at between tries
	// alone.
	Result(ctx context.Context, may func() error, r *voip.Result, trace string, then func(again bool, err error))
	DeadLetter(ctx context.Context, may func() error, d *voip.DeadLetter) (again bool, err error)
	Stored(ctx context.Context, sequence uint64) (bool, error)
}

// Publisher sends a message and waits for the stream's ack. A
// *jetstream.APIError is the server's refusal; after other errors the message
// may be stored all the same.
type Publisher interface {
	PublishMsg(ctx context.Context, msg *nats.Msg) (jetstream.PubAck, error)
	// PublishThen is PublishMsg without the waiting: then is called once, and
	// must not block. It keeps nothing of msg.
	PublishThen(msg *nats.Msg, then func(jetstream.PubAck, error))
}

// Recorder counts what the consumer sees.
type Recorder interface {
	StageRecorder
	Outcome(outcome, reason string, latency time.Duration)
	DeadLetter(reason string)
	Duplicate()
	PushWithoutID()
	Redelivery()
	InFlight(n int)
	Oldest(age time.Duration)
}

// Hooks tell the rest of the worker how the consumer fares; each may be nil.
type Hooks struct {
	// Verify is asked every few seconds, and after the pulling failed, whether
	// the streams and the consumer are there; nil lets the pulling begin again.
	Verify func(ctx context.Context) error
	// State is told why no pushes are pulled, nil when they are.
	State func(err error)
	// Clock is told what the broker's clock is ahead of this machine's, when that
	// changes; 0: they agree.
	Clock func(ahead time.Duration)
	// Swept and Looked are called at each turn of the two loops.
	Swept, Looked func()
}

// Consumer consumes the push stream.
type Consumer struct {
	cfg      Config
	nc       *nats.Conn
	handler  *Handler
	notifier Notifier
	recorder Recorder
	tracer   trace.Tracer // nil: traces are off
	log      *slog.Logger
	hooks    Hooks

	js      jetstream.JetStream
	calls   *calls
	cancels *cancels
	clock   clock
	leases  *leases
	turns   *turns
	puller  *stream.Puller
	window  window
	// disturbance is when deliveries were last lost though no worker died, in
	// nanoseconds since 1970; 0: never.
	disturbance atomic.Int64

	hard     context.Context //nolint:containedctx // the life of everything that was begun
	kill     context.CancelCauseFunc
	stopping chan struct{} // closed when no more pushes come: what is not begun is given back
	running  sync.WaitGroup
	runners  *runners[handover]
}

// Parts are what a consumer works with.
type Parts struct {
	Conn      *nats.Conn
	JS        jetstream.JetStream
	Calls     jetstream.Stream // behind the bucket of the calls' records
	Publisher Publisher
	Handler   *Handler
	Notifier  Notifier
	Recorder  Recorder
	Tracer    trace.Tracer // nil: traces are off
	Log       *slog.Logger
	Hooks     Hooks
}

// New returns a consumer; Run starts it.
func New(cfg Config, p Parts) *Consumer {
	c := &Consumer{
		cfg: cfg, nc: p.Conn, js: p.JS, handler: p.Handler, notifier: p.Notifier, recorder: p.Recorder, tracer: p.Tracer, log: p.Log, hooks: p.Hooks.filled(),
		calls:   &calls{publisher: p.Publisher, stream: p.Calls, prefix: callsPrefix},
		cancels: newCancels(p.Log), leases: newLeases(p.Conn, cfg.AckWait, p.Log), turns: newTurns(),
		window: window{most: cfg.MaxInFlight}, stopping: make(chan struct{}),
	}
	c.runners = newRunners(c.live)
	c.clock.tell = c.hooks.Clock
	c.cancels.now = c.clock.now
	c.puller = &stream.Puller{
		Conn: p.Conn, Subject: stream.NextSubject(voip.StreamPush, voip.ConsumerWorkers), Ahead: maxAhead,
		Room: c.room, Deliver: c.take, Log: p.Log,
	}
	return c
}

// room is how many more pushes this worker can take, be each as large as a push
// can be, and of how many places. In an outage of the bridge it holds all that it
// may, each with its data beside its body, and a picture in its data makes a push
// of 160 KiB: their weight is bounded, too.
func (c *Consumer) room() (free, places int) {
	held, size := c.leases.load()
	running := held - int(c.turns.waiting.Load())
	places = c.window.size()
	free = min(c.cfg.MaxInFlight-held, places-running)
	if most := c.cfg.MaxHeldBytes; most > 0 {
		free = min(free, (most-size)/voip.MaxPushBytes)
	}
	return free, places
}

// pullLook is how often the pulling is looked at.
const pullLook = 250 * time.Millisecond

// maxAhead bounds what is asked for ahead of the pushes: enough to hide the round
// trip, few enough for a fleet to share a burst evenly.
const maxAhead = 256

const callsPrefix = "$KV." + voip.BucketCalls + "."

func (h Hooks) filled() Hooks {
	if h.Verify == nil {
		h.Verify = func(context.Context) error { return nil }
	}
	if h.State == nil {
		h.State = func(error) {}
	}
	if h.Clock == nil {
		h.Clock = func(time.Duration) {}
	}
	if h.Swept == nil {
		h.Swept = func() {}
	}
	if h.Looked == nil {
		h.Looked = func() {}
	}
	return h
}

// Run consumes until ctx ends, then drains: unstarted and waiting pushes are
// given back, started attempts are finished, all within the drain timeout.
//
//nolint:contextcheck // what was begun outlives ctx, on purpose
func (c *Consumer) Run(ctx context.Context) {
	c.hard, c.kill = context.WithCancelCause(context.WithoutCancel(ctx))
	defer c.kill(voip.ErrStopping)
	cancels := newFollower(c.hard, c)
	err := cancels.follow(ctx, c.hooks.Looked, func(err error) {
		c.hooks.Looked()
		c.hooks.State(err)
		c.log.WarnContext(ctx, "cannot read the cancels, trying again", "error", err)
	})
	if err != nil {
		cancels.reader.End()
		return // stopped before it began: nothing is held
	}
	// The sweeper goes on through the drain: what is finished then is still leased.
	var loops sync.WaitGroup
	defer loops.Wait()
	sweeping, endSweep := context.WithCancel(c.hard)
	defer endSweep()
	loops.Go(func() {
		c.leases.sweep(sweeping, func() {
			c.hooks.Swept()
			c.recorder.Oldest(c.leases.oldest())
		})
	})
	loops.Go(func() { c.supervise(ctx, cancels) })
	loops.Go(func() { cancels.keep(sweeping) }) // a call that drains may be cancelled

	c.pull(ctx)
	c.drain(context.WithoutCancel(ctx))
}

// pull keeps the pulling alive until ctx ends.
func (c *Consumer) pull(ctx context.Context) {
	status := c.nc.StatusChanged(nats.CONNECTED)
	defer c.nc.RemoveStatusListener(status)
	look := time.NewTicker(pullLook)
	defer look.Stop()
	p := &pullHealth{c: c}
	p.begin(ctx)
	for {
		select {
		case <-ctx.Done():
			return
		case <-status:
			c.disturb()
			c.leases.hurry()
			p.begin(ctx) // the old pulls may be lost: a new generation
		case <-look.C:
			c.hooks.Looked()
			p.look(ctx)
		}
	}
}
