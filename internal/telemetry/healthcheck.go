package telemetry

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"time"
)

const (
	checkTimeout = 5 * time.Second
	maxShownBody = 4 << 10
)

var errAnyPort = errors.New("port 0 is chosen anew at each start, so there is none to ask: set HTTP_ADDR to a fixed one")

// Check asks the worker that listens on addr, on this machine, whether it is
// ready. The error holds the status and what the worker says of itself.
func Check(ctx context.Context, addr string) error {
	target, err := probed(addr)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, checkTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+target+"/readyz", http.NoBody)
	if err != nil {
		return fmt.Errorf("address %q: %w", addr, err)
	}
	res, err := prober().Do(req)
	if err != nil {
		return fmt.Errorf("no worker answers on %s: %w", target, err)
	}
	defer res.Body.Close()
	return verdict(res)
}

// prober is a client without proxies and without redirects: the worker itself
// has to answer.
func prober() *http.Client {
	return &http.Client{
		Transport:     &http.Transport{DisableKeepAlives: true},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

func verdict(res *http.Response) error {
	if res.StatusCode == http.StatusOK {
		return nil
	}
	body, err := io.ReadAll(io.LimitReader(res.Body, maxShownBody))
	if err != nil {
		return fmt.Errorf("%s, and its text cannot be read: %w", res.Status, err)
	}
	text := strings.ReplaceAll(strings.TrimSpace(string(body)), "\n", "; ")
	return fmt.Errorf("%s: %s", res.Status, text)
}

// probed is the address under which a listener on addr is reached from its own
// machine: one that listens on every address is reached on the loopback.
func probed(addr string) (string, error) {
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return "", fmt.Errorf("address %q: want host:port or :port: %w", addr, err)
	}
	if port == "0" || port == "" {
		return "", errAnyPort
	}
	ip, err := netip.ParseAddr(host)
	switch {
	case host == "", err == nil && ip.Is4() && ip.IsUnspecified():
		host = "127.0.0.1"
	case err == nil && ip.IsUnspecified():
		host = "::1"
	}
	return net.JoinHostPort(host, port), nil
}
