package cli

import (
	"errors"
	"fmt"
	"io"
	"log/slog"

	"github.com/nats-io/nats.go"

	"github.com/voip-push/worker/cmd/internal/settings"
	"github.com/voip-push/worker/internal/broker"
)

// Session is a short-lived connection of a command, by the NATS_* settings.
type Session struct {
	Conn   *nats.Conn
	Config broker.Config
}

// Connect reads the settings and connects, or says at once that nobody is
// there. Permissions that the server refuses are printed to stderr: to whoever
// asked they look like a timeout.
func Connect(name string, stderr io.Writer) (*Session, error) {
	var c struct {
		NATS settings.NATS
		Log  settings.Log
	}
	warnings, err := settings.Load(&c)
	cfg := c.NATS.Broker()
	if err := errors.Join(err, cfg.Validate()); err != nil {
		return nil, err
	}
	for _, w := range warnings {
		fmt.Fprintln(stderr, "warning: "+w)
	}
	nc, err := broker.Connect(&cfg, broker.Options{
		Name: name, InboxPrefix: "_INBOX." + name, Log: slog.New(slog.DiscardHandler),
		Violation: func(err error) { fmt.Fprintln(stderr, "refused by the broker: "+err.Error()) },
	})
	if err != nil {
		return nil, err
	}
	return &Session{Conn: nc, Config: cfg}, nil
}

// Close ends the connection.
func (s *Session) Close() { s.Conn.Close() }
