package callkit

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"sync"
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

// TestServiceStats: what `nats service list`, `info` and `stats` read, with the
// times and errors of answers that go out side by side.
func TestServiceStats(t *testing.T) {
	nc := connect(t)
	m := New(Options{})
	const slow = time.Second
	inject(t, m, Fault{Latency: Latency{P50: slow}})
	inject(t, m, Fault{CallID: "busy", Effect: TurnAway})
	serve(t, nc, m)
	began := time.Now()
	var all sync.WaitGroup
	for _, id := range []string{"a", "b", "c", "d", "busy"} {
		text := body(t, request(id))
		all.Go(func() {
			if _, err := nc.Request(voip.SubjectReport, []byte(text), 5*time.Second); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if took := time.Since(began); took > 4*slow {
		t.Errorf("five answers took %v: they were given one after the other", took)
	}
	read := func(verb string, into any) {
		t.Helper()
		msg, err := nc.Request("$SRV."+verb+"."+serviceName, nil, 5*time.Second)
		if err == nil {
			err = json.Unmarshal(msg.Data, into)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	var ping micro.Ping
	var info micro.Info
	read("PING", &ping)
	read("INFO", &info)
	if ping.Type != micro.PingResponseType || ping.ID == "" || info.ID != ping.ID || len(info.Endpoints) != 1 || info.Endpoints[0].Subject != voip.SubjectReport {
		t.Errorf("%+v, %+v", ping, info)
	}
	if _, err := nc.Request("$SRV.INFO."+serviceName+"."+ping.ID, nil, 5*time.Second); err != nil {
		t.Error(err)
	}
	var stats micro.Stats
	for range 100 { // the last answer is counted after it was sent
		if read("STATS", &stats); stats.Endpoints[0].NumRequests == 5 {
			break
		}
	}
	e := stats.Endpoints[0]
	if e.NumRequests != 5 || e.NumErrors != 1 || !strings.Contains(e.LastError, "503") || e.AverageProcessingTime < slow || stats.Started.IsZero() {
		t.Errorf("%+v", *e)
	}
}
