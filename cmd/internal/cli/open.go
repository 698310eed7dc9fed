package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/spf13/cobra"

	"github.com/voip-push/worker/cmd/internal/settings"
	"github.com/voip-push/worker/internal/broker"
)

// refusedError is a permission that the broker refused.
type refusedError struct{ err error }

func (e *refusedError) Error() string { return "refused by the broker: " + e.err.Error() }
func (e *refusedError) Unwrap() error { return e.err }

// Open connects for one command. The context that comes with the session ends,
// with the refusal as its cause, when the broker refuses a permission: to
// whoever asked that would look like a timeout.
func Open(cmd *cobra.Command, name string) (context.Context, *Session, error) {
	ctx, cancel := context.WithCancelCause(cmd.Context())
	s, err := open(name, cmd.ErrOrStderr(), func(err error) { cancel(&refusedError{err}) })
	if err == nil {
		s.JS, err = broker.JetStream(s.Conn)
	}
	if err != nil {
		cancel(err)
		return nil, nil, err
	}
	s.stop = func() { cancel(context.Canceled) }
	return ctx, s, nil
}

func open(name string, stderr io.Writer, refused func(error)) (*Session, error) {
	var c struct {
		NATS settings.NATS
		Log  settings.Log
	}
	warnings, err := settings.Load(&c)
	cfg := c.NATS.Broker()
	if err := errors.Join(err, cfg.Validate()); err != nil {
		return nil, err
	}
	for _, w := range warnings {
		fmt.Fprintln(stderr, "warning: "+w)
	}
	inbox := "_INBOX." + name
	nc, err := broker.Connect(&cfg, broker.Options{
		Name: name, InboxPrefix: inbox, Log: slog.New(slog.DiscardHandler), Violation: refused,
	})
	if err != nil {
		return nil, err
	}
	return &Session{Conn: nc, Config: cfg, Private: c.Log.Private, inbox: inbox, stderr: stderr}, nil
}

// Finish returns a context for what must be brought to its end once it is
// begun: it goes on when ctx is told to stop, but not when the broker refuses a
// permission, nor beyond the timeout.
func Finish(ctx context.Context, timeout time.Duration) (step context.Context, done func()) {
	step, cancel := context.WithCancelCause(context.WithoutCancel(ctx))
	step, end := context.WithTimeout(step, timeout)
	forget := context.AfterFunc(ctx, func() {
		if Refused(ctx) != nil {
			cancel(context.Cause(ctx))
		}
	})
	return step, func() {
		forget()
		end()
		cancel(context.Canceled)
	}
}

// Refused is the refusal that has ended the context of a session; nil when it
// was none.
func Refused(ctx context.Context) error {
	if refused, ok := errors.AsType[*refusedError](context.Cause(ctx)); ok {
		return refused
	}
	return nil
}

// Fault says in one line what kept a command from its stream. Who publishes
// without having found any stream asks Publish, which can tell a stream that is
// missing from a broker without JetStream.
func Fault(ctx context.Context, stream string, err error) error {
	if err == nil {
		return nil
	}
	if refused := Refused(ctx); refused != nil {
		return refused
	}
	switch {
	case errors.Is(err, jetstream.ErrStreamNotFound), errors.Is(err, jetstream.ErrNoStreamResponse):
		return fmt.Errorf("stream %s is missing, run `worker provision`", stream)
	case LacksJetStream(err):
		return ErrNoJetStream
	case errors.Is(ctx.Err(), context.Canceled):
		return errors.New("interrupted")
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, nats.ErrTimeout):
		return fmt.Errorf("stream %s: the broker does not answer in time", stream)
	default:
		return fmt.Errorf("stream %s: %w", stream, err)
	}
}

// ErrNoJetStream is an error that LacksJetStream, in words.
var ErrNoJetStream = errors.New("the broker has no JetStream, or not for this account: is NATS_URL right?")

// LacksJetStream says that nobody answered what was asked of JetStream.
func LacksJetStream(err error) bool {
	return errors.Is(err, nats.ErrNoResponders) || errors.Is(err, jetstream.ErrJetStreamNotEnabled) ||
		errors.Is(err, jetstream.ErrJetStreamNotEnabledForAccount)
}
