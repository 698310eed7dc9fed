package telemetry

import (
	"context"
	"fmt"
	"log/slog"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"
)

// Traces collects spans and exports them over OTLP/HTTP, in the background: a
// full queue drops spans, and nothing waits for the collector.
type Traces struct{ provider *sdktrace.TracerProvider }

// StartTraces begins the export of the spans of a service's instance. Where to, and everything
// else about it, is in the standard OTEL_* variables, which the SDK and its
// exporter read themselves; what is wrong in them is their caller's to find.
func StartTraces(ctx context.Context, service, instance string, log *slog.Logger) (*Traces, error) {
	// What is left to go wrong is said by the SDK itself, through the one place
	// that it has for that.
	otel.SetErrorHandler(otel.ErrorHandlerFunc(func(err error) { log.WarnContext(ctx, "traces", "error", err) }))
	out, err := otlptracehttp.New(ctx)
	if err != nil {
		return nil, fmt.Errorf("set up the export of traces: %w", err)
	}
	version, _, _ := Build()
	about, err := resource.New(ctx,
		resource.WithAttributes(semconv.ServiceName(service), semconv.ServiceInstanceID(instance), semconv.ServiceVersion(version)),
		resource.WithTelemetrySDK(), resource.WithHost(), resource.WithFromEnv()) // the last one overrules
	if err != nil {
		return nil, fmt.Errorf("describe this service for its traces: %w", err)
	}
	return &Traces{sdktrace.NewTracerProvider(
		sdktrace.WithResource(about), sdktrace.WithBatcher(&exporter{SpanExporter: out, log: log}),
	)}, nil
}

// Tracer makes spans.
func (t *Traces) Tracer() trace.Tracer { return t.provider.Tracer("github.com/voip-push/worker") }

// Shutdown exports what is left until ctx ends.
func (t *Traces) Shutdown(ctx context.Context) error {
	if err := t.provider.Shutdown(ctx); err != nil {
		return fmt.Errorf("export the last spans: %w", err)
	}
	return nil
}

// exporter says once that a collector cannot be reached, and once that it can
// again. The SDK never calls it twice at a time.
type exporter struct {
	sdktrace.SpanExporter

	log  *slog.Logger
	lost int // spans, since the last export that succeeded
}

// ExportSpans exports a batch, or loses it: spans are not worth a queue on disk.
func (e *exporter) ExportSpans(ctx context.Context, spans []sdktrace.ReadOnlySpan) error {
	err := e.SpanExporter.ExportSpans(ctx, spans)
	switch {
	case err == nil && e.lost > 0:
		e.log.InfoContext(ctx, "traces are exported again", "spans_lost", e.lost)
		e.lost = 0
	case err != nil && e.lost == 0:
		e.log.WarnContext(ctx, "traces cannot be exported, and are lost until they can", "error", err)
		fallthrough
	case err != nil:
		e.lost += len(spans)
	}
	return nil
}

// Traceparent is the context's span as a header of that name has it; empty when
// there is none.
func Traceparent(ctx context.Context) string {
	h := propagation.MapCarrier{}
	propagation.TraceContext{}.Inject(ctx, h)
	return h.Get("traceparent")
}

// traceAttrs are the ids that a context's log lines carry.
func traceAttrs(ctx context.Context) []slog.Attr {
	span := trace.SpanContextFromContext(ctx)
	if !span.IsValid() {
		return nil
	}
	return []slog.Attr{slog.String("trace_id", span.TraceID().String()), slog.String("span_id", span.SpanID().String())}
}
