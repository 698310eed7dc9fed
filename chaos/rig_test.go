package chaos

import (
	"context"
	"log/slog"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/voip-push/worker/internal/broker"
	"github.com/voip-push/worker/internal/voip"
)

// rig is a broker, a fleet, a bridge and a gateway.
type rig struct {
	t       *testing.T
	ctx     context.Context //nolint:containedctx // ends before the test's cleanups do
	dice    *rand.Rand
	proxies *proxies
	servers []*server
	proxied bool // the workers reach the server through proxies
	bridge  *bridge
	gateway *gateway
	workers []*worker
	lives   []*process
	js      jetstream.JetStream

	env     []string        // further settings
	worker  string          // the binary
	excused map[string]bool // lives that were killed, frozen or cut off
	outages []time.Time     // begin and end of those that outlast a lease, or that lose answers
}

// alone is a rig with one server.
func alone(t *testing.T, workers int, env ...string) *rig {
	t.Helper()
	t.Parallel()
	r := bare(t, env)
	r.servers = []*server{newServer(t, "n0", "")}
	r.servers[0].up()
	r.open(workers)
	return r
}

// remote is a rig with one server, which each worker reaches through a proxy of
// its own.
func remote(t *testing.T, workers int, env ...string) *rig {
	t.Helper()
	t.Parallel()
	r := bare(t, env)
	r.servers = []*server{newServer(t, "n0", "")}
	r.servers[0].up()
	r.proxied = true
	r.open(workers)
	return r
}

// clustered is a rig with three servers, whose bridge answers on NATS.
func clustered(t *testing.T, workers int, env ...string) *rig {
	t.Helper()
	t.Parallel()
	r := bare(t, append(env, "NATS_REPLICAS=3"))
	r.servers = newCluster(t, r.proxies)
	r.bridge.nc = r.connect()
	r.open(workers)
	return r
}

func bare(t *testing.T, env []string) *rig {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	t.Cleanup(cancel)
	return &rig{t: t, ctx: ctx, dice: dice(t), proxies: newProxies(t), bridge: newBridge(t), env: env, worker: command("worker"), excused: map[string]bool{}}
}

// open provisions the broker, and starts the gateway and the fleet.
func (r *rig) open(workers int) {
	r.t.Helper()
	js, err := broker.JetStream(r.connect())
	if err != nil {
		r.t.Fatal(err)
	}
	r.js, r.gateway = js, &gateway{rig: r, js: js, sent: map[string]voip.Outcome{}, cancels: map[string]bool{}}
	eventually(r.t, patience, "the broker has a leader", func() bool {
		ctx, cancel := context.WithTimeout(r.ctx, 500*time.Millisecond)
		defer cancel()
		_, err := js.AccountInfo(ctx)
		return err == nil
	})
	r.provision()
	for range workers {
		r.newWorker()
	}
	for _, w := range r.workers {
		w.ready(patience)
	}
}

// provision makes the streams as an operator does.
func (r *rig) provision(env ...string) {
	r.t.Helper()
	eventually(r.t, patience, "the broker is provisioned", func() bool {
		return start(r.t, "provision", append(r.settings(), env...), command("worker"), "provision").exit(patience) == 0
	})
}

// connect is a connection of the test's own, past every proxy.
func (r *rig) connect() *nats.Conn {
	r.t.Helper()
	nc, err := broker.Connect(&broker.Config{URL: r.direct(), Replicas: 1}, broker.Options{Name: "chaos", Wait: true, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(nc.Close)
	return nc
}

func (r *rig) direct() string {
	urls := make([]string, len(r.servers))
	for i, s := range r.servers {
		urls[i] = s.url()
	}
	return strings.Join(urls, ",")
}

// settings are those of every command.
func (r *rig) settings() []string {
	return append([]string{
		"NATS_URL=" + r.direct(), "NATS_PUSH_MAX_BYTES=256MiB",
		"REPORT_TIMEOUT=" + attemptTimeout.String(), // an answer is late only when it is lost, however busy the machine
	}, r.env...)
}

// excuse says that a life may have left attempts behind that are made again.
func (r *rig) excuse(life string) { r.excused[life] = true }

// outage is a fault of the broker that outlasts the workers' leases, or that
// lies on the way of the bridge's answers.
func (r *rig) outage(fault func()) {
	began := time.Now()
	fault()
	r.outages = append(r.outages, began, time.Now())
}

// out says whether there was an outage between two moments. What it cut off
// may be known an attempt's time later.
func (r *rig) out(from, to time.Time) bool {
	for o := range slices.Chunk(r.outages, 2) {
		if from.Before(o[1].Add(attemptTimeout)) && to.After(o[0]) {
			return true
		}
	}
	return false
}

const (
	attemptTimeout = 10 * time.Second
	ackWait        = 5 * time.Second // as it is by default
)

// leader is the server that leads the workers' consumer.
func (r *rig) leader() *server {
	r.t.Helper()
	var leader *server
	eventually(r.t, patience, "the consumer has a leader", func() bool {
		c, err := r.js.Consumer(r.ctx, voip.StreamPush, voip.ConsumerWorkers)
		if err != nil || c.CachedInfo().Cluster == nil {
			return false
		}
		for _, s := range r.servers {
			if s.name == c.CachedInfo().Cluster.Leader {
				leader = s
			}
		}
		return leader != nil
	})
	return leader
}
