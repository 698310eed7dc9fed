package service_test

import (
	"encoding/json"
	"errors"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/micro"

	"github.com/voip-push/worker/internal/service"
	"github.com/voip-push/worker/internal/testkit"
)

func info() micro.Info {
	return micro.Info{
		ServiceIdentity: micro.ServiceIdentity{Name: "svc", ID: "one", Version: "1.2.3"}, Description: "what it does",
		Endpoints: []micro.EndpointInfo{{Name: "push", Subject: "voip.push", QueueGroup: "q"}},
	}
}

func stats() []*micro.EndpointStats {
	return []*micro.EndpointStats{{Name: "push", Subject: "voip.push", QueueGroup: "q", NumRequests: 7, NumErrors: 2}}
}

func ask(t *testing.T, nc *nats.Conn, subject string, into any) {
	t.Helper()
	m, err := nc.Request(subject, nil, 5*time.Second)
	if err == nil {
		err = json.Unmarshal(m.Data, into)
	}
	if err != nil {
		t.Fatalf("%s: %v", subject, err)
	}
}

// TestService: asked as one of all, as one of its name and by its ID, it says
// what nats.go's own services say; once stopped it says nothing.
func TestService(t *testing.T) {
	t.Parallel()
	s := testkit.Broker(t)
	nc := s.Conn(t)
	svc := service.New(info(), stats)
	if err := svc.Start(nc); err != nil {
		t.Fatal(err)
	}
	if err := nc.Flush(); err != nil { // or the questions overtake the subscriptions
		t.Fatal(err)
	}
	asker := s.Conn(t)
	for _, who := range [][2]string{{}, {"svc"}, {"svc", "one"}} {
		subject := func(verb micro.Verb) string {
			subject, err := micro.ControlSubject(verb, who[0], who[1])
			if err != nil {
				t.Fatal(err)
			}
			return subject
		}
		var ping micro.Ping
		var got micro.Info
		var counted micro.Stats
		ask(t, asker, subject(micro.PingVerb), &ping)
		ask(t, asker, subject(micro.InfoVerb), &got)
		ask(t, asker, subject(micro.StatsVerb), &counted)
		if ping.Name != "svc" || ping.ID != "one" || ping.Version != "1.2.3" || ping.Type != micro.PingResponseType || len(ping.Metadata) > 0 {
			t.Errorf("ping: %+v", ping)
		}
		if got.Type != micro.InfoResponseType || got.Description != "what it does" || len(got.Endpoints) != 1 || got.Endpoints[0].Subject != "voip.push" || got.Metadata == nil || got.Endpoints[0].Metadata == nil {
			t.Errorf("info: %+v", got)
		}
		if counted.Type != micro.StatsResponseType || counted.Started.IsZero() || len(counted.Endpoints) != 1 || counted.Endpoints[0].NumRequests != 7 || counted.Endpoints[0].NumErrors != 2 {
			t.Errorf("stats: %+v", counted)
		}
	}
	if err := svc.Stop(); err != nil {
		t.Fatal(err)
	}
	if err := nc.Flush(); err != nil {
		t.Fatal(err)
	}
	if _, err := asker.Request("$SRV.PING", nil, 5*time.Second); !errors.Is(err, nats.ErrNoResponders) {
		t.Errorf("after the stop: %v", err)
	}
}

// TestServiceBesides: others of the same name answer for themselves, and what
// is asked of another is not answered.
func TestServiceBesides(t *testing.T) {
	t.Parallel()
	s := testkit.Broker(t)
	nc := s.Conn(t)
	svc := service.New(info(), stats)
	if err := svc.Start(nc); err != nil {
		t.Fatal(err)
	}
	for _, subject := range []string{"$SRV.PING.other", "$SRV.PING.svc.two", "$SRV.PING.svc.one.more"} {
		if _, err := nc.Request(subject, nil, 5*time.Second); !errors.Is(err, nats.ErrNoResponders) {
			t.Errorf("%s: %v", subject, err)
		}
	}
	if _, err := nc.Request("$SRV.RESET", nil, 20*time.Millisecond); !errors.Is(err, nats.ErrTimeout) {
		t.Errorf("an unknown verb: %v", err)
	}
	nc.Close()
	if err := svc.Stop(); err != nil {
		t.Errorf("a stop after the connection's end: %v", err)
	}
	if err := service.New(info(), stats).Start(nc); !errors.Is(err, nats.ErrConnectionClosed) {
		t.Errorf("a start after the connection's end: %v", err)
	}
}
