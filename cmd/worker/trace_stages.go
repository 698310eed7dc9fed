package main

import (
	"context"
	"time"

	"go.opentelemetry.io/otel/attribute"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"

	"github.com/voip-push/worker/internal/consumer"
	"github.com/voip-push/worker/internal/report"
	"github.com/voip-push/worker/internal/voip"
)

// traced wraps the transport; the header of each request carries its span.
func (w *worker) traced(t report.Transport) report.Transport {
	if w.tracer == nil {
		return t
	}
	about := []attribute.KeyValue{attrTransport.String(w.cfg.Report.Transport)}
	switch w.cfg.Report.Transport {
	case transportNATS:
		about = append(about, sending("request", w.cfg.Report.Subject)...)
	case transportHTTP:
		about = append(about, semconv.HTTPRequestMethodPost, semconv.URLFull(redactURL(w.cfg.Report.URL)))
	}
	return tracedTransport{t, w.tracer, about}
}

type tracedTransport struct {
	next   report.Transport
	tracer trace.Tracer
	about  []attribute.KeyValue
}

// Report is one attempt, a span named by Call Kit's method.
func (t tracedTransport) Report(ctx context.Context, req *voip.Request) (voip.Answer, error) {
	ctx, span := t.tracer.Start(ctx, req.Method, trace.WithSpanKind(trace.SpanKindClient), trace.WithAttributes(t.about...),
		trace.WithAttributes(attrAttempt.Int(req.Attempt), attrKey.String(req.IdempotencyKey)))
	answer, err := t.next.Report(ctx, req)
	if err != nil {
		span.SetAttributes(attrReason.String(string(voip.ReasonOf(err))))
	} else {
		span.SetAttributes(attrCode.Int(int(answer.Code)), attrReason.String(string(answer.Reason())), attrDuplicate.Bool(answer.Duplicate))
	}
	if answer.ErrorReason != nil {
		span.SetAttributes(attrErrorReason.Int(int(*answer.ErrorReason)))
	}
	end(span, err)
	return answer, err
}

// tracedAvatars wraps the avatar stage. What it fetches gets no header: it is
// other people's.
func (w *worker) tracedAvatars(a consumer.Avatars) consumer.Avatars {
	if w.tracer == nil {
		return a
	}
	return avatarsTraced{a, w.tracer}
}

type avatarsTraced struct {
	next   consumer.Avatars
	tracer trace.Tracer
}

// Picture is the span of the avatar stage.
func (a avatarsTraced) Picture(ctx context.Context, source voip.Avatar, side int) (voip.UserProfile, voip.AvatarResult, error) {
	ctx, span := a.tracer.Start(ctx, "avatar")
	picture, result, err := a.next.Picture(ctx, source, side)
	span.SetAttributes(attrStatus.String(string(result.Status)), attrPicture.String(string(result.Reason)), attrCached.Bool(result.Cached))
	end(span, err)
	return picture, result, err
}

// tracedConnector wraps the connection step, all its questions in one span.
func (w *worker) tracedConnector(c consumer.Connector) consumer.Connector {
	if w.tracer == nil {
		return c
	}
	return connectorTraced{c, w.tracer, sending("request", w.cfg.Connect.Subject)}
}

type connectorTraced struct {
	next   consumer.Connector
	tracer trace.Tracer
	about  []attribute.KeyValue
}

// Connect is the span of the connection step.
func (c connectorTraced) Connect(ctx context.Context, push *voip.Push, redrives int, expires time.Time, at *voip.Connection) error {
	ctx, span := c.tracer.Start(ctx, "connect", trace.WithSpanKind(trace.SpanKindClient), trace.WithAttributes(c.about...))
	err := c.next.Connect(ctx, push, redrives, expires, at)
	end(span, err)
	return err
}
