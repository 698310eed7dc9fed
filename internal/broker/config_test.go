package broker_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/voip-push/worker/internal/broker"
)

func write(t *testing.T, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func text(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

func TestValidate(t *testing.T) {
	file, folder := write(t, "x"), t.TempDir()
	missing := filepath.Join(folder, "missing")
	const (
		legal    = `want "embedded" or a comma-separated list of nats://host:port (nats, tls, ws, wss)`
		unread   = "NATS_URL: a server's URL cannot be read, " + legal
		embedded = broker.Embedded
	)
	gone := ": open " + missing + ": no such file or directory"
	tests := []struct {
		name   string
		config broker.Config
		want   []string // lines
	}{
		{"embedded", broker.Config{URL: embedded, EmbeddedAddr: "127.0.0.1:4222"}, nil},
		{"embedded on any free port", broker.Config{URL: embedded, EmbeddedAddr: "localhost:0"}, nil},
		{"embedded on IPv6", broker.Config{URL: embedded, EmbeddedAddr: "[::1]:4222"}, nil},
		{"embedded without an address", broker.Config{URL: embedded}, []string{`NATS_EMBEDDED_ADDR: "" is not host:port, as in 127.0.0.1:4222`}},
		{"embedded without a host", broker.Config{URL: embedded, EmbeddedAddr: ":4222"}, []string{`NATS_EMBEDDED_ADDR: ":4222" is not host:port, as in 127.0.0.1:4222`}},
		{"embedded without a port", broker.Config{URL: embedded, EmbeddedAddr: "127.0.0.1"}, []string{`NATS_EMBEDDED_ADDR: "127.0.0.1" is not host:port, as in 127.0.0.1:4222`}},
		{"embedded on no port", broker.Config{URL: embedded, EmbeddedAddr: "127.0.0.1:nats"}, []string{`NATS_EMBEDDED_ADDR: "127.0.0.1:nats" is not host:port, as in 127.0.0.1:4222`}},
		{"embedded beyond ports", broker.Config{URL: embedded, EmbeddedAddr: "127.0.0.1:65536"}, []string{`NATS_EMBEDDED_ADDR: "127.0.0.1:65536" is not host:port, as in 127.0.0.1:4222`}},
		{"a server", broker.Config{URL: "nats://nats:4222"}, nil},
		{"a server without scheme and port", broker.Config{URL: "nats"}, nil},
		{"every scheme", broker.Config{URL: "nats://a, tls://b ,ws://c:80,wss://[::1]:65535"}, nil},
		{"a user in the URL", broker.Config{URL: "nats://user:secret@nats:4222"}, nil},
		{"a URL that is set and empty", broker.Config{}, []string{"NATS_URL: it is set and empty, " + legal}},
		{"an empty element", broker.Config{URL: "nats://a,,nats://b"}, []string{unread}},
		{"every element is looked at", broker.Config{URL: "http://a,nats://:4222,nats://user:secret@b:nats,nats://c:65536"}, []string{
			`NATS_URL: the scheme "http" is not known, ` + legal, unread, unread, unread,
		}},
		{"a URL that cannot be read", broker.Config{URL: "nats://user:sec%ret@nats"}, []string{unread}},
		{"readable files", broker.Config{URL: "a", User: "u", PasswordFile: file, TLSCAFile: file, TLSCertFile: file, TLSKeyFile: file}, nil},
		{"credentials", broker.Config{URL: "a", CredsFile: file}, nil},
		{"two identities", broker.Config{URL: "a", CredsFile: file, User: "u", PasswordFile: file}, []string{"NATS_CREDS_FILE and NATS_USER: set one of them"}},
		{"a user without a password", broker.Config{URL: "a", User: "u"}, []string{"NATS_USER and NATS_PASSWORD_FILE: set both or none"}},
		{"a password without a user", broker.Config{URL: "a", PasswordFile: file}, []string{"NATS_USER and NATS_PASSWORD_FILE: set both or none"}},
		{"a certificate without a key", broker.Config{URL: "a", TLSCertFile: file}, []string{"NATS_TLS_CERT_FILE and NATS_TLS_KEY_FILE: set both or none"}},
		{"a key without a certificate", broker.Config{URL: "a", TLSKeyFile: file}, []string{"NATS_TLS_CERT_FILE and NATS_TLS_KEY_FILE: set both or none"}},
		{"a folder for a file", broker.Config{URL: "a", TLSCAFile: folder}, []string{"NATS_TLS_CA_FILE: read " + folder + ": is a directory"}},
		{"all at once", broker.Config{URL: "x://a", CredsFile: missing, User: "u", PasswordFile: missing, TLSCAFile: missing, TLSCertFile: missing, TLSKeyFile: missing}, []string{
			`NATS_URL: the scheme "x" is not known, ` + legal, "NATS_CREDS_FILE and NATS_USER: set one of them",
			"NATS_CREDS_FILE" + gone, "NATS_PASSWORD_FILE" + gone, "NATS_TLS_CA_FILE" + gone, "NATS_TLS_CERT_FILE" + gone, "NATS_TLS_KEY_FILE" + gone,
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := text(tt.config.Validate())
			if want := strings.Join(tt.want, "\n"); got != want {
				t.Errorf("got\n%s\nwant\n%s", got, want)
			}
			if strings.Contains(got, "sec") {
				t.Errorf("a password is shown: %s", got)
			}
		})
	}
}

func TestValidateTopology(t *testing.T) {
	good := broker.Config{Replicas: 1, PushMaxBytes: 1 << 30, MaxAckPending: 16384, AckWait: 5 * time.Second}
	if err := good.ValidateTopology(); err != nil {
		t.Errorf("the contract's defaults: %v", err)
	}
	most := broker.Config{Replicas: 5, PushMaxBytes: 1, MaxAckPending: 1, AckWait: 1}
	if err := most.ValidateTopology(); err != nil {
		t.Errorf("at the bounds: %v", err)
	}
	const want = `NATS_REPLICAS: 0 is not a number from 1 to 5
NATS_PUSH_MAX_BYTES: 0 is not 1 or more
NATS_MAX_ACK_PENDING: 0 is not 1 or more
CONSUMER_ACK_WAIT: 0s is not more than 0s`
	if got := text(new(broker.Config).ValidateTopology()); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	if got := text((&broker.Config{Replicas: 6, PushMaxBytes: 1, MaxAckPending: 1, AckWait: 1}).ValidateTopology()); got != "NATS_REPLICAS: 6 is not a number from 1 to 5" {
		t.Errorf("got %s", got)
	}
}

func TestServers(t *testing.T) {
	if got := (&broker.Config{URL: broker.Embedded, EmbeddedAddr: "127.0.0.1:4222"}).Servers(); got != "nats://127.0.0.1:4222" {
		t.Errorf("embedded: %s", got)
	}
	if got := (&broker.Config{URL: "nats://a,nats://b", EmbeddedAddr: "127.0.0.1:4222"}).Servers(); got != "nats://a,nats://b" {
		t.Errorf("a list: %s", got)
	}
}

func TestRedactURLs(t *testing.T) {
	spaced := " tls://user:secret@a:4222 , nats://b, ws://t@c"
	for list, want := range map[string]string{
		"nats://nats:4222":             "nats://nats:4222",
		"nats":                         "nats://nats",
		"nats://user:secret@nats:4222": "nats://[private]@nats:4222",
		"nats://token@nats":            "nats://[private]@nats",
		"user:secret@nats":             "nats://[private]@nats",
		"nats://user:se@cret@nats":     "nats://[private]@nats",
		spaced:                         "tls://[private]@a:4222,nats://b,ws://[private]@c",
	} {
		if got := broker.RedactURLs(list); got != want {
			t.Errorf("%s: got %s, want %s", list, got, want)
		}
	}
}
