package callkit

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strconv"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/micro"

	"github.com/voip-push/worker/internal/voip"
)

// What `nats service list` shows of the model.
const (
	serviceName    = "voip-callkit"
	serviceVersion = "1.0.0"
)

// ServeNATS answers report requests on a subject as a NATS micro service until
// ctx ends. Answers that an injected latency still delays are lost then.
func ServeNATS(ctx context.Context, nc *nats.Conn, subject string, m *Model) error {
	s := &natsServer{ctx: ctx, nc: nc, model: m}
	service, err := micro.AddService(nc, micro.Config{
		Name: serviceName, Version: serviceVersion, Description: "a model of the system's voipCall module",
		Endpoint: &micro.EndpointConfig{Subject: subject, Handler: micro.HandlerFunc(s.handle)},
	})
	if err != nil {
		return fmt.Errorf("serve the Call Kit model on %q: %w", subject, err)
	}
	<-ctx.Done()
	if err := service.Stop(); err != nil && !errors.Is(err, nats.ErrConnectionClosed) {
		return fmt.Errorf("stop serving the Call Kit model on %q: %w", subject, err)
	}
	return nil
}

// natsServer answers each request on its own, as a slow answer must delay no
// other. Since micro counts when a handler returns, answers go out on the
// connection, past its Request, which is not made for that.
type natsServer struct {
	ctx   context.Context //nolint:containedctx // micro's handlers are given none
	nc    *nats.Conn
	model *Model
}

func (s *natsServer) handle(r micro.Request) {
	body, key, reply := r.Data(), r.Headers().Get(voip.HeaderIdempotencyKey), r.Reply()
	go func() {
		if answer := s.model.answerNATS(s.ctx, body, key); answer != nil {
			answer.Subject = reply
			_ = s.nc.PublishMsg(answer) // the asker's timeout tells of it
		}
	}()
}

// answerNATS is the message that answers a request; nil when none arrives.
func (m *Model) answerNATS(ctx context.Context, body []byte, key string) *nats.Msg {
	req, refusal := decodeRequest(body, key)
	if refusal != nil {
		return jsonAnswer(*refusal)
	}
	a, err := m.Report(ctx, req)
	e, failed := errors.AsType[*voip.ReportError](err)
	switch {
	case !failed:
		return jsonAnswer(a)
	case e.Arrival == voip.TurnedAway:
		return turnedAway(e)
	case e.Arrival == voip.NotArrived: // as the server itself says it
		return &nats.Msg{Header: nats.Header{"Status": {"503"}}}
	default:
		return nil
	}
}

func jsonAnswer(a voip.Answer) *nats.Msg {
	body, err := json.Marshal(a)
	if err != nil { // numbers, a string and a bool: it cannot fail
		return nil
	}
	return &nats.Msg{Data: body}
}

func turnedAway(e *voip.ReportError) *nats.Msg {
	h := nats.Header{micro.ErrorHeader: {"unavailable"}, micro.ErrorCodeHeader: {"503"}}
	if e.RetryAfter > 0 {
		h.Set("Retry-After", strconv.Itoa(int(math.Ceil(e.RetryAfter.Seconds()))))
	}
	return &nats.Msg{Header: h}
}

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
