package chaos

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/voip-push/worker/internal/voip"
)

// life is how long a call may ring: long enough for every fault that it must
// survive, short enough for the audit to judge it at the end of a test.
const life = 45 * time.Second

// gateway publishes pushes as gateways should: with the callId as message id,
// each again until its ack has come.
type gateway struct {
	rig *rig
	js  jetstream.JetStream

	mu      sync.Mutex
	sent    map[string]voip.Outcome // what must become of each call
	cancels map[string]bool         // the calls that were cancelled
	refused int                     // publishes that failed
}

// publish stores one push, however long that takes.
func (g *gateway) publish(msg *nats.Msg) {
	for g.rig.ctx.Err() == nil {
		ctx, cancel := context.WithTimeout(g.rig.ctx, 2*time.Second)
		_, err := g.js.PublishMsg(ctx, &nats.Msg{Subject: msg.Subject, Header: msg.Header, Data: msg.Data})
		cancel()
		if err == nil {
			return
		}
		g.mu.Lock()
		g.refused++
		g.mu.Unlock()
		pass(100 * time.Millisecond)
	}
}

// expect notes a call, and what must become of it.
func (g *gateway) expect(id string, o voip.Outcome) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.sent[id] = o
}

func push(id string, headers ...string) *nats.Msg {
	h := nats.Header{voip.HeaderMsgID: {id}}
	for pair := range slices.Chunk(headers, 2) {
		h.Set(pair[0], pair[1])
	}
	return &nats.Msg{Subject: voip.SubjectPush, Header: h, Data: fmt.Appendf(nil, `{"callId":%q,"data":{"userName":"Li Lei","ttlSeconds":%d}}`, id, int(life.Seconds()))}
}

// call publishes a call that must be reported, and returns once it is stored.
func (g *gateway) call(id string, headers ...string) {
	g.expect(id, voip.Reported)
	g.publish(push(id, headers...))
}

// load publishes calls at a steady rate, whatever the broker does, and returns
// a function that waits until all of them are stored.
func (g *gateway) load(name string, count, rate int) (stored func()) {
	return g.each(name, count, rate, func(id string) { g.call(id) })
}

// each does so with calls that one makes oneself.
func (g *gateway) each(name string, count, rate int, call func(id string)) (stored func()) {
	var wg sync.WaitGroup
	wg.Go(func() {
		const tick = 10 * time.Millisecond
		t := time.NewTicker(tick)
		defer t.Stop()
		began := time.Now()
		for i := 0; i < count && g.rig.ctx.Err() == nil; {
			<-t.C
			for due := min(count, int(time.Since(began).Seconds()*float64(rate))); i < due; i++ {
				id := fmt.Sprintf("%s-%d", name, i)
				wg.Go(func() { call(id) })
			}
		}
	})
	return wg.Wait
}
