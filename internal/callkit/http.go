package callkit

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/voip-push/worker/internal/voip"
)

const (
	// maxRequestBytes is far beyond a request with the largest push and picture.
	maxRequestBytes = 1 << 20
	headerTimeout   = 5 * time.Second
	closeTimeout    = 2 * time.Second
)

// ReportPath is where reports are posted; the root takes them as well.
const ReportPath = "/report"

// Handler serves reports over HTTP as a bridge does: POST, the same JSON as on
// every transport, the key also as a header. Beside it, below other paths, is
// the control API.
//
// An answer that is lost never comes: the connection stays silent until the
// caller gives up. A connection that is open cannot be refused any more, so
// "nobody there" is a reset here.
func (m *Model) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST "+ReportPath, m.serveReport)
	mux.HandleFunc("POST /{$}", m.serveReport)
	m.control(mux)
	return mux
}

func (m *Model) serveReport(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxRequestBytes))
	if _, tooLong := errors.AsType[*http.MaxBytesError](err); tooLong {
		http.Error(w, "the request is too long", http.StatusRequestEntityTooLarge)
		return
	}
	if err != nil {
		return // nobody is there to be answered
	}
	req, refusal := decodeRequest(body, r.Header.Get(voip.HeaderIdempotencyKey))
	if refusal != nil {
		writeJSON(w, refusal)
		return
	}
	e := m.report(r.Context(), req, ViaHTTP)
	switch {
	case e.Err == nil:
		writeJSON(w, e.Answer)
	case e.fault == nil: // the caller has gone
	case e.fault.Effect == TurnAway:
		turnAwayHTTP(w, e.fault)
	case e.fault.Effect == LoseAnswer:
		<-r.Context().Done()
	default:
		reset(w)
	}
}

func turnAwayHTTP(w http.ResponseWriter, f *fault) {
	if f.RetryAfter > 0 {
		w.Header().Set("Retry-After", retryAfter(f.RetryAfter))
	}
	http.Error(w, "injected", f.Status)
}

// reset breaks the connection; its peer sees a reset and no end.
func reset(w http.ResponseWriter) {
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		panic(http.ErrAbortHandler) // HTTP/2: its stream alone is reset
	}
	if tcp, ok := conn.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0) // without it the peer sees an orderly end
	}
	_ = conn.Close()
}

func writeJSON(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(v) // a caller that has gone asks again
}

// ServeHTTP serves the model on a listener until ctx ends. Answers that an
// injected latency still delays are lost then.
func ServeHTTP(ctx context.Context, l net.Listener, m *Model, log *slog.Logger) error {
	// What is under way ends with ctx, and not before it.
	s := &http.Server{
		Handler: m.Handler(), ReadHeaderTimeout: headerTimeout, ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelDebug),
		BaseContext: func(net.Listener) context.Context { return ctx },
	}
	stopped := make(chan error, 1)
	stop := context.AfterFunc(ctx, func() {
		bounded, cancel := context.WithTimeout(context.WithoutCancel(ctx), closeTimeout)
		defer cancel()
		err := s.Shutdown(bounded)
		if errors.Is(err, context.DeadlineExceeded) {
			err = s.Close()
		}
		stopped <- err
	})
	err := s.Serve(l)
	if stop() { // it ended by itself
		return fmt.Errorf("serve the Call Kit model on %s: %w", l.Addr(), err)
	}
	return <-stopped
}
