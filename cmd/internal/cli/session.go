package cli

import (
	"io"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/voip-push/worker/internal/broker"
)

// Session is a short-lived connection of a command, by the NATS_* settings.
type Session struct {
	Conn   *nats.Conn
	JS     jetstream.JetStream
	Config broker.Config
	// Private is LOG_PRIVATE: names and URLs may be shown.
	Private bool

	stop   func()
	inbox  string // what replies come to begins with it
	stderr io.Writer
}

// Close ends the connection, and the context of the session.
func (s *Session) Close() {
	s.Conn.Close()
	if s.stop != nil {
		s.stop()
	}
}
