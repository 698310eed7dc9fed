package chaos

import (
	"context"
	"encoding/json"
	"errors"
	"math/rand/v2"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/voip-push/worker/internal/voip"
)

// bridge is Call Kit's side. It keeps every report that it received, answers a
// key that it has seen with the answer that it gave, and can be away, be slow,
// lose its answers, and kill who asks.
type bridge struct {
	t    *testing.T
	addr string
	http *http.Server
	nc   *nats.Conn // not nil: reports come by NATS

	// deadly says that whoever reports this call dies of it; may be nil.
	deadly func(callID string) bool

	mu        sync.Mutex
	dice      *rand.Rand
	least     time.Duration // what every answer takes
	slow      time.Duration // and at most beyond that
	loses     float64       // the share of answers that are lost after the call was accepted
	askers    map[string]*process
	answers   map[string]chan struct{} // by idempotency key; closed once it is answered
	accepted  map[string]string        // the key under which a call was accepted
	ledger    []*receipt
	rungTwice []string
}

// receipt is one report that was received.
type receipt struct {
	call, key, life string
	at              time.Time
	repeated        bool // the key was known
	lost            bool // its answer was not given, or nobody waited for it any more
}

func newBridge(t *testing.T) *bridge {
	b := &bridge{
		t: t, addr: address(port(t)), dice: dice(t), slow: 5 * time.Millisecond,
		askers: map[string]*process{}, answers: map[string]chan struct{}{}, accepted: map[string]string{},
	}
	b.up()
	t.Cleanup(b.down)
	return b
}

// settings are those of a worker that reports here: the path, or the subject,
// names it.
func (b *bridge) settings(life string) []string {
	if b.nc != nil {
		subject := voip.SubjectReport + "." + life
		b.serveNATS(subject, life)
		return []string{"REPORT_TRANSPORT=nats", "REPORT_SUBJECT=" + subject}
	}
	return []string{"REPORT_TRANSPORT=http", "REPORT_URL=http://" + b.addr + "/" + life}
}

func (b *bridge) knows(life string, p *process) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.askers[life] = p
}

func (b *bridge) up() {
	b.t.Helper()
	l, err := new(net.ListenConfig).Listen(b.t.Context(), "tcp", b.addr)
	if err != nil {
		b.t.Fatal(err)
	}
	b.http = &http.Server{Handler: http.HandlerFunc(b.serve), ReadHeaderTimeout: time.Minute}
	go func(s *http.Server) {
		if err := s.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			b.t.Error(err)
		}
	}(b.http)
}

// down closes the bridge and every connection to it.
func (b *bridge) down() { _ = b.http.Close() }

// losing lets this share of the answers be lost from now on.
func (b *bridge) losing(share float64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.loses = share
}

func (b *bridge) serve(w http.ResponseWriter, r *http.Request) {
	var req voip.Request
	if err := json.NewDecoder(r.Body).Decode(&req); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	answer, given := b.report(r.Context(), strings.TrimPrefix(r.URL.Path, "/"), &req)
	if !given {
		panic(http.ErrAbortHandler) // the connection is reset
	}
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write(answer) // who asked may be gone
}

// serveNATS answers on the subject of one worker.
func (b *bridge) serveNATS(subject, life string) {
	b.t.Helper()
	_, err := b.nc.Subscribe(subject, func(m *nats.Msg) {
		go func() {
			var req voip.Request
			if err := json.Unmarshal(m.Data, &req); err != nil {
				b.t.Error(err)
				return
			}
			if answer, given := b.report(context.Background(), life, &req); given {
				_ = m.Respond(answer) // the connection may be gone
			}
		}()
	})
	if err == nil {
		err = b.nc.Flush()
	}
	if err != nil {
		b.t.Fatal(err)
	}
}

// report is one report; given is false when its answer is lost.
func (b *bridge) report(ctx context.Context, life string, req *voip.Request) (answer []byte, given bool) {
	call, key := req.Attribute.CallID, req.IdempotencyKey
	if b.deadly != nil && b.deadly(call) {
		b.mu.Lock()
		asker := b.askers[life]
		b.mu.Unlock()
		asker.kill()
		return nil, false
	}
	b.mu.Lock()
	answered, known := b.answers[key]
	if !known {
		answered = make(chan struct{})
		b.answers[key] = answered
		b.accept(call, key)
	}
	r := &receipt{call, key, life, time.Now(), known, b.dice.Float64() < b.loses}
	took := b.least + time.Duration(b.dice.Int64N(int64(b.slow)+1))
	b.ledger = append(b.ledger, r)
	b.mu.Unlock()
	if known {
		select { // a key that is still being answered waits for its answer
		case <-answered:
		case <-ctx.Done():
		}
	} else {
		pass(took)
		close(answered)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	r.lost = r.lost || ctx.Err() != nil
	return []byte(`{"code":0,"errorReason":0,"message":"","duplicate":false}`), !r.lost
}

// accept notes that a call rings. mu is held.
func (b *bridge) accept(call, key string) {
	if earlier, rings := b.accepted[call]; rings {
		b.rungTwice = append(b.rungTwice, call+" under "+earlier+" and "+key)
	}
	b.accepted[call] = key
}
