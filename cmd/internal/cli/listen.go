package cli

import (
	"context"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

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

// Follow reads a stream from a time on and goes on with what comes, until the
// session ends. It waits for whoever reads the messages.
func (s *Session) Follow(ctx context.Context, stream string, from time.Time) (<-chan *nats.Msg, error) {
	ordered, err := s.JS.OrderedConsumer(ctx, stream, jetstream.OrderedConsumerConfig{
		DeliverPolicy: jetstream.DeliverByStartTimePolicy, OptStartTime: &from,
	})
	if err != nil {
		return nil, err
	}
	messages := make(chan *nats.Msg)
	consuming, err := ordered.Consume(func(m jetstream.Msg) {
		select {
		case messages <- &nats.Msg{Subject: m.Subject(), Header: m.Headers(), Data: m.Data()}:
		case <-ctx.Done():
		}
	}, jetstream.PullMaxMessagesWithBytesLimit(scanAhead, scanAheadBytes))
	if err != nil {
		return nil, err
	}
	context.AfterFunc(ctx, consuming.Stop)
	return messages, nil
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
