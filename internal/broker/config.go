package broker

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"strconv"
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
		{"NATS_CREDS_FILE", c.CredsFile},
		{"NATS_PASSWORD_FILE", c.PasswordFile},
		{"NATS_TLS_CA_FILE", c.TLSCAFile},
		{"NATS_TLS_CERT_FILE", c.TLSCertFile},
		{"NATS_TLS_KEY_FILE", c.TLSKeyFile},
	} {
		errs = append(errs, readable(f.name, f.path))
	}
	return errors.Join(errs...)
}

// ValidateTopology finds every fault of the settings that shape the streams and
// the consumer, for who provisions them or compares with them.
func (c *Config) ValidateTopology() error {
	var errs []error
	if c.Replicas < 1 || c.Replicas > maxReplicas {
		errs = append(errs, fmt.Errorf("NATS_REPLICAS: %d is not a number from 1 to %d", c.Replicas, maxReplicas))
	}
	if c.PushMaxBytes < 1 {
		errs = append(errs, fmt.Errorf("NATS_PUSH_MAX_BYTES: %d is not 1 or more", c.PushMaxBytes))
	}
	if c.MaxAckPending < 1 {
		errs = append(errs, fmt.Errorf("NATS_MAX_ACK_PENDING: %d is not 1 or more", c.MaxAckPending))
	}
	if c.AckWait <= 0 {
		errs = append(errs, fmt.Errorf("CONSUMER_ACK_WAIT: %v is not more than 0s", c.AckWait))
	}
	return errors.Join(errs...)
}

// maxReplicas is the server's own limit.
const maxReplicas = 5

func (c *Config) validateURL() error {
	if c.IsEmbedded() {
		if host, port, err := net.SplitHostPort(c.EmbeddedAddr); err != nil || host == "" || !validPort(port) {
			return fmt.Errorf("NATS_EMBEDDED_ADDR: %q is not host:port, as in 127.0.0.1:4222", c.EmbeddedAddr)
		}
		return nil
	}
	if strings.TrimSpace(c.URL) == "" {
		return errors.New("NATS_URL: it is set and empty, " + legalURL)
	}
	var errs []error
	for s := range strings.SplitSeq(c.URL, ",") {
		if err := validateServer(strings.TrimSpace(s)); err != nil {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

const legalURL = `want "embedded" or a comma-separated list of nats://host:port (nats, tls, ws, wss)`

// validateServer never repeats the URL: it may hold a password.
func validateServer(s string) error {
	if !strings.Contains(s, "://") {
		s = "nats://" + s
	}
	u, err := url.Parse(s)
	if err != nil || u.Hostname() == "" || u.Port() != "" && !validPort(u.Port()) {
		return errors.New("NATS_URL: a server's URL cannot be read, " + legalURL)
	}
	switch u.Scheme {
	case "nats", "tls", "ws", "wss":
		return nil
	default:
		return fmt.Errorf("NATS_URL: the scheme %q is not known, %s", u.Scheme, legalURL)
	}
}

func validPort(s string) bool {
	_, err := strconv.ParseUint(s, 10, 16)
	return err == nil
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
	// Read as a whole: a folder can be opened, too.
	if _, err := os.ReadFile(path); err != nil { //nolint:gosec // the operator names the file
		return fmt.Errorf("%s: %w", name, err)
	}
	return nil
}
