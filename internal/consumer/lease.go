package consumer

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
)

// What is said to the broker about a delivery. All of it is fire and forget.
var (
	msgAck        = []byte("+ACK") //nolint:gochecknoglobals // protocol constants, read only
	msgNak        = []byte("-NAK") //nolint:gochecknoglobals // protocol constants, read only
	msgInProgress = []byte("+WPI") //nolint:gochecknoglobals // protocol constants, read only
)

// sweepsPerAckWait: two marks may be late or lost before a lease is.
const sweepsPerAckWait = 3

// leases holds the pushes in this worker's hands and marks them in progress,
// one sweeper for all of them.
type leases struct {
	nc      *nats.Conn
	ackWait func() time.Duration
	log     *slog.Logger

	mu   sync.Mutex
	held map[uint64]*delivery // by stream sequence
	size int                  // bytes of all that was taken and is not released
	// answered is when the last turn began that the server has answered: what is
	// read from the connection after that was sent after it began.
	answered time.Time
	turn     time.Time // when the last turn began, answered or not
	again    chan struct{}
	told     bool          // that the pushes cannot be marked
	most     time.Duration // between two turns: as at the start; 0: not started
}

func newLeases(nc *nats.Conn, ackWait func() time.Duration, log *slog.Logger) *leases {
	return &leases{nc: nc, ackWait: ackWait, log: log, held: map[uint64]*delivery{}, again: make(chan struct{}, 1)}
}

// hold takes a delivery. When the push is in our hands already, earlier is the
// delivery that holds it: the new one is either adopted by it, or waits until
// it is done.
func (l *leases) hold(d *delivery) (earlier *delivery, adopted bool, count int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	earlier = l.held[d.sequence]
	adopted = earlier != nil && earlier.adopt(d)
	if !adopted {
		l.held[d.sequence] = d
		l.size += d.size
	}
	return earlier, adopted, len(l.held)
}

// sentAfter is the latest time that a push which is read now was surely sent
// after. Its lease runs from there: when it was read says nothing, for the
// worker, or the link to it, may have stood still.
func (l *leases) sentAfter(asked time.Time) time.Time {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.answered.After(asked) {
		return l.answered
	}
	return asked
}

// heard notes that the server has answered a turn that began at a time. (Not
// when the turn was late: this worker stood still, and what came meanwhile may
// still wait to be read.)
func (l *leases) heard(began time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.answered = began
}

// release lets go of a delivery.
func (l *leases) release(d *delivery) (count int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.size -= d.size
	if l.held[d.sequence] == d {
		delete(l.held, d.sequence)
	}
	return len(l.held)
}

func (l *leases) count() int {
	count, _ := l.load()
	return count
}

// load is how many pushes are held, and their bytes.
func (l *leases) load() (count, size int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.held), l.size
}

// oldest is the age of the oldest push that is held; 0: none is.
func (l *leases) oldest() (age time.Duration) {
	for _, d := range l.all() {
		age = max(age, time.Since(d.stored))
	}
	return age
}

func (l *leases) all() []*delivery {
	l.mu.Lock()
	defer l.mu.Unlock()
	all := make([]*delivery, 0, len(l.held))
	for _, d := range l.held {
		all = append(all, d)
	}
	return all
}

// sweep marks what is held until ctx ends. tick is called at each turn, never
// less often than at first: the turns follow an ack wait that is made shorter.
func (l *leases) sweep(ctx context.Context, tick func()) {
	l.turn = time.Now()
	l.most = l.ackWait() / sweepsPerAckWait
	interval := l.most
	t := time.NewTicker(interval)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-t.C:
		case <-l.again:
		}
		if now := l.interval(); now != interval {
			interval = now
			t.Reset(interval)
		}
		tick()
		l.mark(ctx)
	}
}

// interval is the time between two turns.
func (l *leases) interval() time.Duration {
	now := l.ackWait() / sweepsPerAckWait
	if l.most == 0 {
		return now
	}
	return min(l.most, now)
}

// hurry asks for a turn now: the connection is back, and the leases have run on
// while it was away.
func (l *leases) hurry() {
	select {
	case l.again <- struct{}{}:
	default: // it is asked for
	}
}

// mark tells the broker of every delivery that is older than a turn, and
// renews the leases once the server has surely read it all.
func (l *leases) mark(ctx context.Context) {
	began := time.Now()
	interval := l.interval()
	late := began.Sub(l.turn) > interval+interval/2
	l.turn = began
	var marked []*delivery
	held := l.all()
	for _, d := range held {
		d.mu.Lock()
		due, reply := !d.lost && began.Sub(d.leased) >= interval/2, d.reply
		d.mu.Unlock()
		if !due || d.alive() != nil {
			continue
		}
		if err := l.nc.Publish(reply, msgInProgress); err != nil {
			break // not connected: nothing of this turn counts
		}
		marked = append(marked, d)
	}
	ctx, cancel := context.WithTimeout(ctx, interval)
	defer cancel()
	if err := l.nc.FlushWithContext(ctx); err != nil {
		if !l.told && len(held) > 0 {
			l.told = true
			l.log.WarnContext(ctx, "cannot mark the held pushes in progress, trying again", "held", len(held), "error", err)
		}
		return
	}
	l.told = false
	if !late {
		l.heard(began)
	}
	for _, d := range marked {
		d.renew(began)
	}
}

// say tells the broker what becomes of a delivery, unless its lease is lost:
// acks are keyed by the stream's sequence alone, so a stale one would hit
// whoever holds the push now.
func (l *leases) say(d *delivery, what []byte) error {
	if err := d.alive(); err != nil {
		return err
	}
	reply, _ := d.current()
	if err := l.nc.Publish(reply, what); err != nil {
		return err
	}
	d.saying(what)
	return nil
}
