package consumer

import (
	"context"
	"strings"
	"testing"

	"github.com/nats-io/nats.go"
	"go.opentelemetry.io/otel/attribute"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"

	"github.com/voip-push/worker/internal/testkit"
	"github.com/voip-push/worker/internal/voip"
)

const (
	gatewayTrace = "4bf92f3577b34da6a3ce929d0e0e4736"
	gatewaySpan  = "00f067aa0ba902b7"
	traceparent  = "00-" + gatewayTrace + "-" + gatewaySpan + "-01"
)

// traced records the spans of a worker.
func traced(into *tracetest.SpanRecorder) nodeOption {
	return func(_ *Config, p *Parts, _ *Handler) {
		p.Tracer = sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(into)).Tracer("test")
	}
}

// spansOf waits until so many spans have ended, and returns them.
func spansOf(t *testing.T, spans *tracetest.SpanRecorder, n int) []sdktrace.ReadOnlySpan {
	t.Helper()
	testkit.Eventually(t, "the spans have ended", func() bool { return len(spans.Ended()) >= n })
	if all := spans.Ended(); len(all) != n {
		t.Fatalf("%d spans, want %d", len(all), n)
	}
	return spans.Ended()
}

func attributesOf(s sdktrace.ReadOnlySpan) map[attribute.Key]string {
	m := map[attribute.Key]string{}
	for _, a := range s.Attributes() {
		m[a.Key] = a.Value.String()
	}
	return m
}

// A push is a child of what its gateway sent, however the header is spelt, and
// its span says what became of it. No private value is in it.
func TestSpanOfAPush(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"traceparent", "Traceparent"} {
		r, spans := newRig(t), tracetest.NewSpanRecorder()
		r.start(t, reported, traced(spans))
		sequence := r.push(t, pushOf("c-1"), nats.Header{name: {traceparent}, voip.HeaderMsgID: {"c-1"}})
		span := spansOf(t, spans, 1)[0]
		if span.Name() != "process voip.push" || span.SpanKind() != trace.SpanKindConsumer {
			t.Errorf("the span is %q, a %s", span.Name(), span.SpanKind())
		}
		if p := span.Parent(); p.TraceID().String() != gatewayTrace || p.SpanID().String() != gatewaySpan || !p.IsRemote() {
			t.Errorf("its parent is %v, want the gateway's", p)
		}
		got := attributesOf(span)
		for key, want := range map[attribute.Key]string{
			"messaging.system": "nats", "messaging.operation.type": "process", "messaging.operation.name": "process",
			"messaging.destination.name": "voip.push", "messaging.consumer.group.name": "voip-workers", "messaging.message.id": "c-1",
			"voip.call_id": "c-1", "voip.push.sequence": "1", "voip.push.deliveries": "1", "voip.push.settlement": "+ACK",
		} {
			if got[key] != want {
				t.Errorf("%s is %q, want %q (push %d)", key, got[key], want, sequence)
			}
		}
		for key, value := range got {
			if strings.Contains(value, "Li Lei") {
				t.Errorf("%s shows a name", key)
			}
		}
	}
}

// A redelivery links to the delivery that had the call before it, also when
// that was another worker's; and so does a duplicate.
func TestSpansAreLinked(t *testing.T) {
	t.Parallel()
	r, first, second := newRig(t), tracetest.NewSpanRecorder(), tracetest.NewSpanRecorder()
	begun := make(chan struct{})
	a := r.start(t, func(ctx context.Context, _ *voip.Request) (voip.Answer, error) {
		close(begun)
		<-ctx.Done()
		return voip.Answer{}, ctx.Err()
	}, traced(first))
	r.push(t, pushOf("c-1"), nil)
	testkit.Receive(t, "the first attempt", begun)
	a.crash()
	r.start(t, reported, traced(second))
	r.settled(t)
	r.push(t, pushOf("c-1"), nil)
	spans := append(spansOf(t, first, 1), spansOf(t, second, 2)...)
	crashed, again, duplicate := spans[0], spans[1], spans[2]
	for _, want := range []struct{ from, to sdktrace.ReadOnlySpan }{{again, crashed}, {duplicate, again}} {
		links := want.from.Links()
		if len(links) != 1 || !links[0].SpanContext.Equal(want.to.SpanContext().WithRemote(true)) {
			t.Errorf("%v is linked to %v, want %v", want.from.SpanContext(), links, want.to.SpanContext())
		}
	}
	if got := attributesOf(crashed)[attrSettlement]; got != "" {
		t.Errorf("the broker was told %q by a worker that crashed", got)
	}
	if got := attributesOf(again)[attrDeliveries]; got == "1" {
		t.Error("the second delivery counts as the first")
	}
}

// With traces off nothing is allocated for them, and the record is as it was.
// Not parallel: allocations are counted over the process.
func TestNoSpans(t *testing.T) {
	c := &Consumer{hard: t.Context()}
	msg := &nats.Msg{Subject: voip.SubjectPush, Header: nats.Header{voip.HeaderTraceparent: {traceparent}}}
	d := &delivery{hard: t.Context(), header: msg.Header, said: msgAck}
	record := ""
	n := testing.AllocsPerRun(100, func() {
		ctx := c.spanning(msg)
		record = c.spanOf(d)
		c.follows(d.hard, traceparent)
		c.spanned(d)
		if ctx != c.hard {
			t.Error("the context is another one")
		}
	})
	if n != 0 || record != "" {
		t.Errorf("%v allocations, and %q in the record, want none", n, record)
	}
}
