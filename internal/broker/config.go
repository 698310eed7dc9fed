package broker

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"strings"
	"time"
)

// Embedded is the value of NATS_URL that asks for the embedded broker.
const Embedded = "embedded"

// Config is the NATS_* group of settings, and what of the others shapes the
// streams and the consumer.
type Config struct {
	URL          string // Embedded, or a comma-separated list of servers
	CredsFile    string
	User         string
	PasswordFile string
	TLSCAFile    string
	TLSCertFile  string
	TLSKeyFile   string

	Replicas      int           // of every stream
	PushMaxBytes  int64         // of VOIP_PUSH
	MaxAckPending int           // of the consumer
	AckWait       time.Duration // of the consumer

	EmbeddedAddr string // host:port on which the embedded broker listens
	EmbeddedDir  string // its data folder
}

// IsEmbedded says whether the embedded broker is asked for.
func (c *Config) IsEmbedded() bool { return c.URL == Embedded }

// Servers are the URLs to connect to. With the embedded broker that is the
// address it listens on, which is how another process reaches it.
func (c *Config) Servers() string {
	if c.IsEmbedded() {
		return "nats://" + c.EmbeddedAddr
	}
	return c.URL
}

// Validate finds every fault of the connection's settings, each named by its
// variable.
func (c *Config) Validate() error {
	errs := []error{c.validateURL(), c.validateIdentity()}
	for _, f := range []struct{ name, path string }{
		{"NATS_CREDS_FILE", c.CredsFile}, {"NATS_PASSWORD_FILE", c.PasswordFile},
		{"NATS_TLS_CA_FILE", c.TLSCAFile}, {"NATS_TLS_CERT_FILE", c.TLSCertFile}, {"NATS_TLS_KEY_FILE", c.TLSKeyFile},
	} {
		errs = append(errs, readable(f.name, f.path))
	}
	return errors.Join(errs...)
}

func (c *Config) validateURL() error {
	if c.IsEmbedded() {
		if host, _, err := net.SplitHostPort(c.EmbeddedAddr); err != nil || host == "" {
			return fmt.Errorf("NATS_EMBEDDED_ADDR: %q is not host:port, as in 127.0.0.1:4222", c.EmbeddedAddr)
		}
		return nil
	}
	var errs []error
	for s := range strings.SplitSeq(c.URL, ",") {
		if err := validateServer(strings.TrimSpace(s)); err != nil {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// validateServer never repeats the URL: it may hold a password.
func validateServer(s string) error {
	const legal = `want "embedded" or a comma-separated list of nats://host:port (nats, tls, ws, wss)`
	if !strings.Contains(s, "://") {
		s = "nats://" + s
	}
	u, err := url.Parse(s)
	if err != nil || u.Hostname() == "" {
		return errors.New("NATS_URL: a server's URL cannot be read, " + legal)
	}
	switch u.Scheme {
	case "nats", "tls", "ws", "wss":
		return nil
	default:
		return fmt.Errorf("NATS_URL: the scheme %q is not known, %s", u.Scheme, legal)
	}
}

func (c *Config) validateIdentity() error {
	var errs []error
	if c.CredsFile != "" && c.User != "" {
		errs = append(errs, errors.New("NATS_CREDS_FILE and NATS_USER: set one of them"))
	}
	if (c.User == "") != (c.PasswordFile == "") {
		errs = append(errs, errors.New("NATS_USER and NATS_PASSWORD_FILE: set both or none"))
	}
	if (c.TLSCertFile == "") != (c.TLSKeyFile == "") {
		errs = append(errs, errors.New("NATS_TLS_CERT_FILE and NATS_TLS_KEY_FILE: set both or none"))
	}
	return errors.Join(errs...)
}

func readable(name, path string) error {
	if path == "" {
		return nil
	}
	f, err := os.Open(path) //nolint:gosec // the operator names the file
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	return f.Close()
}
