package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/spf13/cobra"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/propagation"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"

	"github.com/voip-push/worker/cmd/internal/cli"
	"github.com/voip-push/worker/cmd/internal/settings"
	"github.com/voip-push/worker/internal/telemetry"
	"github.com/voip-push/worker/internal/voip"
)

const flushTimeout = 2 * time.Second

// startTraces makes a session send each push in a span of its own, which the
// worker's follow from, when the OTEL_* settings ask for it. flush exports what
// is left.
func startTraces(ctx context.Context, cmd *cobra.Command, s *cli.Session) (flush func(), err error) {
	var c struct {
		OTel settings.OTel
		Log  settings.Log
	}
	warnings, err := settings.Load(&c)
	if err := errors.Join(err, c.OTel.Validate()); err != nil {
		return nil, err
	}
	for _, w := range warnings {
		fmt.Fprintln(cmd.ErrOrStderr(), "warning: "+w)
	}
	if !c.OTel.On() {
		return func() {}, nil
	}
	host, err := os.Hostname()
	if err != nil {
		host = "unknown"
	}
	traces, err := telemetry.StartTraces(ctx, "voip-publisher", fmt.Sprintf("%s/%d", host, os.Getpid()), c.Log.Logger(cmd.ErrOrStderr()))
	if err != nil {
		return nil, err
	}
	s.JS = tracedJetStream{s.JS, traces.Tracer()}
	return func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), flushTimeout)
		defer cancel()
		if err := traces.Shutdown(ctx); err != nil {
			fmt.Fprintf(cmd.ErrOrStderr(), "warning: %v\n", err)
		}
	}, nil
}

// tracedJetStream publishes each message in a span, and says so in its header.
type tracedJetStream struct {
	jetstream.JetStream

	tracer trace.Tracer
}

func (j tracedJetStream) begin(ctx context.Context, msg *nats.Msg) (context.Context, trace.Span) {
	ctx, span := j.tracer.Start(ctx, "send "+msg.Subject, trace.WithSpanKind(trace.SpanKindProducer), trace.WithAttributes(
		semconv.MessagingSystemKey.String("nats"), semconv.MessagingOperationTypeSend, semconv.MessagingOperationName("send"),
		semconv.MessagingDestinationName(msg.Subject), semconv.MessagingMessageBodySize(len(msg.Data)),
	))
	if msg.Header == nil {
		msg.Header = nats.Header{}
	}
	if id := msg.Header.Get(voip.HeaderMsgID); id != "" {
		span.SetAttributes(semconv.MessagingMessageID(id))
	}
	propagation.TraceContext{}.Inject(ctx, voip.TraceHeader(msg.Header))
	return ctx, span
}

func end(span trace.Span, err error) {
	if err != nil {
		span.SetStatus(codes.Error, err.Error())
	}
	span.End()
}

// PublishMsg is a span until the message is stored.
func (j tracedJetStream) PublishMsg(ctx context.Context, msg *nats.Msg, opts ...jetstream.PublishOpt) (*jetstream.PubAck, error) {
	ctx, span := j.begin(ctx, msg)
	ack, err := j.JetStream.PublishMsg(ctx, msg, opts...)
	end(span, err)
	return ack, err
}

// PublishMsgAsync is a span until the message has left.
func (j tracedJetStream) PublishMsgAsync(msg *nats.Msg, opts ...jetstream.PublishOpt) (jetstream.PubAckFuture, error) {
	_, span := j.begin(context.Background(), msg)
	future, err := j.JetStream.PublishMsgAsync(msg, opts...)
	end(span, err)
	return future, err
}
