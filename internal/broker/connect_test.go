package broker_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"

	"github.com/voip-push/worker/internal/broker"
	"github.com/voip-push/worker/internal/testkit"
)

// connect is Connect with a log that can be read.
func connect(t *testing.T, cfg *broker.Config, opts broker.Options) (*nats.Conn, *testkit.Log, error) {
	t.Helper()
	var log testkit.Log
	opts.Log = log.Logger()
	nc, err := broker.Connect(cfg, opts)
	if err == nil {
		t.Cleanup(nc.Close)
	}
	return nc, &log, err
}

func mustConnect(t *testing.T, cfg *broker.Config, opts broker.Options) (*nats.Conn, *testkit.Log) {
	t.Helper()
	nc, log, err := connect(t, cfg, opts)
	if err != nil {
		t.Fatal(err)
	}
	return nc, log
}

// nowhere is a URL on which nobody listens.
func nowhere(t *testing.T) string {
	t.Helper()
	s := testkit.Broker(t)
	s.Stop()
	return s.Config.URL
}

func TestConnectToNobody(t *testing.T) {
	t.Parallel()
	url := nowhere(t)
	host := strings.TrimPrefix(url, "nats://")
	tests := map[string]struct {
		config broker.Config
		want   string
	}{
		"a server":            {broker.Config{URL: url}, "connect to NATS at " + url + ": nats: no servers available for connection; is it running, and is NATS_URL right?"},
		"a password in a URL": {broker.Config{URL: "nats://user:secret@" + host}, "connect to NATS at nats://[private]@" + host + ": nats: no servers available for connection; is it running, and is NATS_URL right?"},
		"the embedded broker of another process": {broker.Config{URL: broker.Embedded, EmbeddedAddr: host}, "connect to NATS at " + url + ": nats: no servers available for connection; " +
			"NATS_URL is not set, and no worker with an embedded broker listens there"},
		"a URL that cannot be read": {broker.Config{URL: "nats://user:sec%ret@host"}, `NATS_URL: a server's URL cannot be read, want "embedded" or a comma-separated list of nats://host:port (nats, tls, ws, wss)`},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if _, _, err := connect(t, &tt.config, broker.Options{}); text(err) != tt.want {
				t.Errorf("got  %v\nwant %s", err, tt.want)
			}
		})
	}
}

func TestConnectWaits(t *testing.T) {
	t.Parallel()
	s := testkit.Broker(t)
	s.Stop()
	nc, log := mustConnect(t, &s.Config, broker.Options{Name: "waiting", Wait: true})
	log.Wait(t, `level=WARN msg="cannot reach NATS, trying again" error="connect to NATS at `+s.Config.URL)
	if nc.IsConnected() {
		t.Error("it is connected to nobody")
	}
	// Nothing is kept back for later: that would be a late ring.
	if err := nc.Publish("x", nil); !errors.Is(err, nats.ErrReconnectBufExceeded) {
		t.Errorf("a publish meanwhile: %v", err)
	}
	s.Start(t)
	log.Wait(t, "connected to NATS")
	if err := nc.Publish("x", nil); err != nil {
		t.Error(err)
	}
}

func TestReconnect(t *testing.T) {
	t.Parallel()
	s := testkit.Broker(t)
	nc, log := mustConnect(t, &s.Config, broker.Options{Name: "reconnecting"})
	log.Wait(t, `msg="connected to NATS" server=`+s.Config.URL+" server_name=testkit")
	sub, err := nc.SubscribeSync("x")
	if err != nil {
		t.Fatal(err)
	}
	s.Stop()
	log.Wait(t, "lost the connection to NATS, reconnecting")
	if err := nc.Publish("x", nil); err == nil {
		t.Error("a publish meanwhile is taken")
	}
	s.Start(t)
	log.Wait(t, "msg=\"reconnected to NATS\" server="+s.Config.URL)
	if err := nc.Publish("x", []byte("again")); err != nil {
		t.Fatal(err)
	}
	if m, err := sub.NextMsg(5 * time.Second); err != nil || string(m.Data) != "again" {
		t.Errorf("got %v, %v", m, err)
	}
}

func users(o *server.Options) {
	o.Users = []*server.User{{
		Username: "worker", Password: "secret", Permissions: &server.Permissions{
			Publish:   &server.SubjectPermission{Allow: []string{"allowed", "$JS.API.INFO"}},
			Subscribe: &server.SubjectPermission{Allow: []string{"_INBOX_worker.>"}},
		},
	}}
}

