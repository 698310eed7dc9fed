package report

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"time"
)

const (
	connectTimeout = 5 * time.Second
	// idleTimeout is shorter than most servers': a connection that we close is
	// never closed by them under a request.
	idleTimeout = 30 * time.Second
	// A frozen HTTP/2 connection, which all calls share, is found out by pings.
	pingAfter   = 5 * time.Second
	pingTimeout = 3 * time.Second
)

// newPool keeps as many connections open as attempts are made at once.
func newPool(roots *x509.CertPool, connections int) *http.Transport {
	dialer := &net.Dialer{Timeout: connectTimeout, KeepAlive: idleTimeout / 2}
	return &http.Transport{
		DialContext:         dialer.DialContext,
		TLSHandshakeTimeout: connectTimeout,
		TLSClientConfig:     &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12},
		ForceAttemptHTTP2:   true,
		HTTP2:               &http.HTTP2Config{SendPingTimeout: pingAfter, PingTimeout: pingTimeout},
		MaxIdleConns:        connections,
		MaxIdleConnsPerHost: connections,
		IdleConnTimeout:     idleTimeout,
		DisableCompression:  true,
	}
}

// checkURL never shows the URL: it may hold what is secret.
func checkURL(raw string) error {
	u, err := url.Parse(raw)
	switch {
	case err != nil:
		return errors.New("the report URL cannot be read, want http://HOST/PATH or https://HOST/PATH")
	case u.Scheme != "http" && u.Scheme != "https", u.Host == "":
		return fmt.Errorf("the report URL has scheme %q and host %q, want http://HOST/PATH or https://HOST/PATH", u.Scheme, u.Host)
	case u.User != nil:
		return errors.New("the report URL holds a user or a password: put a bearer token into the token file instead")
	}
	return nil
}

func loadRoots(path string) (*x509.CertPool, error) {
	if path == "" {
		return nil, nil
	}
	pem, err := os.ReadFile(path) //nolint:gosec // the operator names the file
	if err != nil {
		return nil, fmt.Errorf("report CA: %w", err)
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("report CA: %s holds no certificate in PEM", path)
	}
	return roots, nil
}
