//go:build production

package broker

import (
	"errors"
	"log/slog"
)

// HasEmbedded says whether this build holds the embedded broker.
const HasEmbedded = false

// Server stands for the embedded broker, which this build leaves out.
type Server struct{}

// StartEmbedded says that this build has no embedded broker.
func StartEmbedded(*Config, *slog.Logger) (*Server, error) {
	return nil, errors.New("NATS_URL: this build has no embedded broker; set it to a comma-separated list of nats://host:port")
}

// URL is never reached in this build.
func (*Server) URL() string { return "" }

// Options are returned as they are.
func (*Server) Options(o Options) Options { return o }

// Stop does nothing.
func (*Server) Stop() {}
