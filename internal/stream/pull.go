package stream

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
)

// Figures of the pulling.
const (
	// fullPull keeps one whose places are taken from asking for messages one
	// by one, as each place becomes free: it asks for an eighth of them at once.
	fullPull      = 8
	pullExpires   = 30 * time.Second
	pullHeartbeat = 2 * time.Second
	// silence is how long a pull may say nothing, neither push nor heartbeat,
	// before it counts as lost.
	silence    = 2*pullHeartbeat + pullHeartbeat/2
	ackPrefix  = "$JS.ACK."
	statusHdr  = "Status"
	descHdr    = "Description"
	pendingHdr = "Nats-Pending-Messages"
)

// errSilent: pulls are out, and nothing came back for too long.
var errSilent = errors.New("the consumer answers neither with messages nor with heartbeats")

// Puller asks a consumer for as many messages as there is room for, and never
// for more: a push that waits in a client's buffer is under no lease.
// (nats.go's Consume fills such a buffer, and adds another at each reconnect.
// It also takes an empty message with a header named Status for a word of the
// server's, and an ordered consumer never gets past that.)
//
// Every generation of pulls has an inbox of its own. When pulls are lost, or
// may be, a new generation begins; the server drops the old one's pulls because
// nobody listens to them any more.
//
// The exported fields are set before the first use.
type Puller struct {
	Conn    *nats.Conn
	Subject string                               // what the consumer is asked on: NextSubject
	Ahead   int                                  // at most so many are asked for before they are here
	Bytes   int                                  // at most so many bytes come by one pull; 0: any
	Room    func() (free, places int)            // how many more can be taken, and of how many
	Deliver func(msg *nats.Msg, asked time.Time) // asked: it was sent after that. Must not block for long
	Log     *slog.Logger

	mu      sync.Mutex
	sub     *nats.Subscription
	retired []*nats.Subscription // of earlier generations, which may still deliver
	ahead   int                  // asked for and not yet here
	heard   time.Time            // last word from the consumer, or when it was first asked
	proved  bool                 // the present generation has had a word
	fault   error                // why nothing comes; nil while pulling works
	stopped bool
}

// NextSubject is what messages of a consumer are asked for on.
func NextSubject(stream, consumer string) string {
	return "$JS.API.CONSUMER.MSG.NEXT." + stream + "." + consumer
}

type pullRequest struct {
	Batch     int           `json:"batch"`
	MaxBytes  int           `json:"max_bytes,omitempty"`
	Expires   time.Duration `json:"expires,omitempty"`
	Heartbeat time.Duration `json:"idle_heartbeat,omitempty"`
	NoWait    bool          `json:"no_wait,omitempty"`
}

// Refill asks for more when there is room for it worth a question.
func (p *Puller) Refill() { p.ask(false) }

// TopUp asks for more when there is any room: what Refill leaves must not wait
// for the pushes that take the other places.
func (p *Puller) TopUp() { p.ask(true) }

func (p *Puller) ask(few bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.stopped || p.sub == nil || p.fault != nil || p.ahead > p.Ahead/2 {
		return
	}
	free, places := p.Room()
	n := min(free, p.Ahead) - p.ahead
	if n <= 0 || n < min(places, p.Ahead)/fullPull && (!few || p.ahead > 0) {
		return
	}
	p.request(n)
}

// request sends one pull. mu is held.
func (p *Puller) request(n int) {
	p.send(n, &pullRequest{Batch: n, MaxBytes: p.Bytes, Expires: pullExpires, Heartbeat: pullHeartbeat})
}

// send sends a pull for n messages. mu is held.
func (p *Puller) send(n int, r *pullRequest) {
	body, err := json.Marshal(r)
	if err == nil {
		err = p.Conn.PublishRequest(p.Subject, p.sub.Subject, body)
	}
	if err != nil {
		p.fault = fmt.Errorf("ask for messages: %w", err)
		return
	}
	if p.ahead == 0 {
		p.heard = time.Now()
	}
	p.ahead += n
}

