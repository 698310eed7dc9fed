package report

import (
	"context"

	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"

	"github.com/voip-push/worker/internal/voip"
)

// handOn gives the bridge the trace: the attempt's own span, or with traces off
// what the push came with.
func handOn(ctx context.Context, to propagation.TextMapCarrier) {
	if trace.SpanContextFromContext(ctx).IsValid() {
		propagation.TraceContext{}.Inject(ctx, to)
		return
	}
	voip.TraceOf(ctx).HandOn(to)
}
