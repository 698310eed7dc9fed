package telemetry

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

func TestCheck(t *testing.T) {
	h := NewHealth("nats")
	h.Note("report", "circuit open")
	s := start(t, h, NewMetrics(Labels{}))
	err := Check(t.Context(), s.Addr())
	if want := "503 Service Unavailable: not ready; nats: starting; report: circuit open"; text(err) != want {
		t.Errorf("got %v, want %s", err, want)
	}
	h.Set("nats", nil)
	_, port, _ := strings.Cut(s.Addr(), ":")
	for _, addr := range []string{s.Addr(), ":" + port, "0.0.0.0:" + port, "localhost:" + port} {
		if err := Check(t.Context(), addr); err != nil {
			t.Errorf("%s: %v", addr, err)
		}
	}
	s.Shutdown(t.Context())
	if err := Check(t.Context(), s.Addr()); !strings.Contains(text(err), "no worker answers on "+s.Addr()) {
		t.Errorf("got %v", err)
	}
}

func TestCheckAsksTheWorkerItself(t *testing.T) {
	t.Setenv("HTTP_PROXY", "http://192.0.2.1:1")
	elsewhere := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/readyz" {
			http.Redirect(w, r, "/elsewhere", http.StatusFound)
		}
	}))
	defer elsewhere.Close()
	err := Check(t.Context(), elsewhere.Listener.Addr().String())
	if !strings.HasPrefix(text(err), "302 Found") {
		t.Errorf("got %v", err)
	}
}

func TestCheckEndsWithItsContext(t *testing.T) {
	silent := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }))
	defer silent.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if err := Check(ctx, silent.Listener.Addr().String()); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v", err)
	}
}

func TestCheckOfABodyCutShort(t *testing.T) {
	broken := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "100")
		w.WriteHeader(http.StatusServiceUnavailable)
	}))
	defer broken.Close()
	err := Check(t.Context(), broken.Listener.Addr().String())
	if !strings.HasPrefix(text(err), "503 Service Unavailable, and its text cannot be read") {
		t.Errorf("got %v", err)
	}
}

func TestProbed(t *testing.T) {
	tests := []struct{ addr, want, wrong string }{
		{":8080", "127.0.0.1:8080", ""},
		{"0.0.0.0:8080", "127.0.0.1:8080", ""},
		{"[::]:8080", "[::1]:8080", ""},
		{"127.0.0.1:8080", "127.0.0.1:8080", ""},
		{"[::1]:8080", "[::1]:8080", ""},
		{"10.1.2.3:9090", "10.1.2.3:9090", ""},
		{"worker.local:8080", "worker.local:8080", ""},
		{"127.0.0.1:0", "", "port 0 is chosen anew"},
		{":", "", "port 0 is chosen anew"},
		{"8080", "", "want host:port or :port"},
		{"", "", "want host:port or :port"},
	}
	for _, tt := range tests {
		t.Run(tt.addr, func(t *testing.T) {
			got, err := probed(tt.addr)
			if got != tt.want || !strings.Contains(text(err), tt.wrong) || (err != nil) != (tt.wrong != "") {
				t.Errorf("got %q, %v", got, err)
			}
		})
	}
}
