package report

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/voip-push/worker/internal/voip"
)

// connectRequest asks a service to connect a call before it is reported.
type connectRequest struct {
	CallID       string            `json:"callId"`
	DeviceID     string            `json:"deviceId"`
	BundleName   string            `json:"bundleName"`
	Direction    voip.Direction    `json:"direction"`
	VoipCallType voip.VoipCallType `json:"voipCallType"`
	Data         json.RawMessage   `json:"data"`
	ExpiresAt    time.Time         `json:"expiresAt"`
}

// Connector is the connection step.
type Connector struct {
	cfg     Config
	nc      *nats.Conn
	subject string
	log     *slog.Logger
}

// NewConnector makes the connection step that asks on a subject. Of cfg the
// Concurrency is not used: a question that waits costs next to nothing.
func NewConnector(cfg Config, nc *nats.Conn, subject string, log *slog.Logger) (*Connector, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	return &Connector{cfg: cfg, nc: nc, subject: subject, log: log}, nil
}

// Connect asks until the answer is yes (no error), until it was no too often,
// or until ctx ends. Its error is a *voip.ReportError with CONNECT_FAILED once
// a question failed, voip.ErrExpired when the deadline came before the first
// one, else ctx's cause. A cancel and a stop end it at once: nothing rings yet.
// at is how far earlier deliveries have come, and is kept up to date.
func (c *Connector) Connect(ctx context.Context, push *voip.Push, redrives int, expires time.Time, at *voip.Connection) error {
	body, err := json.Marshal(connectRequest{
		CallID: push.CallID, DeviceID: push.DeviceID, BundleName: push.BundleName, Direction: push.Direction,
		VoipCallType: push.VoipCallType, Data: push.Data, ExpiresAt: expires,
	})
	if err != nil {
		return connectFailed("the request cannot be written as JSON")
	}
	q := question{Connector: c, body: body, token: voip.Token(push.CallID), redrives: redrives, at: at, delays: newDelays(c.cfg)}
	for {
		more, err := q.put(ctx)
		if !more {
			return err
		}
		if err := q.wait(ctx); err != nil {
			return err
		}
	}
}

// question is the state of one call's connection step. Its keys follow the same
// rule as a report's.
type question struct {
	*Connector

	body     []byte
	token    string
	redrives int
	at       *voip.Connection
	delays   *delays
	failure  *voip.ReportError
	after    time.Duration // how long the service asked to be left alone
}

// put asks once. more: it failed, and may be asked again.
func (q *question) put(ctx context.Context) (more bool, err error) {
	if ctx.Err() != nil {
		return false, q.ended(context.Cause(ctx))
	}
	work, cancel := limit(ctx, ctx, time.Now(), q.cfg.Timeout)
	defer cancel()
	key := fmt.Sprintf("%s.r%d.c%d", q.token, q.redrives, q.at.Key+1)
	reply, failure := ask(work, q.nc, q.subject, key, q.body)
	no := false
	if failure == nil {
		if failure = readConnected(reply); failure == nil {
			q.at.Done = true
			return false, nil
		}
		no = true
	}
	no = no || failure.Reason == voip.ReasonReportRejected
	keys := voip.Progress{Key: q.at.Key, Pending: q.at.Pending}
	settleKey(&keys, failure.Arrival)
	q.at.Key, q.at.Pending = keys.Key, keys.Pending
	if q.failure == nil && ctx.Err() == nil {
		q.log.WarnContext(ctx, "connection step failed", slog.String("detail", failure.Detail))
	}
	q.failure, q.after = connectFailed(failure.Detail), failure.RetryAfter
	if no {
		q.at.No++
	}
	return q.at.No < q.cfg.MaxAttempts, q.failure
}

func (q *question) wait(ctx context.Context) error {
	delay := q.delays.next(q.after)
	if ctx.Err() == nil && tooLate(ctx, time.Now().Add(delay)) {
		return q.failure // not waited for
	}
	if err := pass(ctx, delay); err != nil {
		return q.ended(err)
	}
	return nil
}

func (q *question) ended(cause error) error {
	if cause = plain(cause); errors.Is(cause, voip.ErrExpired) && q.failure != nil {
		return q.failure
	}
	return cause
}

// readConnected: a yes is code 0, as in a report's answer; everything else that
// can be read is a no. So is what cannot be read: nothing says that the call is
// connected.
func readConnected(b []byte) *voip.ReportError {
	no := &voip.ReportError{Arrival: voip.Answered}
	switch code, reason, err := voip.DecodeConnected(b); {
	case err != nil:
		no.Detail = err.Error()
	case code != voip.CodeOK || reason != voip.ErrorNone:
		no.Detail = fmt.Sprintf("the service said no: code %d, errorReason %d", code, reason)
	default:
		return nil
	}
	return no
}

func connectFailed(detail string) *voip.ReportError {
	return &voip.ReportError{Reason: voip.ReasonConnectFailed, Detail: detail}
}
