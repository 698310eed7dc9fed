package cli

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

const publishTimeout = 5 * time.Second

// unheardError is a publish of which nobody knows whether it is stored.
type unheardError struct{ err error }

func (e *unheardError) Error() string { return "may be stored: " + e.err.Error() }
func (e *unheardError) Unwrap() error { return e.err }

// ErrNobody is why nothing else can be published to a stream either.
var ErrNobody = errors.New("nobody takes it")

// nobodyError is ErrNobody, with what is known of the reason.
type nobodyError struct{ err error }

func (e *nobodyError) Error() string   { return "is not stored: " + e.err.Error() }
func (e *nobodyError) Is(t error) bool { return t == ErrNobody }

// Publish stores a message. Its error begins with what became of it: that it is
// not stored, or may be; it is ErrNobody when every other one would fail alike.
func (s *Session) Publish(ctx context.Context, stream string, msg *nats.Msg) (*jetstream.PubAck, error) {
	if ctx.Err() != nil {
		return nil, fmt.Errorf("is not sent: %w", Fault(ctx, stream, ctx.Err()))
	}
	within, cancel := context.WithTimeout(ctx, publishTimeout)
	defer cancel()
	ack, err := s.JS.PublishMsg(within, msg)
	switch {
	case err == nil:
		return ack, nil
	case errors.Is(err, jetstream.ErrNoStreamResponse):
		return nil, &nobodyError{s.nobody(ctx, stream)}
	case deaf(ctx):
		return nil, &unheardError{fmt.Errorf("its ack cannot be received, %w; permit this user to subscribe to %s.> and do it again: a callId counts once", Refused(ctx), s.inbox)}
	case unheard(err) && Refused(ctx) == nil:
		return nil, &unheardError{fmt.Errorf("no ack came, %w", Fault(ctx, stream, err))}
	}
	return nil, fmt.Errorf("is not stored: %w", Fault(ctx, stream, err))
}

// nobody is why nobody took a message. To who publishes a stream that is missing
// and a broker without any look the same; to who may ask they do not.
func (s *Session) nobody(ctx context.Context, stream string) error {
	within, cancel := context.WithTimeout(ctx, publishTimeout)
	defer cancel()
	_, err := s.JS.Stream(within, stream)
	switch {
	case errors.Is(err, jetstream.ErrStreamNotFound):
		return Fault(ctx, stream, err)
	case LacksJetStream(err):
		return ErrNoJetStream
	case err == nil:
		return fmt.Errorf("stream %s has other subjects, run `worker check`", stream)
	}
	return fmt.Errorf("stream %s is missing, run `worker provision`; or %w", stream, ErrNoJetStream)
}

// deaf says that the broker has refused the inbox that acks come to: what is
// published arrives nevertheless.
func deaf(ctx context.Context) bool {
	refused := Refused(ctx)
	return refused != nil && strings.Contains(refused.Error(), `Subscription to "_INBOX.`)
}

// unheard says that a publish ended without the broker's word.
func unheard(err error) bool {
	return errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled) ||
		errors.Is(err, nats.ErrTimeout) || errors.Is(err, nats.ErrConnectionClosed) || errors.Is(err, nats.ErrDisconnected)
}
