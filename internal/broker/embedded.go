//go:build !production

package broker

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats-server/v2/server"
)

// HasEmbedded says whether this build holds the embedded broker.
const HasEmbedded = true

const embeddedStart = 20 * time.Second

// Server is an embedded NATS server with JetStream.
type Server struct{ s *server.Server }

// StartEmbedded starts a broker in this process: JetStream with a data folder,
// listening on loopback so that the nats command reaches it. An address that
// is taken or a folder that cannot be written is an error that says so.
func StartEmbedded(cfg *Config, log *slog.Logger) (*Server, error) {
	host, portText, err := net.SplitHostPort(cfg.EmbeddedAddr)
	if err != nil {
		return nil, fmt.Errorf("NATS_EMBEDDED_ADDR: %w", err)
	}
	port, err := strconv.Atoi(portText)
	if err != nil {
		return nil, fmt.Errorf("NATS_EMBEDDED_ADDR: the port %q is no number", portText)
	}
	if port == 0 {
		port = server.RANDOM_PORT
	} else if err := free(cfg.EmbeddedAddr); err != nil {
		return nil, err
	}
	if err := writable(cfg.EmbeddedDir); err != nil {
		return nil, err
	}
	sink := &serverLog{log: log}
	s, err := server.NewServer(&server.Options{
		ServerName: "voip-embedded", Host: host, Port: port, JetStream: true, StoreDir: cfg.EmbeddedDir,
		NoSigs: true, MaxPayload: 1 << 20, DisableJetStreamBanner: true,
	})
	if err != nil {
		return nil, fmt.Errorf("start the embedded broker: %w", err)
	}
	s.SetLoggerV2(sink, false, false, false)
	s.Start() // returns when all is up, or when something has failed
	if sink.fatal.Load() || !s.ReadyForConnections(embeddedStart) || !s.JetStreamEnabled() {
		s.Shutdown()
		s.WaitForShutdown()
		return nil, fmt.Errorf("start the embedded broker on %s with NATS_EMBEDDED_DIR %q: %w", cfg.EmbeddedAddr, cfg.EmbeddedDir, sink.cause())
	}
	return &Server{s: s}, nil
}

// free binds the address once, since the server itself would only log that it
// is taken.
func free(addr string) error {
	l, err := net.Listen("tcp", addr) //nolint:noctx // bound and closed at once
	if err != nil {
		return fmt.Errorf("NATS_EMBEDDED_ADDR: %w; set another address, or NATS_URL to the broker that is there", err)
	}
	return l.Close()
}

// writable tries the data folder, making it where it is missing: the server
// would name the file that it could not write, and not the setting.
func writable(dir string) error {
	err := os.MkdirAll(dir, 0o750)
	if err == nil {
		var f *os.File
		if f, err = os.CreateTemp(dir, ".writable-*"); err == nil {
			err = errors.Join(f.Close(), os.Remove(f.Name()))
		}
	}
	if err != nil {
		return fmt.Errorf("NATS_EMBEDDED_DIR: %w", err)
	}
	return nil
}

// URL is where other processes reach the broker.
func (s *Server) URL() string { return s.s.ClientURL() }

// Options make a connection that stays inside the process.
func (s *Server) Options(o Options) Options {
	o.inProcess = s.s
	return o
}

// Stop ends the broker and waits until its data is on disk.
func (s *Server) Stop() {
	s.s.Shutdown()
	s.s.WaitForShutdown()
}

// serverLog carries the server's own lines into ours. Its notices are details
// here, and what it calls fatal must not end the process.
type serverLog struct {
	log  *slog.Logger
	last atomic.Pointer[string]
	// fatal says that the server has given up, which it tells nobody else.
	fatal atomic.Bool
}

func (l *serverLog) cause() error {
	if s := l.last.Load(); s != nil {
		return errors.New(*s)
	}
	return errors.New("it is not ready in time")
}

func (l *serverLog) line(level func(string, ...any), format string, v []any) {
	level("embedded broker", "line", fmt.Sprintf(format, v...))
}

func (l *serverLog) keep(format string, v []any) {
	s := fmt.Sprintf(format, v...)
	l.last.Store(&s)
}

func (l *serverLog) Noticef(f string, v ...any) { l.line(l.log.Debug, f, v) }
func (l *serverLog) Debugf(f string, v ...any)  { l.line(l.log.Debug, f, v) }
func (l *serverLog) Tracef(f string, v ...any)  { l.line(l.log.Debug, f, v) }
func (l *serverLog) Warnf(f string, v ...any)   { l.line(l.log.Warn, f, v) }
func (l *serverLog) Errorf(f string, v ...any)  { l.keep(f, v); l.line(l.log.Error, f, v) }
func (l *serverLog) Fatalf(f string, v ...any) {
	l.keep(f, v)
	l.fatal.Store(true)
	l.line(l.log.Error, f, v)
}