func TestPassword(t *testing.T) {
	t.Parallel()
	s := testkit.Broker(t, testkit.WithServer(users))
	cfg := s.Config
	cfg.User, cfg.PasswordFile = "worker", write(t, "wrong-one\n")
	_, _, err := connect(t, &cfg, broker.Options{})
	if want := "connect to NATS at " + s.Config.URL + ": nats: Authorization Violation; check NATS_CREDS_FILE, or NATS_USER and NATS_PASSWORD_FILE"; text(err) != want {
		t.Errorf("a wrong password: got %v\nwant %s", err, want)
	}
	// One that waits is told of it as well, and reads the file again each time.
	nc, log := mustConnect(t, &cfg, broker.Options{Wait: true})
	log.Wait(t, "check NATS_CREDS_FILE, or NATS_USER and NATS_PASSWORD_FILE")
	if nc.IsConnected() {
		t.Error("it is connected with a wrong password")
	}
	rewrite(t, cfg.PasswordFile, "secret\r\n")
	log.Wait(t, "connected to NATS")
	// A file that is gone is a wrong password, until it is back.
	refusals := func() int { return strings.Count(log.String(), "check NATS_CREDS_FILE") }
	before := refusals()
	if err := os.Remove(cfg.PasswordFile); err != nil {
		t.Fatal(err)
	}
	if err := nc.ForceReconnect(); err != nil {
		t.Fatal(err)
	}
	// Not even two refusals by the same server end it, as nats.go would by default.
	testkit.Eventually(t, "two refusals more", func() bool { return refusals() >= before+2 })
	rewrite(t, cfg.PasswordFile, "secret")
	log.Wait(t, "reconnected to NATS")
	if all := log.String(); strings.Contains(all, "secret") || strings.Contains(all, "wrong-one") {
		t.Errorf("a password is logged: %s", all)
	}
}

// TestTokenInAURL: it stands where a user would, and is no less secret than a
// password.
func TestTokenInAURL(t *testing.T) {
	t.Parallel()
	s := testkit.Broker(t, testkit.WithServer(func(o *server.Options) { o.Authorization = "secret" }))
	cfg := s.Config
	cfg.URL = strings.Replace(cfg.URL, "://", "://secret@", 1)
	nc, log := mustConnect(t, &cfg, broker.Options{})
	log.Wait(t, "connected to NATS")
	if err := nc.ForceReconnect(); err != nil {
		t.Fatal(err)
	}
	log.Wait(t, "reconnected to NATS")
	if all := log.String(); strings.Contains(all, "secret") || strings.Count(all, "nats://[private]@127.0.0.1:") != 2 {
		t.Errorf("the token is logged: %s", all)
	}
}

func rewrite(t *testing.T, path, content string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestPermissionViolation(t *testing.T) {
	t.Parallel()
	s := testkit.Broker(t, testkit.WithServer(users))
	cfg := s.Config
	cfg.User, cfg.PasswordFile = "worker", write(t, "secret")
	refused := make(chan error, 4)
	nc, log := mustConnect(t, &cfg, broker.Options{InboxPrefix: "_INBOX_worker", Violation: func(err error) { refused <- err }})
	if _, err := nc.Request("$JS.API.INFO", nil, 5*time.Second); err != nil {
		t.Errorf("a request with the inbox prefix: %v", err)
	}
	if err := nc.Publish("forbidden", nil); err != nil {
		t.Fatal(err)
	}
	if err := testkit.Receive(t, "the refused publish", refused); !errors.Is(err, nats.ErrPermissionViolation) || !strings.Contains(err.Error(), `"forbidden"`) {
		t.Errorf("got %v", err)
	}
	if _, err := nc.SubscribeSync("other"); err != nil {
		t.Fatal(err)
	}
	if err := testkit.Receive(t, "the refused subscription", refused); !errors.Is(err, nats.ErrPermissionViolation) || !strings.Contains(err.Error(), `"other"`) {
		t.Errorf("got %v", err)
	}
	log.Wait(t, `level=ERROR msg="NATS refused a permission"`)
	if _, err := nc.SubscribeSync("$SRV.*"); err != nil { // whether it shows is nobody's trouble
		t.Fatal(err)
	}
	log.Wait(t, `level=INFO msg="no permission to show as a NATS micro service"`)
	if len(refused) > 0 {
		t.Errorf("somebody was told of %v", <-refused)
	}

	// Without anybody to tell, it is still logged.
	nc, log = mustConnect(t, &cfg, broker.Options{})
	if err := nc.Publish("forbidden", nil); err != nil {
		t.Fatal(err)
	}
	log.Wait(t, `level=ERROR msg="NATS refused a permission"`)
}

func TestAsyncErrorsAreLogged(t *testing.T) {
	t.Parallel()
	s := testkit.Broker(t)
	nc, log := mustConnect(t, &s.Config, broker.Options{Violation: func(err error) { t.Errorf("%v is no violation", err) }})
	sub, err := nc.SubscribeSync("x")
	if err != nil {
		t.Fatal(err)
	}
	if err := sub.SetPendingLimits(1, -1); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		if err := nc.Publish("x", nil); err != nil {
			t.Fatal(err)
		}
	}
	log.Wait(t, `level=WARN msg="NATS reports an error" error="nats: slow consumer, messages dropped" subject=x`)
}

