package telemetry

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"syscall"
	"time"
)

// Server serves /livez, /readyz and /metrics.
type Server struct {
	addr string
	log  *slog.Logger
	http *http.Server
	done chan struct{} // closed when nothing is served any more
}

// NewServer returns a server for addr, such as ":8080"; port 0 is any free one.
// Nothing is bound before Start.
func NewServer(addr string, health *Health, metrics *Metrics, log *slog.Logger) *Server {
	return &Server{
		addr: addr,
		log:  log,
		http: &http.Server{
			Handler:           routes(health, metrics, log),
			ErrorLog:          slog.NewLogLogger(log.Handler(), slog.LevelWarn),
			ReadHeaderTimeout: 5 * time.Second,
			ReadTimeout:       10 * time.Second,
			WriteTimeout:      30 * time.Second,
			IdleTimeout:       time.Minute,
			MaxHeaderBytes:    16 << 10,
		},
	}
}

// Start binds the address and serves in the background until Shutdown. The
// context bounds the binding alone. It is called once, before Shutdown.
func (s *Server) Start(ctx context.Context) error {
	var config net.ListenConfig
	listener, err := config.Listen(ctx, "tcp", s.addr)
	if err != nil {
		return fmt.Errorf("HTTP_ADDR %s: %s: %w", s.addr, advice(err), err)
	}
	s.addr = listener.Addr().String()
	s.done = make(chan struct{})
	go s.serve(context.WithoutCancel(ctx), listener)
	s.log.InfoContext(ctx, "serving /livez, /readyz and /metrics", "addr", s.addr)
	return nil
}

func (s *Server) serve(ctx context.Context, listener net.Listener) {
	defer close(s.done)
	if err := s.http.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
		s.log.ErrorContext(ctx, "probes and metrics are no longer served", "error", err)
	}
}

// Addr is the bound address once Start has returned, the configured one before.
func (s *Server) Addr() string { return s.addr }

// Shutdown lets the requests that are being answered finish for as long as the
// context lasts, then cuts them off. Without a Start it does nothing.
func (s *Server) Shutdown(ctx context.Context) error {
	if s.done == nil {
		return nil
	}
	err := s.http.Shutdown(ctx)
	if err != nil {
		err = errors.Join(fmt.Errorf("HTTP server: requests cut off: %w", err), s.http.Close())
	}
	<-s.done
	return err
}

// advice says in words why an address cannot be bound and what helps.
func advice(err error) string {
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return "the port is taken: stop the process that holds it, or choose another one (port 0 is any free one)"
	case errors.Is(err, syscall.EACCES):
		return "no permission for this port: choose one from 1024 up"
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		return "this machine has no such address: leave the host empty for all of its addresses"
	default:
		return "cannot listen: want host:port or :port"
	}
}