// Renew begins a new generation of pulls.
func (p *Puller) Renew() error {
	inbox, asked := p.Conn.NewInbox(), time.Now()
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.stopped {
		return nil
	}
	p.retire()
	// The callback knows its generation by the inbox, not by the subscription,
	// which it may run before.
	sub, err := p.Conn.Subscribe(inbox, func(msg *nats.Msg) { p.receive(inbox, asked, msg) })
	if err != nil {
		p.fault = fmt.Errorf("listen for messages: %w", err)
		return p.fault
	}
	p.sub, p.ahead, p.heard, p.proved, p.fault = sub, 0, time.Now(), false, nil
	free, _ := p.Room()
	n := min(free, p.Ahead)
	if n > 1 { // beside a pull that waits, for it may have no answer either
		p.send(1, &pullRequest{Batch: 1, NoWait: true}) // has an answer at once, be it that there is nothing
		n--
	}
	if n > 0 && p.fault == nil {
		p.request(n)
	}
	return p.fault
}

// retire ends the present generation; what of it is on its way is still
// delivered. mu is held.
func (p *Puller) retire() {
	if p.sub == nil {
		return
	}
	if err := p.sub.Drain(); err != nil && !errors.Is(err, nats.ErrConnectionClosed) && !errors.Is(err, nats.ErrBadSubscription) {
		p.Log.Debug("end a generation of pulls", "error", err)
	}
	p.retired = append(slices.DeleteFunc(p.retired, func(s *nats.Subscription) bool { return !s.IsValid() }), p.sub)
	p.sub = nil
}

func (p *Puller) receive(inbox string, asked time.Time, msg *nats.Msg) {
	status := ""
	// A message may be empty, and may carry a header of that name: its acks have
	// somewhere to go.
	if len(msg.Data) == 0 && !strings.HasPrefix(msg.Reply, ackPrefix) {
		status = msg.Header.Get(statusHdr)
	}
	if status == "" {
		p.Deliver(msg, asked) // it takes its place before it leaves those that were asked for
	}
	p.mu.Lock()
	if p.sub != nil && p.sub.Subject == inbox {
		p.heard, p.proved = time.Now(), true
		p.account(status, msg.Header)
	}
	p.mu.Unlock()
	p.Refill()
}

// State is why no messages come; nil while they may.
func (p *Puller) State() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case p.fault != nil:
		return p.fault
	case p.sub == nil:
		return errors.New("not pulling yet")
	case p.ahead > 0 && time.Since(p.heard) > silence:
		p.fault = errSilent
		return p.fault
	}
	return nil
}

// Heard says whether the consumer has answered the present generation, or was
// not asked yet, for there was no room: until then State knows of nothing wrong,
// nor of anything right.
func (p *Puller) Heard() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.proved || p.ahead == 0
}

// End ends the pulling and waits for nothing.
func (p *Puller) End() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.stopped = true
	p.retire()
}

// Stop is End, but waits. What the server had sent already, to whichever
// generation, is still delivered, all of it before Stop returns: a subscription
// that drains is valid until its last callback has returned.
func (p *Puller) Stop(ctx context.Context) {
	p.End()
	p.mu.Lock()
	retired := p.retired
	p.mu.Unlock()
	t := time.NewTicker(time.Millisecond)
	defer t.Stop()
	for slices.ContainsFunc(retired, p.delivers) {
		select {
		case <-t.C:
		case <-ctx.Done():
			return
		}
	}
}

// delivers says that a retired generation may still deliver. Without a connection
// it ends once that is back, and has only what is here already.
func (p *Puller) delivers(s *nats.Subscription) bool {
	if !s.IsValid() || p.Conn.IsConnected() {
		return s.IsValid()
	}
	n, _, err := s.Pending() // what is being delivered counts
	return err == nil && n > 0
}
