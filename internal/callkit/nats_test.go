package callkit

import (
	"context"
	"encoding/json"
	"errors"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/micro"

	"github.com/voip-push/worker/internal/voip"
)

func connect(t *testing.T) *nats.Conn {
	t.Helper()
	s, err := server.NewServer(&server.Options{Host: "127.0.0.1", Port: -1, NoLog: true, NoSigs: true})
	if err != nil {
		t.Fatal(err)
	}
	go s.Start()
	t.Cleanup(s.Shutdown)
	if !s.ReadyForConnections(10 * time.Second) {
		t.Fatal("the NATS server is not ready")
	}
	nc, err := nats.Connect(s.ClientURL())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	return nc
}

// serve serves a model until the test ends, and returns once it does.
func serve(t *testing.T, nc *nats.Conn, m *Model) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- ServeNATS(ctx, nc, voip.SubjectReport, m) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	for range 1000 {
		if _, err := nc.Request("$SRV.PING."+serviceName, nil, time.Second); err == nil {
			return
		}
	}
	t.Fatal("the service does not answer a ping")
}

func TestServeNATS(t *testing.T) {
	nc := connect(t)
	m := New(Options{})
	serve(t, nc, m)
	inject(t, m, Fault{CallID: "busy", Effect: TurnAway, RetryAfter: 1500 * time.Millisecond})
	inject(t, m, Fault{CallID: "away", Effect: NobodyThere})
	inject(t, m, Fault{CallID: "lost", Effect: LoseAnswer})
	ask := func(id, body string) (*nats.Msg, error) {
		if body == "" {
			b, err := request(id, under(id+".r0.a1")).Encode()
			if err != nil {
				t.Fatal(err)
			}
			body = string(b)
		}
		wait := 5 * time.Second
		if id == "lost" {
			wait = 50 * time.Millisecond
		}
		return nc.Request(voip.SubjectReport, []byte(body), wait)
	}

	for _, tt := range []struct {
		id, body string
		code     voip.Code
	}{{"c", "", 0}, {"c", "", 0}, {"x", "{", 401}, {"x", `{"method":1}`, 401}, {"x", `{"method":"reportOutgoingCall"}`, 401}} {
		msg, err := ask(tt.id, tt.body)
		if err != nil {
			t.Fatal(err)
		}
		var a voip.Answer
		if err := json.Unmarshal(msg.Data, &a); err != nil || a.Code != tt.code {
			t.Errorf("%s %s: %s, %v; want code %d", tt.id, tt.body, msg.Data, err, tt.code)
		}
	}
	if s := m.Stats(); s.Accepted != 1 || s.Replayed != 1 {
		t.Errorf("%+v", s)
	}
	msg, err := ask("busy", "")
	if err != nil || msg.Header.Get(micro.ErrorCodeHeader) != "503" || msg.Header.Get("Retry-After") != "2" {
		t.Errorf("busy: %v, %v", msg, err)
	}
	if _, err := ask("away", ""); !errors.Is(err, nats.ErrNoResponders) {
		t.Errorf("away: %v", err)
	}
	if _, err := ask("lost", ""); !errors.Is(err, nats.ErrTimeout) {
		t.Errorf("lost: %v", err)
	}
	if m.Stats().Accepted != 2 {
		t.Error("the call whose answer was lost was not accepted")
	}
	if err := ServeNATS(t.Context(), nc, "not a subject", m); err == nil {
		t.Error("serves on an impossible subject")
	}
}
