package main

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// broker is one nats-server process, or three as a cluster, with the contract's
// streams.
type broker struct {
	servers []*exec.Cmd
	url     string // of all of them
	conn    *nats.Conn
	js      jetstream.JetStream
	stop    func()
}

// startBroker starts so many empty servers with file storage and provisions
// them, with as many replicas.
func startBroker(ctx context.Context, bin *binaries, servers int, sync string) (*broker, error) {
	addrs, err := freeAddrs(ctx, 2*servers) // for clients, and for one another
	if err != nil {
		return nil, err
	}
	clients, routes := addrs[:servers], addrs[servers:]
	store, err := os.MkdirTemp(bin.dir, "js-")
	if err != nil {
		return nil, err
	}
	b := &broker{url: "nats://" + strings.Join(clients, ",nats://")}
	b.stop = func() {
		if b.conn != nil {
			b.conn.Close()
		}
		for _, s := range b.servers {
			_ = s.Process.Kill()
			_ = s.Wait()
		}
		_ = os.RemoveAll(store)
	}
	for i, addr := range clients {
		dir := filepath.Join(store, strconv.Itoa(i))
		conf := dir + ".conf"
		if err = os.WriteFile(conf, []byte(config(i, addr, dir, routes, sync)), 0o600); err != nil {
			break
		}
		s := exec.CommandContext(ctx, bin.server, "-c", conf)
		if err = s.Start(); err != nil {
			break
		}
		b.servers = append(b.servers, s)
	}
	if err == nil {
		err = b.open(ctx, bin)
	}
	if err != nil {
		b.stop()
		return nil, err
	}
	return b, nil
}

// config is a server's configuration file. sync is its sync_interval; empty: the
// server's default.
func config(i int, addr, dir string, routes []string, sync string) string {
	text := fmt.Sprintf("server_name: n%d\nlisten: %q\njetstream { store_dir: %q", i, addr, dir)
	if sync != "" {
		text += ", sync_interval: " + sync
	}
	text += " }\n"
	if len(routes) > 1 {
		text += fmt.Sprintf("cluster { name: bench, listen: %q, routes: [\"nats://%s\"] }\n", routes[i], strings.Join(routes, `", "nats://`))
	}
	return text
}

// freeAddrs are addresses that nobody listens at.
func freeAddrs(ctx context.Context, n int) (addrs []string, err error) {
	for range n {
		l, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
		if err != nil {
			return nil, err
		}
		defer func() { _ = l.Close() }() // all at the end: each is another one
		addrs = append(addrs, l.Addr().String())
	}
	return addrs, nil
}

// open provisions the broker once it is up, and connects.
func (b *broker) open(ctx context.Context, bin *binaries) error {
	const tries = 100
	for try := 1; ; try++ {
		provision := exec.CommandContext(ctx, bin.worker, "provision")
		provision.Env = append(os.Environ(), "NATS_URL="+b.url, "NATS_REPLICAS="+strconv.Itoa(len(b.servers)))
		out, err := provision.CombinedOutput()
		if err == nil {
			break
		}
		if try == tries {
			return fmt.Errorf("provision: %w\n%s", err, out)
		}
		pass(ctx, 100*time.Millisecond) // it does not listen yet, or has no leader
	}
	var err error
	if b.conn, err = nats.Connect(b.url); err != nil {
		return err
	}
	b.js, err = jetstream.New(b.conn, jetstream.WithPublishAsyncMaxPending(4000))
	return err
}

// pass waits, or until ctx ends.
func pass(ctx context.Context, d time.Duration) {
	select {
	case <-time.After(d):
	case <-ctx.Done():
	}
}

// used is the CPU time of the servers so far, in seconds.
func (b *broker) used() (seconds float64) {
	for _, s := range b.servers {
		seconds += used(s.Process.Pid)
	}
	return seconds
}

// results are how many results are stored.
func (b *broker) results(ctx context.Context) (uint64, error) {
	stream, err := b.js.Stream(ctx, "VOIP_RESULT")
	if err != nil {
		return 0, err
	}
	return stream.CachedInfo().State.Msgs, nil
}
