package cli

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/voip-push/worker/internal/stream"
	"github.com/voip-push/worker/internal/voip"
)

const (
	listenTimeout = 5 * time.Second
	listenBuffer  = 4096
)

// Listen subscribes to the results. When it returns the broker knows of it:
// nothing that is published from then on is missed.
func Listen(ctx context.Context, nc *nats.Conn) (<-chan *nats.Msg, error) {
	messages := make(chan *nats.Msg, listenBuffer)
	if _, err := nc.ChanSubscribe(voip.SubjectResult, messages); err != nil {
		return nil, fmt.Errorf("listen to %s: %w", voip.SubjectResult, err)
	}
	ctx, cancel := context.WithTimeout(ctx, listenTimeout)
	defer cancel()
	if err := nc.FlushWithContext(ctx); err != nil {
		return nil, fmt.Errorf("listen to %s: %w", voip.SubjectResult, err)
	}
	return messages, nil
}

// Follow reads a stream from a time on and goes on with what comes, until ctx
// ends. It waits for whoever reads the messages.
func (s *Session) Follow(ctx context.Context, name string, from time.Time) (<-chan *nats.Msg, error) {
	messages := make(chan *nats.Msg)
	f := s.follower(stream.Reading{Stream: name, Since: from}, func(msg *nats.Msg, _ *nats.MsgMetadata) {
		select {
		case messages <- msg:
		case <-ctx.Done():
		}
	})
	held, err := s.JS.Stream(ctx, name)
	if err == nil {
		err = f.Begin(ctx, held)
	}
	if err != nil {
		return nil, err
	}
	go func() {
		defer f.End()
		s.keep(ctx, f, name)
	}()
	return messages, nil
}

func (s *Session) follower(what stream.Reading, take func(*nats.Msg, *nats.MsgMetadata)) *stream.Follower {
	return stream.NewFollower(s.Conn, what, take, slog.New(slog.DiscardHandler))
}

// keep goes on with the following until ctx ends. What fails is tried again, and
// what goes on failing is for who waits for it to notice.
func (s *Session) keep(ctx context.Context, f *stream.Follower, name string) {
	f.Keep(ctx, func(ctx context.Context) error {
		held, err := s.JS.Stream(ctx, name)
		if err != nil {
			return err
		}
		return f.Begin(ctx, held)
	}, func(error) {})
}

// ReadResult reads a message of the results' subject. It is no result, and nil,
// when a worker asks there whether one is stored.
func ReadResult(msg *nats.Msg) (*voip.Result, error) {
	if msg.Header.Get(voip.HeaderRollup) != "" {
		return nil, nil
	}
	r, err := voip.DecodeResult(msg.Data)
	if err != nil {
		return nil, err
	}
	return &r, nil
}
