package report

import (
	"context"
	"encoding/pem"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/voip-push/worker/internal/voip"
)

const goodAnswer = `{"code":0,"errorReason":0,"message":"","duplicate":false}`

func newHTTP(t *testing.T, cfg HTTPConfig) *HTTP {
	t.Helper()
	cfg.Concurrency = 16
	h, err := NewHTTP(cfg, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(h.Close)
	return h
}

func bridge(t *testing.T, h http.HandlerFunc) *httptest.Server {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return s
}

// reported sends one request that must be answered with success.
func reported(t *testing.T, transport Transport) {
	t.Helper()
	req := request()
	req.IdempotencyKey = "c-1.r0.a1"
	if a, err := transport.Report(t.Context(), &req); err != nil || a.Reason() != voip.ReasonNone {
		t.Fatalf("%+v, %v", a, err)
	}
}

func TestHTTPRequest(t *testing.T) {
	s := bridge(t, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		if r.Method != http.MethodPost || r.Header.Get("Content-Type") != "application/json" ||
			r.Header.Get(voip.HeaderIdempotencyKey) != "c-1.r0.a1" || r.Header.Get("Authorization") != "" ||
			!strings.Contains(string(body), `"callId":"c-1"`) {
			t.Errorf("%s %v: %s", r.Method, r.Header, body)
		}
		fmt.Fprint(w, goodAnswer)
	})
	reported(t, newHTTP(t, HTTPConfig{URL: s.URL}))
}

// TestHTTPStatuses: every status over the wire, each of them on a connection
// that is used again.
func TestHTTPStatuses(t *testing.T) {
	var status, connections atomic.Int64
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Retry-After", "7")
		w.Header().Set("Location", "/elsewhere")
		w.WriteHeader(int(status.Load()))
		fmt.Fprint(w, secret)
	}))
	s.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			connections.Add(1)
		}
	}
	s.Start()
	t.Cleanup(s.Close)
	h := newHTTP(t, HTTPConfig{URL: s.URL})
	for _, code := range []int{
		300, 301, 302, 303, 307, 308, 400, 401, 402, 403, 404, 405, 406, 408, 409, 410, 411, 413, 415, 418, 421, 422, 423, 424, 425, 426,
		428, 429, 431, 451, 499, 500, 501, 502, 503, 504, 505, 507, 508, 511, 520, 524, 599,
	} {
		status.Store(int64(code))
		got, want := failureOf(t, h, time.Minute), statusError(code, 7*time.Second)
		expectFailure(t, got, want.Reason, want.Arrival)
		if got.RetryAfter != want.RetryAfter || got.Duplicate != want.Duplicate {
			t.Errorf("%d: %+v", code, got)
		}
	}
	if n := connections.Load(); n != 1 {
		t.Errorf("%d connections, want 1", n)
	}
	for _, code := range []int{200, 201, 202, 203} {
		status.Store(int64(code))
		expectFailure(t, failureOf(t, h, time.Minute), voip.ReasonReportRejected, voip.Answered)
	}
}

func TestHTTPFailures(t *testing.T) {
	hijack := func(do func(net.Conn)) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body)
			c, _, err := http.NewResponseController(w).Hijack()
			if err != nil {
				t.Error(err)
				return
			}
			do(c)
			c.Close()
		}
	}
	reset := func(c net.Conn) {
		if tcp, ok := c.(*net.TCPConn); !ok || tcp.SetLinger(0) != nil {
			t.Error("cannot reset")
		}
	}
	unavailable, rejected := voip.ReasonReportUnavailable, voip.ReasonReportRejected
	tests := []struct {
		name    string
		handler http.HandlerFunc
		timeout time.Duration
		reason  voip.Reason
		arrival voip.Arrival
	}{
		{"reset", hijack(reset), time.Minute, unavailable, voip.MayHaveArrived},
		{"closed", hijack(func(net.Conn) {}), time.Minute, unavailable, voip.MayHaveArrived},
		{"no HTTP", hijack(func(c net.Conn) { fmt.Fprint(c, secret+"\r\n\r\n") }), time.Minute, unavailable, voip.MayHaveArrived},
		{"broken off", hijack(func(c net.Conn) { fmt.Fprint(c, "HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n{") }), time.Minute, unavailable, voip.MayHaveArrived},
		{"silence", func(_ http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body)
			<-r.Context().Done()
		}, time.Second, unavailable, voip.MayHaveArrived},
		{"nonsense", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, secret) }, time.Minute, rejected, voip.Answered},
		{"empty", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) }, time.Minute, rejected, voip.Answered},
		{"endless", func(w http.ResponseWriter, _ *http.Request) {
			fmt.Fprint(w, `{"code":0,"errorReason":0}`+strings.Repeat(" ", maxAnswerBytes))
		}, time.Minute, rejected, voip.Answered},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := bridge(t, tt.handler)
			expectFailure(t, failureOf(t, newHTTP(t, HTTPConfig{URL: s.URL + "/?key=Li%20Lei"}), tt.timeout), tt.reason, tt.arrival)
		})
	}
	t.Run("refused", func(t *testing.T) {
		s := bridge(t, nil)
		s.Close()
		expectFailure(t, failureOf(t, newHTTP(t, HTTPConfig{URL: s.URL}), time.Minute), unavailable, voip.NotArrived)
	})
	t.Run("no time", func(t *testing.T) {
		s := bridge(t, nil)
		expectFailure(t, failureOf(t, newHTTP(t, HTTPConfig{URL: s.URL}), 0), unavailable, voip.NotArrived)
	})
	t.Run("an authority that is not known", func(t *testing.T) {
		s := httptest.NewTLSServer(nil)
		t.Cleanup(s.Close)
		s.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelDebug)
		expectFailure(t, failureOf(t, newHTTP(t, HTTPConfig{URL: s.URL}), time.Minute), unavailable, voip.NotArrived)
	})
}

