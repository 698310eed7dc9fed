package cli

import (
	"context"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"

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