func TestTLS(t *testing.T) {
	t.Parallel()
	ca, certificate, key := keyPair(t)
	pair, err := tls.LoadX509KeyPair(certificate, key)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	if pem, err := os.ReadFile(ca); err != nil || !pool.AppendCertsFromPEM(pem) {
		t.Fatal("no CA", err)
	}
	s := testkit.Broker(t, testkit.WithServer(func(o *server.Options) {
		o.TLSConfig = &tls.Config{Certificates: []tls.Certificate{pair}, ClientCAs: pool, ClientAuth: tls.RequireAndVerifyClientCert}
		o.TLSTimeout = 5
	}))
	nothing := write(t, "no certificate")
	const hint = "check NATS_TLS_CA_FILE, NATS_TLS_CERT_FILE and NATS_TLS_KEY_FILE"
	tests := map[string]struct{ ca, certificate, key, want string }{
		"mutual":                   {ca, certificate, key, ""},
		"an unknown authority":     {"", certificate, key, hint},
		"no client certificate":    {ca, "", "", hint},
		"a CA that is none":        {nothing, "", "", hint},
		"a certificate that is no": {ca, nothing, key, hint},
		"a CA that is missing":     {filepath.Join(t.TempDir(), "missing"), "", "", "NATS_TLS_CA_FILE: open "},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cfg := s.Config
			cfg.TLSCAFile, cfg.TLSCertFile, cfg.TLSKeyFile = tt.ca, tt.certificate, tt.key
			_, _, err := connect(t, &cfg, broker.Options{})
			if (err == nil) != (tt.want == "") || !strings.Contains(text(err), tt.want) {
				t.Errorf("got %v, want %q in it", err, tt.want)
			}
		})
	}
}

// keyPair makes a certificate for 127.0.0.1 that is its own authority, for
// servers and clients.
func keyPair(t *testing.T) (ca, certificate, key string) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &private.PublicKey, private)
	if err != nil {
		t.Fatal(err)
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	certificate = write(t, string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})))
	return certificate, certificate, write(t, string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: pkcs8})))
}

func TestCredentials(t *testing.T) {
	t.Parallel()
	s := testkit.Broker(t, testkit.WithServer(func(o *server.Options) {
		o.Nkeys = []*server.NkeyUser{{Nkey: "UCNGL4W5QX66CFX6A6DCBVDH5VOHMI7B2UZZU7TXAUQQSI2JPHULCKBR"}}
	}))
	cfg := s.Config
	cfg.CredsFile = write(t, "no credentials")
	if _, _, err := connect(t, &cfg, broker.Options{}); err == nil || !strings.HasSuffix(err.Error(), "check NATS_CREDS_FILE, or NATS_USER and NATS_PASSWORD_FILE") {
		t.Errorf("what is no credentials file: %v", err)
	}
}

func TestLameDuck(t *testing.T) {
	t.Parallel()
	lameDuck := testkit.WithServer(func(o *server.Options) { o.LameDuckGracePeriod, o.LameDuckDuration = 30*time.Second, 31*time.Second })
	first, second := testkit.Broker(t, lameDuck), testkit.Broker(t)
	cfg := first.Config
	cfg.URL = first.Config.URL + "," + second.Config.URL
	var nc *nats.Conn
	var log *testkit.Log
	for nc == nil || nc.ConnectedUrl() != first.Config.URL { // the list is shuffled
		nc, log = mustConnect(t, &cfg, broker.Options{})
	}
	_, alone := mustConnect(t, &first.Config, broker.Options{})
	gone := make(chan struct{})
	go func() {
		defer close(gone)
		first.LameDuck()
	}()
	alone.Wait(t, "the NATS server is going down, and no other is known")
	log.Wait(t, "the NATS server is going down, moving to another")
	log.Wait(t, "reconnected to NATS")
	if nc.ConnectedUrl() != second.Config.URL {
		t.Errorf("it went to %s", nc.ConnectedUrl())
	}
	select {
	case <-gone:
		t.Error("it moved only when the server was gone")
	default:
	}
	first.Stop()
	testkit.Receive(t, "the end of the lame duck", gone)
}

func TestJetStream(t *testing.T) {
	t.Parallel()
	s := testkit.Broker(t, testkit.Provisioned())
	js, err := broker.JetStream(s.Conn(t))
	if err != nil {
		t.Fatal(err)
	}
	if o := js.Options(); o.DefaultTimeout != 5*time.Second {
		t.Errorf("got %+v", o)
	}
	var names []string
	for name := range js.StreamNames(t.Context()).Name() {
		names = append(names, name)
	}
	slices.Sort(names)
	if !slices.Equal(names, []string{"KV_VOIP_CALLS", "VOIP_CANCEL", "VOIP_DLQ", "VOIP_PUSH", "VOIP_RESULT"}) {
		t.Errorf("got %v", names)
	}
}
