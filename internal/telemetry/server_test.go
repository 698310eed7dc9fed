package telemetry

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

func TestRoutes(t *testing.T) {
	ready := func(h *Health) { h.Set("nats", nil) }
	tests := []struct {
		name, method, path string
		do                 func(*Health)
		status             int
		body               string
	}{
		{"starting", "GET", "/readyz", func(*Health) {}, 503, "not ready\nnats: starting\n"},
		{"starting, with a note", "GET", "/readyz", func(h *Health) { h.Note("report", "circuit open") }, 503, "not ready\nnats: starting\nreport: circuit open\n"},
		{"ready", "GET", "/readyz", ready, 200, "ready\n"},
		{"ready, with a note", "GET", "/readyz", func(h *Health) { ready(h); h.Note("report", "circuit open") }, 200, "ready\nreport: circuit open\n"},
		{"alive, though not ready", "GET", "/livez", func(*Health) {}, 200, "alive\n"},
		{
			"stuck, though ready", "GET", "/livez",
			func(h *Health) { ready(h); h.Beat("pull", time.Second); time.Sleep(time.Minute) },
			503, "not alive\npull: no tick for 1m0s, at most 10s is allowed\n",
		},
		{"ready, though stuck", "GET", "/readyz", func(h *Health) { ready(h); h.Beat("pull", time.Second); time.Sleep(time.Minute) }, 200, "ready\n"},
		{"head", "HEAD", "/readyz", ready, 200, "ready\n"},
		{"a method that writes", "POST", "/readyz", ready, 405, "Method Not Allowed\n"},
		{"metrics are read only", "DELETE", "/metrics", ready, 405, "Method Not Allowed\n"},
		{"another path", "GET", "/", ready, 404, "404 page not found\n"},
		{"a path below", "GET", "/livez/pull", ready, 404, "404 page not found\n"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := NewHealth("nats")
				tt.do(h)
				w := httptest.NewRecorder()
				routes(h, NewMetrics(labels()), testLog(t)).ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), tt.method, tt.path, http.NoBody))
				if w.Code != tt.status || w.Body.String() != tt.body {
					t.Errorf("got %d %q, want %d %q", w.Code, w.Body, tt.status, tt.body)
				}
			})
		})
	}
}

func TestServerServesMetrics(t *testing.T) {
	m := NewMetrics(labels())
	m.Duplicate()
	s := start(t, NewHealth(), m)
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+s.Addr()+"/metrics", http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	res, err := prober().Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"\nvoip_duplicates_total 1\n", "\nvoip_build_info{", "\ngo_goroutines ",
		`voip_call_latency_seconds_bucket{outcome="reported",le="0.001"} 0`,
	} {
		if !strings.Contains(string(body), want) {
			t.Errorf("%q is missing in\n%s", want, body)
		}
	}
}

func TestStartExplainsWhatIsWrong(t *testing.T) {
	taken := start(t, NewHealth(), NewMetrics(Labels{})).Addr()
	tests := []struct{ name, addr, want string }{
		{"a taken port", taken, "HTTP_ADDR " + taken + ": the port is taken: stop the process that holds it"},
		{"another machine's address", "192.0.2.1:0", "this machine has no such address"},
		{"no address", "nonsense", "want host:port or :port"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := NewServer(tt.addr, NewHealth(), NewMetrics(Labels{}), testLog(t))
			if err := s.Start(t.Context()); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want %q", err, tt.want)
			}
			if err := s.Shutdown(t.Context()); err != nil {
				t.Errorf("Shutdown after a failed start: %v", err)
			}
			if s.Addr() != tt.addr {
				t.Errorf("Addr is %q", s.Addr())
			}
		})
	}
}

func TestAdviceWithoutPermission(t *testing.T) {
	if got := advice(syscall.EACCES); got != "no permission for this port: choose one from 1024 up" {
		t.Errorf("got %q", got)
	}
}

func TestShutdownTwice(t *testing.T) {
	s := start(t, NewHealth(), NewMetrics(Labels{}))
	for range 2 {
		if err := s.Shutdown(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
}

func TestShutdownCutsOffWhoeverStays(t *testing.T) {
	s := NewServer("127.0.0.1:0", NewHealth(), NewMetrics(Labels{}), testLog(t))
	begun := make(chan struct{})
	s.http.Handler = http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		close(begun)
		<-r.Context().Done()
	})
	if err := s.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	asked := make(chan error, 1)
	go func() { asked <- Check(t.Context(), s.Addr()) }()
	<-begun
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := s.Shutdown(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	if err := <-asked; err == nil {
		t.Error("the request was answered")
	}
}

func TestBrokenListenerIsLogged(t *testing.T) {
	var listening net.ListenConfig
	listener, err := listening.Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	listener.Close()
	var out bytes.Buffer
	s := NewServer("", NewHealth(), NewMetrics(Labels{}), NewLogger(&out, LogOptions{}))
	s.done = make(chan struct{})
	s.serve(t.Context(), listener)
	if !strings.Contains(out.String(), "probes and metrics are no longer served") {
		t.Errorf("got %q", out.String())
	}
}

func start(t *testing.T, h *Health, m *Metrics) *Server {
	t.Helper()
	s := NewServer("127.0.0.1:0", h, m, testLog(t))
	if err := s.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Shutdown(context.WithoutCancel(t.Context())) })
	return s
}

func testLog(t *testing.T) *slog.Logger {
	t.Helper()
	return NewLogger(t.Output(), LogOptions{Level: slog.LevelDebug})
}
