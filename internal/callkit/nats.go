package callkit

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"net/http"
	"strconv"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/micro"

	"github.com/voip-push/worker/internal/voip"
)

// What `nats service list` shows of the model.
const (
	serviceName        = "voip-callkit"
	serviceVersion     = "1.0.0"
	serviceDescription = "a model of the system's voipCall module"
	endpointName       = "report"
)

// ServeNATS answers report requests on a subject as a NATS micro service until
// ctx ends. Answers that an injected latency still delays are lost then.
func ServeNATS(ctx context.Context, nc *nats.Conn, subject string, m *Model) error {
	s := newResponder(nc, subject, func(ctx context.Context, msg *nats.Msg) error {
		answer, err := m.answerNATS(ctx, msg.Data, msg.Header.Get(voip.HeaderIdempotencyKey))
		if answer != nil {
			answer.Subject = msg.Reply
			_ = nc.PublishMsg(answer) // the asker's timeout tells of it
		}
		return err
	})
	if err := s.start(ctx); err != nil {
		return errors.Join(fmt.Errorf("serve the Call Kit model on %q: %w", subject, err), s.stop())
	}
	<-ctx.Done()
	if err := s.stop(); err != nil {
		return fmt.Errorf("stop serving the Call Kit model on %q: %w", subject, err)
	}
	return nil
}

// answerNATS is the message that answers a request; nil when none arrives. Its
// error is what the statistics count as one: no answer of Call Kit's came.
func (m *Model) answerNATS(ctx context.Context, body []byte, key string) (*nats.Msg, error) {
	req, refusal := decodeRequest(body, key)
	if refusal != nil {
		return jsonAnswer(*refusal), errors.New(refusal.Message)
	}
	e := m.report(ctx, req, ViaNATS)
	switch {
	case e.Err == nil:
		return jsonAnswer(e.Answer), nil
	case e.fault == nil: // ctx has ended
		return nil, e.Err
	case e.fault.Effect == TurnAway:
		return turnedAway(e.fault), e.Err
	case e.fault.Effect == NobodyThere: // as the server itself says it
		return &nats.Msg{Header: nats.Header{"Status": {"503"}}}, e.Err
	default:
		return nil, e.Err
	}
}

func jsonAnswer(a voip.Answer) *nats.Msg {
	body, err := json.Marshal(a)
	if err != nil { // numbers, a string and a bool: it cannot fail
		return nil
	}
	return &nats.Msg{Data: body}
}

func turnedAway(f *fault) *nats.Msg {
	h := nats.Header{micro.ErrorHeader: {http.StatusText(f.Status)}, micro.ErrorCodeHeader: {strconv.Itoa(f.Status)}}
	if f.RetryAfter > 0 {
		h.Set("Retry-After", retryAfter(f.RetryAfter))
	}
	return &nats.Msg{Header: h}
}

// retryAfter is the header's value, in whole seconds and never too soon.
func retryAfter(d time.Duration) string { return strconv.Itoa(int(math.Ceil(d.Seconds()))) }

// decodeRequest reads a request. A wrong type is rule 1's 401 (doc); optional
// fields that are missing have Call Kit's defaults.
func decodeRequest(body []byte, key string) (*voip.Request, *voip.Answer) {
	req := &voip.Request{}
	req.Attribute.Switches = voip.DefaultSwitches()
	if err := json.Unmarshal(body, req); err != nil {
		return nil, reject(voip.CodeParameter, "the request is not a report request")
	}
	if req.IdempotencyKey == "" {
		req.IdempotencyKey = key
	}
	return req, nil
}
