package main

import (
	"context"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"

	"github.com/voip-push/worker/internal/consumer"
	"github.com/voip-push/worker/internal/telemetry"
	"github.com/voip-push/worker/internal/voip"
)

// startTraces begins the export of spans when the settings ask for it. Without
// it no stage is wrapped: a trace that is off costs nothing.
func (w *worker) startTraces(ctx context.Context) error {
	if !w.cfg.OTel.On() {
		return nil
	}
	traces, err := telemetry.StartTraces(ctx, "voip-worker", w.id, w.log)
	if err != nil {
		return err
	}
	w.tracer = traces.Tracer()
	w.onStop("traces", func(ctx context.Context) error {
		ctx, cancel := context.WithTimeout(ctx, flushTime(w.cfg.Consumer.DrainTimeout))
		defer cancel()
		return traces.Shutdown(ctx)
	})
	return nil
}

// flushTime is what of the drain timeout a collector that hangs may take: the
// consumer leaves a little more of it.
func flushTime(drain time.Duration) time.Duration { return min(time.Second, drain/10) }

// A trace of one push, under the span of its delivery which the consumer opens:
// its stages, each attempt, and what is published of it. None holds a private
// value.
const (
	attrReason      = attribute.Key("voip.reason")
	attrOutcome     = attribute.Key("voip.outcome")
	attrAttempt     = attribute.Key("voip.attempt")
	attrKey         = attribute.Key("voip.idempotency_key")
	attrTransport   = attribute.Key("voip.report.transport")
	attrCode        = attribute.Key("voip.callkit.code")
	attrErrorReason = attribute.Key("voip.callkit.error_reason")
	attrDuplicate   = attribute.Key("voip.callkit.duplicate")
	attrStatus      = attribute.Key("voip.avatar.status")
	attrPicture     = attribute.Key("voip.avatar.reason")
	attrCached      = attribute.Key("voip.avatar.cached")
)

// end ends a span with the error, if any, that its part of the call ended with.
func end(span trace.Span, err error) {
	if err != nil {
		span.SetStatus(codes.Error, err.Error())
	}
	span.End()
}

// sending are the attributes of a message that is sent over NATS.
func sending(operation, subject string) []attribute.KeyValue {
	return []attribute.KeyValue{
		semconv.MessagingSystemKey.String("nats"), semconv.MessagingOperationTypeSend, semconv.MessagingOperationName(operation),
		semconv.MessagingDestinationName(subject),
	}
}

// tracedNotifier wraps the notifier; a result carries the context of its own
// sending, for whoever consumes it.
func (w *worker) tracedNotifier(n consumer.Notifier) consumer.Notifier {
	if w.tracer == nil {
		return n
	}
	return notifierTraced{n, w.tracer}
}

type notifierTraced struct {
	consumer.Notifier

	tracer trace.Tracer
}

func (n notifierTraced) send(ctx context.Context, destination, subject, id string, about ...attribute.KeyValue) (context.Context, trace.Span) {
	return n.tracer.Start(ctx, "send "+destination, trace.WithSpanKind(trace.SpanKindProducer),
		trace.WithAttributes(sending("send", subject)...), trace.WithAttributes(semconv.MessagingMessageID(id)), trace.WithAttributes(about...))
}

// Result also says on the push's own span what became of the call.
func (n notifierTraced) Result(ctx context.Context, may func() error, r *voip.Result, _ string, then func(bool, error)) {
	outcome := []attribute.KeyValue{attrOutcome.String(string(r.Outcome)), attrReason.String(string(r.Reason))}
	trace.SpanFromContext(ctx).SetAttributes(outcome...)
	ctx, span := n.send(ctx, voip.SubjectResult, voip.SubjectResult, voip.ResultMsgID(r.Push.Sequence), outcome...)
	n.Notifier.Result(ctx, may, r, telemetry.Traceparent(ctx), func(again bool, err error) {
		end(span, err)
		then(again, err)
	})
}

// DeadLetter keeps the push's own headers, its context among them: a redrive
// goes on with the trace that the gateway began.
func (n notifierTraced) DeadLetter(ctx context.Context, may func() error, d *voip.DeadLetter) (bool, error) {
	const template = voip.DLQPrefix + "{reason}.{token}"
	ctx, span := n.send(ctx, template, voip.DeadLetterSubject(d.Reason, d.CallID), voip.DeadLetterMsgID(d.OriginSequence),
		semconv.MessagingDestinationTemplate(template), attrReason.String(string(d.Reason)))
	again, err := n.Notifier.DeadLetter(ctx, may, d)
	end(span, err)
	return again, err
}
