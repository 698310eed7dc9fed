package report

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strconv"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/micro"

	"github.com/voip-push/worker/internal/voip"
)

// NATS sends requests to a subject, where a micro service answers them.
type NATS struct {
	nc      *nats.Conn
	subject string
	log     *slog.Logger
}

// NewNATS makes the transport that asks on a subject over nc, which stays the
// caller's to close.
func NewNATS(nc *nats.Conn, subject string, log *slog.Logger) *NATS {
	return &NATS{nc: nc, subject: subject, log: log}
}

// Report sends the request and waits for its answer until ctx ends.
func (t *NATS) Report(ctx context.Context, req *voip.Request) (voip.Answer, error) {
	body, err := req.Encode()
	if err != nil {
		return voip.Answer{}, unwritable()
	}
	reply, failure := ask(ctx, t.nc, t.subject, req.IdempotencyKey, body)
	if failure != nil {
		return voip.Answer{}, failure
	}
	return readAnswer(ctx, reply, t.log)
}

// ask is one request-reply under an idempotency key.
func ask(ctx context.Context, nc *nats.Conn, subject, key string, body []byte) ([]byte, *voip.ReportError) {
	// While it is disconnected the client would keep the request and send it
	// whenever it can, long after nobody waits for it: a late ring.
	if !nc.IsConnected() {
		return nil, notArrived(fmt.Sprintf("not connected to NATS (%v); nothing was sent on %s", nc.Status(), subject))
	}
	if ctx.Err() != nil {
		return nil, notArrived("no time was left to ask on " + subject)
	}
	msg := &nats.Msg{Subject: subject, Data: body, Header: nats.Header{voip.HeaderIdempotencyKey: {key}}}
	handOn(ctx, voip.TraceHeader(msg.Header))
	reply, err := nc.RequestMsgWithContext(ctx, msg)
	if err != nil {
		return nil, natsError(err, subject)
	}
	if failure := serviceError(reply.Header); failure != nil {
		return nil, failure
	}
	return reply.Data, nil
}

// natsError sorts the client's errors by whether the request may be on its way.
// A denied permission shows only to the connection's error handler: here it
// looks like a timeout.
func natsError(err error, subject string) *voip.ReportError {
	switch {
	case errors.Is(err, nats.ErrNoResponders):
		return notArrived("nobody listens on " + subject)
	case errors.Is(err, nats.ErrMaxPayload):
		return &voip.ReportError{
			Reason: voip.ReasonReportRejected, Arrival: voip.NotArrived,
			Detail: "the request is longer than the NATS server takes: raise its max_payload, or make the avatar smaller",
		}
	// Refused by the client before anything was written or kept.
	case errors.Is(err, nats.ErrReconnectBufExceeded), errors.Is(err, nats.ErrConnectionDraining),
		errors.Is(err, nats.ErrHeadersNotSupported), errors.Is(err, nats.ErrBadSubject):
		return notArrived(fmt.Sprintf("not sent on %s: %v", subject, err))
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled):
		return unknownOutcome(fmt.Sprintf("no answer on %s in time; a denied permission looks the same", subject))
	default: // disconnected, closed: it may have been sent before
		return unknownOutcome(fmt.Sprintf("the connection failed while asking on %s: %v", subject, err))
	}
}

// serviceError reads a micro service's error; nil when there is none. Its code
// is taken for an HTTP status where it is one. Its description is not ours to
// repeat.
func serviceError(h nats.Header) *voip.ReportError {
	code := h.Get(micro.ErrorCodeHeader)
	if code == "" && h.Get(micro.ErrorHeader) == "" {
		return nil
	}
	status, err := strconv.Atoi(code)
	if err != nil || !isStatus(status) {
		return unknownOutcome("the service answered an error whose code is no HTTP status")
	}
	e := statusError(status, retryAfter(h.Get("Retry-After")))
	e.Detail = "the service answered " + e.Detail
	return e
}
