package report

import (
	"testing"

	"github.com/nats-io/nats.go"
	"go.opentelemetry.io/otel/propagation"

	"github.com/voip-push/worker/internal/voip"
)

// Outside of a span a request gets no header, and pays nothing for the question.
// Not parallel: allocations are counted over the process.
func TestUntracedRequest(t *testing.T) {
	ctx, h := t.Context(), nats.Header{}
	n := testing.AllocsPerRun(100, func() {
		propagation.TraceContext{}.Inject(ctx, voip.TraceHeader(h))
		propagation.TraceContext{}.Inject(ctx, propagation.HeaderCarrier(h))
	})
	if n != 0 || len(h) != 0 {
		t.Errorf("%v allocations, headers %v, want none", n, h)
	}
}