// TestHTTPLargestAnswer: exactly as long as is allowed.
func TestHTTPLargestAnswer(t *testing.T) {
	s := bridge(t, func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprint(w, goodAnswer+strings.Repeat(" ", maxAnswerBytes-len(goodAnswer)))
	})
	reported(t, newHTTP(t, HTTPConfig{URL: s.URL}))
}

// TestHTTPSendsOnce: a reset of a connection that was used before is an unknown
// outcome, and not a second request behind our back.
func TestHTTPSendsOnce(t *testing.T) {
	var seen atomic.Int64
	s := bridge(t, func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		if seen.Add(1) > 1 {
			c, _, _ := http.NewResponseController(w).Hijack()
			c.Close()
			return
		}
		fmt.Fprint(w, goodAnswer)
	})
	h := newHTTP(t, HTTPConfig{URL: s.URL})
	reported(t, h)
	expectFailure(t, failureOf(t, h, time.Minute), voip.ReasonReportUnavailable, voip.MayHaveArrived)
	if n := seen.Load(); n != 2 {
		t.Errorf("the bridge saw %d requests, want 2", n)
	}
}

// TestHTTP2 also shows the CA file at work.
func TestHTTP2(t *testing.T) {
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.ProtoMajor != 2 || r.Header.Get(voip.HeaderIdempotencyKey) != "c-1.r0.a1" {
			t.Errorf("%s %v", r.Proto, r.Header)
		}
		fmt.Fprint(w, goodAnswer)
	}))
	s.EnableHTTP2 = true
	s.StartTLS()
	t.Cleanup(s.Close)
	ca := write(t, "ca.pem", string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw})))
	reported(t, newHTTP(t, HTTPConfig{URL: s.URL, CAFile: ca}))
}

func TestHTTPToken(t *testing.T) {
	var got atomic.Value
	s := bridge(t, func(w http.ResponseWriter, r *http.Request) {
		got.Store(r.Header.Get("Authorization"))
		fmt.Fprint(w, goodAnswer)
	})
	file := write(t, "token", "first\n")
	h := newHTTP(t, HTTPConfig{URL: s.URL, TokenFile: file})
	var logged strings.Builder
	h.token.log = slog.New(slog.NewTextHandler(&logged, nil))
	expect := func(want string) {
		t.Helper()
		reported(t, h)
		if got.Load() != "Bearer "+want {
			t.Errorf("sent %v, want %s", got.Load(), want)
		}
	}
	expect("first")
	replace := func(content string, at time.Time) {
		t.Helper()
		if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(file, at, at); err != nil {
			t.Fatal(err)
		}
	}
	replace("second", time.Now().Add(time.Second))
	expect("second")
	replace("other1", time.Now().Add(2*time.Second)) // of the same length
	expect("other1")
	replace("two words", time.Now().Add(3*time.Second))
	expect("other1")
	expect("other1")
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	expect("other1")
	if n := strings.Count(logged.String(), "level=WARN"); n != 1 || strings.Contains(logged.String(), "words") {
		t.Errorf("logged %d warnings: %s", n, logged.String())
	}
	replace("third", time.Now().Add(4*time.Second))
	expect("third")
}

func write(t *testing.T, name, content string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

func TestHTTPConfig(t *testing.T) {
	empty, words := write(t, "empty", " \n"), write(t, "words", "hunter2 hunter3")
	tests := []struct {
		cfg  HTTPConfig
		want []string
	}{
		{HTTPConfig{}, []string{`scheme ""`, "Concurrency is 0"}},
		{HTTPConfig{URL: "ftp://bridge/x"}, []string{`scheme "ftp"`, "want http"}},
		{HTTPConfig{URL: "http://%zz"}, []string{"cannot be read"}},
		{HTTPConfig{URL: "https://u:hunter2@bridge/"}, []string{"token file"}},
		{HTTPConfig{URL: "nats://x", TokenFile: "/none/token", CAFile: "/none/ca"}, []string{"nats", "/none/token", "/none/ca"}},
		{HTTPConfig{URL: "https://bridge/", TokenFile: empty, CAFile: words}, []string{"is empty", "no certificate"}},
		{HTTPConfig{URL: "https://bridge/", TokenFile: words}, []string{"holds a space"}},
	}
	for _, tt := range tests {
		_, err := NewHTTP(tt.cfg, slog.New(slog.DiscardHandler))
		for _, want := range tt.want {
			if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "hunter") {
				t.Errorf("%+v: %v, want %q", tt.cfg, err, want)
			}
		}
	}
}

// TestHTTPStage: a hanging bridge holds up no call past its timeout, and an
// attempt is never longer than the call's life.
func TestHTTPStage(t *testing.T) {
	s := bridge(t, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		if strings.Contains(string(body), `"attempt":1,`) {
			<-r.Context().Done()
			return
		}
		fmt.Fprint(w, `{"code":1007200001,"duplicate":true}`)
	})
	stage := newStage(t, newHTTP(t, HTTPConfig{URL: s.URL}), nil2{})
	stage.cfg.Timeout, stage.cfg.BackoffInitial = 2*time.Second, time.Millisecond
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	p, err := stage.Report(ctx, request(), voip.Progress{}, alwaysRuns{})
	if err != nil || !p.Inferred || p.Total != 2 || p.Attempts[0].Reason != voip.ReasonReportUnavailable {
		t.Errorf("%v, %+v", err, p)
	}
}
