// Package service lets a process show in `nats service list`, `info`, `stats`
// and `ping`. It speaks that half of the protocol of NATS micro services, in
// the words of nats.go's micro package. That package itself also owns the
// requests: it would subscribe to what a worker pulls from a stream, and calls
// the handlers of a service one after the other.
package service

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/micro"
)

// Service answers whoever asks which services there are.
type Service struct {
	info    micro.Info
	stats   func() []*micro.EndpointStats
	started time.Time
	subs    []*nats.Subscription
}

// New returns a service; Start makes it answer. Its ID is a subject token that
// no other instance has. What stats returns is the caller's to count.
func New(info micro.Info, stats func() []*micro.EndpointStats) *Service {
	info.Type = micro.InfoResponseType
	if info.Metadata == nil {
		info.Metadata = map[string]string{}
	}
	for i := range info.Endpoints {
		if info.Endpoints[i].Metadata == nil {
			info.Endpoints[i].Metadata = map[string]string{}
		}
	}
	return &Service{info: info, stats: stats, started: time.Now().UTC()}
}

// Start subscribes to what is asked of all services, of those of this name, and
// of this one. Whether the server permits that is told to the connection's
// error handler alone.
func (s *Service) Start(nc *nats.Conn) error {
	every := micro.APIPrefix + ".*"
	for _, subject := range []string{every, every + "." + s.info.Name, every + "." + s.info.Name + "." + s.info.ID} {
		sub, err := nc.Subscribe(subject, s.answer)
		if err != nil {
			return errors.Join(fmt.Errorf("subscribe to %s: %w", subject, err), s.Stop())
		}
		s.subs = append(s.subs, sub)
	}
	return nil
}

// Stop ends the answers.
func (s *Service) Stop() error {
	var errs []error
	for _, sub := range s.subs {
		if err := sub.Unsubscribe(); err != nil && !errors.Is(err, nats.ErrConnectionClosed) {
			errs = append(errs, fmt.Errorf("unsubscribe from %s: %w", sub.Subject, err))
		}
	}
	s.subs = nil
	return errors.Join(errs...)
}

func (s *Service) answer(m *nats.Msg) {
	verb, _, _ := strings.Cut(strings.TrimPrefix(m.Subject, micro.APIPrefix+"."), ".")
	var answer any
	switch verb {
	case micro.PingVerb.String():
		answer = micro.Ping{ServiceIdentity: s.info.ServiceIdentity, Type: micro.PingResponseType}
	case micro.InfoVerb.String():
		answer = s.info
	case micro.StatsVerb.String():
		answer = micro.Stats{
			ServiceIdentity: s.info.ServiceIdentity, Type: micro.StatsResponseType, Started: s.started, Endpoints: s.stats(),
		}
	default:
		return // a verb of a later protocol
	}
	if body, err := json.Marshal(answer); err == nil {
		_ = m.Respond(body) // whoever asked asks again
	}
}
