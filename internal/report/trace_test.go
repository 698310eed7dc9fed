package report

import (
	"context"
	"net/http"
	"strings"
	"testing"

	"github.com/nats-io/nats.go"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"

	"github.com/voip-push/worker/internal/voip"
)

// Outside of a span a request gets no header, and pays nothing for the question.
// Not parallel: allocations are counted over the process.
func TestUntracedRequest(t *testing.T) {
	ctx, h := t.Context(), nats.Header{}
	n := testing.AllocsPerRun(100, func() {
		handOn(ctx, voip.TraceHeader(h))
		handOn(ctx, propagation.HeaderCarrier(h))
	})
	if n != 0 || len(h) != 0 {
		t.Errorf("%v allocations, headers %v, want none", n, h)
	}
}

// With traces off the push's own context is handed on as it came, on every
// transport; inside of a span, the span's.
func TestHandOn(t *testing.T) {
	const parent, state = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", "a=1,b=2"
	given := voip.WithCall(t.Context(), "c-1", voip.TraceHeader{"Traceparent": {parent}, "tracestate": {state}})
	span := trace.ContextWithSpanContext(given, trace.NewSpanContext(trace.SpanContextConfig{TraceID: trace.TraceID{1}, SpanID: trace.SpanID{2}}))
	for _, tt := range []struct {
		ctx           context.Context //nolint:containedctx // the case itself
		parent, state string
	}{
		{t.Context(), "", ""},
		{given, parent, state},
		{voip.WithCall(t.Context(), "c-1", voip.TraceHeader{"traceparent": {"garbage"}, "tracestate": {state}}), "", ""},
		{voip.WithCall(t.Context(), "c-1", voip.TraceHeader{"traceparent": {parent}, "tracestate": {"a=\x01"}}), parent, ""}, // net/http would refuse the request
		{voip.WithCall(t.Context(), "c-1", voip.TraceHeader{"traceparent": {parent}, "tracestate": {"a=" + strings.Repeat("b", 511)}}), parent, ""},
		{span, "00-01000000000000000000000000000000-0200000000000000-00", ""},
	} {
		n, h := nats.Header{}, http.Header{}
		handOn(tt.ctx, voip.TraceHeader(n))
		handOn(tt.ctx, propagation.HeaderCarrier(h))
		for _, got := range [][2]string{{n.Get("traceparent"), n.Get("tracestate")}, {h.Get("traceparent"), h.Get("tracestate")}} {
			if got != [2]string{tt.parent, tt.state} {
				t.Errorf("handed on %q, want %q and %q", got, tt.parent, tt.state)
			}
		}
	}
}
