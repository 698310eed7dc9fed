package testkit

import (
	"errors"
	"log/slog"
	"net"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/voip-push/worker/internal/broker"
)

const startTimeout = 10 * time.Second

// Server is a NATS server with JetStream inside the test, on a free port, its
// data in a folder of the test.
type Server struct {
	// Config is what a worker of this server is configured with.
	Config broker.Config

	opts      server.Options
	provision bool
	running   *server.Server
}

// Option changes a server before it starts.
type Option func(*Server)

// Provisioned makes the streams, the consumer and the bucket.
func Provisioned() Option { return func(s *Server) { s.provision = true } }

// WithServer changes the server's own options: users, limits.
func WithServer(change func(*server.Options)) Option { return func(s *Server) { change(&s.opts) } }

// WithConfig changes what is provisioned, and how connections are made.
func WithConfig(change func(*broker.Config)) Option { return func(s *Server) { change(&s.Config) } }

// Broker starts a server that ends with the test.
func Broker(t testing.TB, options ...Option) *Server {
	t.Helper()
	s := &Server{
		// 64 MiB, for a stream's limit is taken from what the disk has free.
		Config: broker.Config{Replicas: 1, PushMaxBytes: 64 << 20, MaxAckPending: 16384, AckWait: 5 * time.Second},
		opts: server.Options{
			ServerName: "testkit", Host: "127.0.0.1", Port: server.RANDOM_PORT, JetStream: true, StoreDir: t.TempDir(),
			NoLog: true, NoSigs: true, DisableJetStreamBanner: true,
		},
	}
	for _, option := range options {
		option(s)
	}
	s.start(t)
	t.Cleanup(s.Stop)
	s.Config.URL = s.URL()
	if s.provision {
		if _, err := broker.Provision(t.Context(), s.JS(t), &s.Config); err != nil {
			t.Fatalf("provision: %v", err)
		}
	}
	return s
}

func (s *Server) start(t testing.TB) {
	t.Helper()
	opts := s.opts // the server writes into the options that it is given
	running, err := server.NewServer(&opts)
	if err != nil {
		t.Fatalf("start a NATS server: %v", err)
	}
	running.Start()
	if !running.ReadyForConnections(startTimeout) {
		running.Shutdown()
		t.Fatalf("the NATS server is not ready after %v", startTimeout)
	}
	if addr, ok := running.Addr().(*net.TCPAddr); ok {
		s.opts.Port = addr.Port // the same again after a restart
	}
	s.running = running
}

// URL is where the server listens; the same after a restart.
func (s *Server) URL() string { return s.running.ClientURL() }

// Stop ends the server. Its data stays until the end of the test.
func (s *Server) Stop() {
	s.running.Shutdown()
	s.running.WaitForShutdown()
}

// Start starts a stopped server again, with the same port and data.
func (s *Server) Start(t testing.TB) {
	t.Helper()
	s.start(t)
}

// Restart stops the server and starts it again.
func (s *Server) Restart(t testing.TB) {
	t.Helper()
	s.Stop()
	s.Start(t)
}

// LameDuck makes the server tell its clients to go, and then end.
func (s *Server) LameDuck() { s.running.LameDuckShutdown() }

// Conn is a connection as the project's commands have it, closed at the end of
// the test.
func (s *Server) Conn(t testing.TB) *nats.Conn {
	t.Helper()
	nc, err := broker.Connect(&s.Config, broker.Options{Name: t.Name(), Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	return nc
}

// JS is JetStream on a connection of its own.
func (s *Server) JS(t testing.TB) jetstream.JetStream {
	t.Helper()
	js, err := broker.JetStream(s.Conn(t))
	if err != nil {
		t.Fatal(err)
	}
	return js
}

// Publisher is a publisher on a connection of its own.
func (s *Server) Publisher(t testing.TB) *broker.Publisher {
	t.Helper()
	p, err := broker.NewPublisher(s.Conn(t))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := p.Close(); err != nil {
			t.Errorf("close the publisher: %v", err)
		}
	})
	return p
}

// Messages are the messages of a stream, oldest first.
func Messages(t testing.TB, js jetstream.JetStream, stream string) []*jetstream.RawStreamMsg {
	t.Helper()
	s, err := js.Stream(t.Context(), stream)
	if err != nil {
		t.Fatalf("stream %s: %v", stream, err)
	}
	state := s.CachedInfo().State
	messages := make([]*jetstream.RawStreamMsg, 0, state.Msgs)
	for seq := state.FirstSeq; state.Msgs > 0 && seq <= state.LastSeq; seq++ {
		m, err := s.GetMsg(t.Context(), seq)
		if errors.Is(err, jetstream.ErrMsgNotFound) {
			continue // deleted in between
		}
		if err != nil {
			t.Fatalf("message %d of stream %s: %v", seq, stream, err)
		}
		messages = append(messages, m)
	}
	return messages
}
