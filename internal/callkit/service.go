package callkit

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/micro"
)

// service speaks the protocol of a NATS micro service, as the micro package of
// nats.go does, whose words it uses. That package itself calls a service's
// handlers one after the other and takes the time of the call: a slow answer
// would delay all others, or, given later, leave times and errors at zero in
// `nats service stats`.
type service struct {
	nc       *nats.Conn
	identity micro.ServiceIdentity
	info     micro.Info
	handle   func(context.Context, *nats.Msg) error
	subs     []*nats.Subscription
	requests sync.WaitGroup

	mu      sync.Mutex
	started time.Time
	stats   micro.EndpointStats
}

func newService(nc *nats.Conn, subject string, handle func(context.Context, *nats.Msg) error) *service {
	id := micro.ServiceIdentity{Name: serviceName, ID: rand.Text(), Version: serviceVersion, Metadata: map[string]string{}}
	return &service{
		nc: nc, identity: id, handle: handle, started: time.Now().UTC(),
		info: micro.Info{
			ServiceIdentity: id, Type: micro.InfoResponseType, Description: serviceDescription,
			Endpoints: []micro.EndpointInfo{{Name: endpointName, Subject: subject, QueueGroup: micro.DefaultQueueGroup, Metadata: map[string]string{}}},
		},
		stats: micro.EndpointStats{Name: endpointName, Subject: subject, QueueGroup: micro.DefaultQueueGroup},
	}
}

// start subscribes; who answers a ping answers requests too. The handlers run
// each on its own, under ctx.
func (s *service) start(ctx context.Context) error {
	err := s.subscribe(s.nc.QueueSubscribe(s.stats.Subject, s.stats.QueueGroup, func(m *nats.Msg) {
		s.requests.Go(func() { s.serve(ctx, m) })
	}))
	if err != nil {
		return err
	}
	for verb, answer := range map[micro.Verb]func() any{
		micro.PingVerb:  func() any { return micro.Ping{ServiceIdentity: s.identity, Type: micro.PingResponseType} },
		micro.InfoVerb:  func() any { return s.info },
		micro.StatsVerb: s.statistics,
	} {
		if err := s.monitor(verb, answer); err != nil {
			return err
		}
	}
	return s.nc.Flush()
}

// monitor answers a verb of the protocol for all services, for those of this
// name, and for this one.
func (s *service) monitor(verb micro.Verb, answer func() any) error {
	for _, who := range [][2]string{{}, {s.identity.Name}, {s.identity.Name, s.identity.ID}} {
		subject, err := micro.ControlSubject(verb, who[0], who[1])
		if err != nil {
			return err
		}
		err = s.subscribe(s.nc.Subscribe(subject, func(m *nats.Msg) {
			if body, err := json.Marshal(answer()); err == nil {
				_ = m.Respond(body) // whoever asked asks again
			}
		}))
		if err != nil {
			return err
		}
	}
	return nil
}

func (s *service) subscribe(sub *nats.Subscription, err error) error {
	if err != nil {
		return fmt.Errorf("subscribe: %w", err)
	}
	s.subs = append(s.subs, sub)
	return nil
}

func (s *service) serve(ctx context.Context, m *nats.Msg) {
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

func (s *service) statistics() any {
	s.mu.Lock()
	defer s.mu.Unlock()
	return micro.Stats{
		ServiceIdentity: s.identity, Type: micro.StatsResponseType, Started: s.started,
		Endpoints: []*micro.EndpointStats{new(s.stats)},
	}
}

// stop takes no more requests, and waits for those that were begun.
func (s *service) stop() error {
	var errs []error
	for _, sub := range s.subs {
		if err := sub.Unsubscribe(); err != nil && !errors.Is(err, nats.ErrConnectionClosed) {
			errs = append(errs, err)
		}
	}
	s.requests.Wait()
	return errors.Join(errs...)
}
