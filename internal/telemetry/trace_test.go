package telemetry

import (
	"bytes"
	"context"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

// logTo is a logger whose lines can be read once nobody writes any more.
func logTo(b *bytes.Buffer) *slog.Logger { return NewLogger(b, LogOptions{}) }

// A collector that cannot be reached is one line in the log, and one more when
// it can be again.
func TestUnreachableCollector(t *testing.T) {
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := listener.Addr().String()
	if err := listener.Close(); err != nil { // nobody is there
		t.Fatal(err)
	}
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://"+addr)
	var log bytes.Buffer
	traces, err := StartTraces(t.Context(), "test", "one", logTo(&log))
	if err != nil {
		t.Fatal(err)
	}
	export := func() {
		_, span := traces.Tracer().Start(t.Context(), "span")
		span.End()
		if err := traces.provider.ForceFlush(t.Context()); err != nil {
			t.Errorf("an export that fails is an error: %v", err)
		}
	}
	for range 3 {
		export()
	}
	back, err := new(net.ListenConfig).Listen(t.Context(), "tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	_ = server.Listener.Close() // another one takes its place
	server.Listener = back
	server.Start()
	defer server.Close()
	for range 2 {
		export()
	}
	if err := traces.Shutdown(t.Context()); err != nil {
		t.Error(err)
	}
	lines := strings.Split(strings.TrimSpace(log.String()), "\n")
	if len(lines) != 2 || !strings.Contains(lines[0], "traces cannot be exported") || !strings.Contains(lines[1], "spans_lost=3") {
		t.Errorf("the log is %q", lines)
	}
}

// A collector that hangs keeps neither a span nor the end of the worker: what
// does not fit is dropped, and the last export has the time it is given.
func TestHangingCollector(t *testing.T) {
	hang := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		select {
		case <-hang:
		case <-r.Context().Done():
		}
	}))
	defer server.Close()
	defer close(hang)
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", server.URL)
	traces, err := StartTraces(t.Context(), "test", "one", slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	for range 10_000 { // far more than the queue holds
		_, span := traces.Tracer().Start(t.Context(), "span")
		span.End()
	}
	const given = 50 * time.Millisecond
	ctx, cancel := context.WithTimeout(t.Context(), given)
	defer cancel()
	began := time.Now()
	if err := traces.Shutdown(ctx); err == nil {
		t.Error("all spans were exported")
	}
	if took := time.Since(began); took > 100*given {
		t.Errorf("it took %v to give up", took)
	}
}

// Lines carry the ids of the span that they are said in, whatever groups are
// open; none without a span.
func TestTraceIDsInTheLog(t *testing.T) {
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:1")
	var log bytes.Buffer
	logger := logTo(&log).WithGroup("group")
	traces, err := StartTraces(t.Context(), "test", "one", slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	ctx, span := traces.Tracer().Start(t.Context(), "span")
	logger.InfoContext(ctx, "inside")
	logger.InfoContext(t.Context(), "outside")
	parts := strings.Split(Traceparent(ctx), "-")
	if want := "msg=inside trace_id=" + parts[1] + " span_id=" + parts[2] + "\n"; !strings.Contains(log.String(), want) {
		t.Errorf("the log is %q, want %q in it", log.String(), want)
	}
	if strings.Count(log.String(), "trace_id") != 1 || Traceparent(t.Context()) != "" {
		t.Errorf("without a span: %q, %q", log.String(), Traceparent(t.Context()))
	}
	span.End()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_ = traces.Shutdown(ctx) // nobody is there
	if n := testing.AllocsPerRun(100, func() { traceAttrs(context.Background()) }); n != 0 {
		t.Errorf("a line without a span pays %v allocations for it", n)
	}
}
