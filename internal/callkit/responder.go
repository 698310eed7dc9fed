package callkit

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/micro"

	"github.com/voip-push/worker/internal/service"
)

// responder answers requests as a NATS micro service, each on its own: the micro
// package of nats.go calls a service's handlers one after the other and takes
// the time of the call. A slow answer would delay all others, or, given later,
// leave times and errors at zero in `nats service stats`.
type responder struct {
	nc       *nats.Conn
	handle   func(context.Context, *nats.Msg) error
	shown    *service.Service
	sub      *nats.Subscription
	requests sync.WaitGroup

	mu    sync.Mutex
	stats micro.EndpointStats
}

func newResponder(nc *nats.Conn, subject string, handle func(context.Context, *nats.Msg) error) *responder {
	s := &responder{
		nc: nc, handle: handle, stats: micro.EndpointStats{Name: endpointName, Subject: subject, QueueGroup: micro.DefaultQueueGroup},
	}
	s.shown = service.New(micro.Info{
		ServiceIdentity: micro.ServiceIdentity{Name: serviceName, ID: rand.Text(), Version: serviceVersion},
		Description:     serviceDescription,
		Endpoints:       []micro.EndpointInfo{{Name: endpointName, Subject: subject, QueueGroup: micro.DefaultQueueGroup}},
	}, s.statistics)
	return s
}

// start subscribes; who answers a ping answers requests too. The handlers run
// each on its own, under ctx.
func (s *responder) start(ctx context.Context) (err error) {
	s.sub, err = s.nc.QueueSubscribe(s.stats.Subject, s.stats.QueueGroup, func(m *nats.Msg) {
		s.requests.Go(func() { s.serve(ctx, m) })
	})
	if err != nil {
		return fmt.Errorf("subscribe: %w", err)
	}
	if err := s.shown.Start(s.nc); err != nil {
		return err
	}
	return s.nc.Flush()
}

func (s *responder) serve(ctx context.Context, m *nats.Msg) {
	began := time.Now()
	err := s.handle(ctx, m)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stats.NumRequests++
	s.stats.ProcessingTime += time.Since(began)
	s.stats.AverageProcessingTime = s.stats.ProcessingTime / time.Duration(s.stats.NumRequests)
	if err != nil {
		s.stats.NumErrors++
		s.stats.LastError = err.Error()
	}
}

func (s *responder) statistics() []*micro.EndpointStats {
	s.mu.Lock()
	defer s.mu.Unlock()
	return []*micro.EndpointStats{new(s.stats)}
}

// stop takes no more requests, and waits for those that were begun.
func (s *responder) stop() error {
	err := s.shown.Stop()
	if s.sub != nil {
		if unsubscribed := s.sub.Unsubscribe(); !errors.Is(unsubscribed, nats.ErrConnectionClosed) {
			err = errors.Join(err, unsubscribed)
		}
	}
	s.requests.Wait()
	return err
}
