package broker

import (
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"os"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// Figures of the connection. A frozen server is noticed within two pings
// (nats.go's own default lets six minutes pass).
const (
	pingInterval   = 10 * time.Second
	maxPings       = 2
	reconnectWait  = 250 * time.Millisecond
	reconnectMax   = 2 * time.Second
	connectTimeout = 5 * time.Second
	requestTimeout = 5 * time.Second
	// maxPendingPublishes bounds the publishes whose ack is awaited; it is well
	// over two for each call that a worker may hold, so that none is stalled.
	maxPendingPublishes = 16384
)

// Options say who connects, and how patiently.
type Options struct {
	Name string // shown by the server's connection list
	// InboxPrefix is what replies come to; permissions can be given on it.
	InboxPrefix string
	// Wait makes Connect return at once and go on trying in the background when
	// no server is there.
	Wait bool
	// Violation is told of every permission that the server refused; may be nil.
	// To the caller of a request a refusal looks like a timeout.
	Violation func(error)
	Log       *slog.Logger

	inProcess nats.InProcessConnProvider
}

// Connect opens a connection that reconnects for as long as it is not closed.
// While it is away publishes fail at once instead of being buffered: a request
// that leaves a buffer seconds later would be a late ring.
func Connect(cfg *Config, opts Options) (*nats.Conn, error) {
	// Before nats.go, whose own errors may repeat a URL and the password in it.
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	nc, err := nats.Connect(cfg.Servers(), options(cfg, &opts)...)
	if err != nil {
		return nil, connectError(cfg, err)
	}
	return nc, nil
}

// JetStream is the JetStream API on a connection.
func JetStream(nc *nats.Conn) (jetstream.JetStream, error) {
	js, err := jetstream.New(nc,
		jetstream.WithPublishAsyncMaxPending(maxPendingPublishes),
		jetstream.WithPublishAsyncTimeout(requestTimeout),
		jetstream.WithDefaultTimeout(requestTimeout))
	if err != nil {
		return nil, fmt.Errorf("open JetStream: %w", err)
	}
	return js, nil
}

// connectError names the servers without the passwords that their URLs may hold.
func connectError(cfg *Config, err error) error {
	hint := "is it running, and is NATS_URL right?"
	switch {
	case errors.Is(err, nats.ErrAuthorization), strings.Contains(err.Error(), "Authorization Violation"), strings.Contains(err.Error(), "signing nonce"):
		hint = "check NATS_CREDS_FILE, or NATS_USER and NATS_PASSWORD_FILE"
	case strings.Contains(err.Error(), "tls"), strings.Contains(err.Error(), "certificate"), strings.Contains(err.Error(), "rootCA"):
		hint = "check NATS_TLS_CA_FILE, NATS_TLS_CERT_FILE and NATS_TLS_KEY_FILE"
	case cfg.IsEmbedded():
		hint = "NATS_URL is not set, and no worker with an embedded broker listens there"
	}
	return fmt.Errorf("connect to NATS at %s: %w; %s", RedactURLs(cfg.Servers()), err, hint)
}

// RedactURLs hides the user part of every URL of a comma-separated list.
func RedactURLs(list string) string {
	servers := strings.Split(list, ",")
	for i, s := range servers {
		scheme, rest, found := strings.Cut(s, "://")
		if !found {
			scheme, rest = "nats", s
		}
		if at := strings.LastIndexByte(rest, '@'); at >= 0 {
			rest = "[private]@" + rest[at+1:]
		}
		servers[i] = strings.TrimSpace(scheme) + "://" + strings.TrimSpace(rest)
	}
	return strings.Join(servers, ",")
}

func options(cfg *Config, opts *Options) []nats.Option {
	o := []nats.Option{
		nats.Name(opts.Name),
		nats.Timeout(connectTimeout),
		nats.PingInterval(pingInterval), nats.MaxPingsOutstanding(maxPings),
		nats.MaxReconnects(-1), nats.IgnoreAuthErrorAbort(),
		nats.CustomReconnectDelay(reconnectDelay),
		nats.ReconnectBufSize(-1),
		nats.SetCustomDialer(&gatherer{net.Dialer{Timeout: connectTimeout}}),
		nats.RetryOnFailedConnect(opts.Wait),
	}
	if opts.InboxPrefix != "" {
		o = append(o, nats.CustomInboxPrefix(opts.InboxPrefix))
	}
	if opts.inProcess != nil {
		o = append(o, nats.InProcessServer(opts.inProcess))
	}
	o = append(o, handlers(cfg, opts)...)
	return append(o, identity(cfg)...)
}

// reconnectDelay grows from a quarter of a second to two, with a jitter that
// keeps a fleet from coming back as one.
func reconnectDelay(attempts int) time.Duration {
	d := min(reconnectWait<<min(attempts, 8), reconnectMax)
	return d/2 + rand.N(d) //nolint:gosec // a jitter needs no secrecy
}

func identity(cfg *Config) []nats.Option {
	var o []nats.Option
	if cfg.CredsFile != "" {
		o = append(o, nats.UserCredentials(cfg.CredsFile)) // read again at each connect
	}
	if cfg.User != "" {
		o = append(o, nats.UserInfoHandler(func() (user, password string) {
			b, err := os.ReadFile(cfg.PasswordFile)
			if err != nil {
				return cfg.User, "" // the server refuses it, and the refusal is logged
			}
			return cfg.User, strings.TrimRight(string(b), "\r\n")
		}))
	}
	if cfg.TLSCAFile != "" {
		o = append(o, nats.RootCAs(cfg.TLSCAFile))
	}
	if cfg.TLSCertFile != "" {
		o = append(o, nats.ClientCert(cfg.TLSCertFile, cfg.TLSKeyFile))
	}
	return o
}
