package consumer

import (
	"context"

	"github.com/nats-io/nats.go"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/propagation"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"

	"github.com/voip-push/worker/internal/voip"
)

// Attributes of a delivery's span beside those of the conventions.
const (
	attrCallID     = attribute.Key("voip.call_id")
	attrSequence   = attribute.Key("voip.push.sequence")
	attrDeliveries = attribute.Key("voip.push.deliveries")
	attrSettlement = attribute.Key("voip.push.settlement") // as the broker was told; empty: it was told nothing
)

// spanning returns the context that a message is processed in: with a span that
// is a child of the gateway's own. With traces off it is the consumer's own
// context, and nothing is allocated.
func (c *Consumer) spanning(msg *nats.Msg) context.Context {
	if c.tracer == nil {
		return c.hard
	}
	ctx := propagation.TraceContext{}.Extract(c.hard, voip.TraceHeader(msg.Header))
	ctx, _ = c.tracer.Start(ctx, "process "+msg.Subject, trace.WithSpanKind(trace.SpanKindConsumer), trace.WithAttributes(
		semconv.MessagingSystemKey.String("nats"), semconv.MessagingOperationTypeProcess, semconv.MessagingOperationName("process"),
		semconv.MessagingDestinationName(msg.Subject), semconv.MessagingConsumerGroupName(voip.ConsumerWorkers),
		semconv.MessagingMessageBodySize(len(msg.Data)),
	)) // ended by spanned, which finds it in the context
	return ctx
}

// spanned ends the span of a delivery that this worker has let go of.
func (c *Consumer) spanned(d *delivery) {
	if c.tracer == nil {
		return
	}
	span := trace.SpanFromContext(d.hard)
	_, deliveries := d.current()
	span.SetAttributes(
		attrCallID.String(d.envelope.CallID), attrSequence.Int64(int64(d.sequence)),
		attrDeliveries.Int64(int64(deliveries)), attrSettlement.String(d.settlement()),
	)
	if id := d.header.Get(voip.HeaderMsgID); id != "" {
		span.SetAttributes(semconv.MessagingMessageID(id))
	}
	span.End()
}

// spanOf is the delivery's span as the record of its call keeps it, for a later
// delivery to link to; empty with traces off.
func (c *Consumer) spanOf(d *delivery) string {
	if c.tracer == nil {
		return ""
	}
	h := propagation.MapCarrier{}
	propagation.TraceContext{}.Inject(d.hard, h)
	return h.Get(voip.HeaderTraceparent)
}

// follows links the context's span to the one that had the call before: an
// earlier delivery of this push, or the push that this one is a duplicate of.
func (c *Consumer) follows(ctx context.Context, earlier string) {
	if c.tracer == nil || earlier == "" {
		return
	}
	span := trace.SpanFromContext(ctx)
	link := trace.LinkFromContext(propagation.TraceContext{}.Extract(ctx, propagation.MapCarrier{voip.HeaderTraceparent: earlier}))
	if link.SpanContext.SpanID() != span.SpanContext().SpanID() { // nor one that cannot be read
		span.AddLink(link)
	}
}
