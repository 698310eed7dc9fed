package cli

import (
	"fmt"
	"io"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/voip-push/worker/internal/broker"
)

// Session is a short-lived connection of a command, by the NATS_* settings.
type Session struct {
	Conn   *nats.Conn
	JS     jetstream.JetStream // set by Open alone
	Config broker.Config
	// Private is LOG_PRIVATE: names and URLs may be shown.
	Private bool

	stop func()
}

// Connect reads the settings and connects, or says at once that nobody is
// there. Permissions that the server refuses are printed to stderr: to whoever
// asked they look like a timeout.
func Connect(name string, stderr io.Writer) (*Session, error) {
	return open(name, stderr, func(err error) { fmt.Fprintln(stderr, "refused by the broker: "+err.Error()) })
}

// Close ends the connection, and the context of the session.
func (s *Session) Close() {
	s.Conn.Close()
	if s.stop != nil {
		s.stop()
	}
}
