//go:build !production

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/voip-push/worker/internal/callkit"
	"github.com/voip-push/worker/internal/report"
	"github.com/voip-push/worker/internal/testkit"
	"github.com/voip-push/worker/internal/voip"
)

// side is a way to Call Kit's side. A new transport is one more of them.
type side struct {
	name      string
	transport string // REPORT_TRANSPORT
	// open makes the model reachable, and keeps what arrives there. It returns
	// the transport to use; nil: the worker's own.
	open func(t *testing.T, b *testkit.Server, m *callkit.Model, cfg *config, keep *inbox) report.Transport
}

// sides are all ways; the golden files are written from the first.
func sides() []side {
	return []side{
		{name: "in-process", transport: transportCallKit, open: openInProcess},
		{name: "nats", transport: transportNATS, open: openNATS},
		{name: "http", transport: transportHTTP, open: openHTTP},
	}
}

// inbox keeps the requests that reached Call Kit's side.
type inbox struct {
	mu       sync.Mutex
	requests []arrived
	answers  [][]byte // over HTTP, the only way on which they can be listened to
}

type arrived struct {
	body  []byte
	key   string // of the header; empty where a transport has none
	trace string // likewise
}

func (b *inbox) put(a arrived) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.requests = append(b.requests, a)
}

func (b *inbox) all() []arrived {
	b.mu.Lock()
	defer b.mu.Unlock()
	return append([]arrived(nil), b.requests...)
}

func (b *inbox) answered() [][]byte {
	b.mu.Lock()
	defer b.mu.Unlock()
	return append([][]byte(nil), b.answers...)
}

// listening keeps the answers that a handler gives.
type listening struct {
	http.ResponseWriter

	keep *inbox
	bad  bool
}

func (l *listening) WriteHeader(status int) {
	l.bad = status != http.StatusOK
	l.ResponseWriter.WriteHeader(status)
}

// Write is called once for each answer.
func (l *listening) Write(b []byte) (int, error) {
	if !l.bad {
		l.keep.mu.Lock()
		l.keep.answers = append(l.keep.answers, bytes.Clone(b))
		l.keep.mu.Unlock()
	}
	return l.ResponseWriter.Write(b)
}

// Unwrap is for http.ResponseController.
func (l *listening) Unwrap() http.ResponseWriter { return l.ResponseWriter }

// count is how many requests of a call have arrived.
func (b *inbox) count(callID string) int {
	n := 0
	for _, a := range b.all() {
		var r voip.Request
		if json.Unmarshal(a.body, &r) == nil && r.Attribute.CallID == callID {
			n++
		}
	}
	return n
}

type keeping struct {
	next report.Transport
	keep *inbox
}

func (k keeping) Report(ctx context.Context, req *voip.Request) (voip.Answer, error) {
	body, err := req.Encode()
	if err != nil {
		return voip.Answer{}, err
	}
	k.keep.put(arrived{body: body})
	return k.next.Report(ctx, req)
}

func openInProcess(_ *testing.T, _ *testkit.Server, m *callkit.Model, _ *config, keep *inbox) report.Transport {
	return keeping{next: m, keep: keep}
}

func openNATS(t *testing.T, b *testkit.Server, m *callkit.Model, cfg *config, keep *inbox) report.Transport {
	t.Helper()
	nc := b.Conn(t)
	// Beside the service, not instead of it: this one answers nothing.
	if _, err := nc.Subscribe(cfg.Report.Subject, func(msg *nats.Msg) {
		keep.put(arrived{body: msg.Data, key: msg.Header.Get(voip.HeaderIdempotencyKey), trace: msg.Header.Get(voip.HeaderTraceparent)})
	}); err != nil {
		t.Fatal(err)
	}
	serveCallKit(t, nc, cfg.Report.Subject, m)
	return nil
}

func openHTTP(t *testing.T, _ *testkit.Server, m *callkit.Model, cfg *config, keep *inbox) report.Transport {
	t.Helper()
	h := m.Handler()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		keep.put(arrived{body: body, key: r.Header.Get(voip.HeaderIdempotencyKey), trace: r.Header.Get(voip.HeaderTraceparent)})
		r.Body = io.NopCloser(bytes.NewReader(body))
		h.ServeHTTP(&listening{ResponseWriter: w, keep: keep}, r)
	}))
	t.Cleanup(s.Close)
	cfg.Report.URL = s.URL + callkit.ReportPath
	return nil
}

// serveCallKit serves the model on NATS until the test ends.
func serveCallKit(t *testing.T, nc *nats.Conn, subject string, m *callkit.Model) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	served := make(chan error, 1)
	go func() { served <- callkit.ServeNATS(ctx, nc, subject, m) }()
	t.Cleanup(func() {
		cancel()
		if err := <-served; err != nil {
			t.Error(err)
		}
	})
	testkit.Eventually(t, "the Call Kit model answers", func() bool {
		_, err := nc.Request("$SRV.PING.voip-callkit", nil, 100*time.Millisecond)
		return err == nil
	})
}

// sideSpec is callkit.json: what is special about Call Kit's side.
type sideSpec struct {
	SayDuplicate      bool        `json:"sayDuplicate"`
	ForgetKeys        bool        `json:"forgetKeys"`
	BusyIsInternal    bool        `json:"busyIsInternal"`
	CarrierIsInternal bool        `json:"carrierIsInternal"`
	Down              bool        `json:"down"`    // the service is not there
	Carrier           []string    `json:"carrier"` // devices with a carrier call
	Faults            []faultSpec `json:"faults"`
}

type faultSpec struct {
	CallID      string           `json:"callId"`
	Attempts    int              `json:"attempts"`
	Effect      string           `json:"effect"`
	Code        voip.Code        `json:"code"`
	ErrorReason voip.ErrorReason `json:"errorReason"`
	LatencyMs   int              `json:"latencyMs"`
}

func (s *scenario) model(t *testing.T) *callkit.Model {
	t.Helper()
	var spec sideSpec
	if text, ok := s.file("callkit.json"); ok {
		d := json.NewDecoder(bytes.NewReader([]byte(text)))
		d.DisallowUnknownFields()
		if err := d.Decode(&spec); err != nil {
			t.Fatalf("%s: callkit.json: %v", s.path, err)
		}
	}
	m := callkit.New(callkit.Options{
		SayDuplicate: spec.SayDuplicate, ForgetKeys: spec.ForgetKeys,
		BusyIsInternal: spec.BusyIsInternal, CarrierIsInternal: spec.CarrierIsInternal,
	})
	m.SetDown(spec.Down)
	for _, device := range spec.Carrier {
		m.DialCellular(device)
	}
	effects := map[string]callkit.Effect{
		"": callkit.AnswerWith, "delay": callkit.Delay, "loseAnswer": callkit.LoseAnswer, "reset": callkit.Reset,
		"nobodyThere": callkit.NobodyThere, "turnAway": callkit.TurnAway,
	}
	for _, f := range spec.Faults {
		effect, ok := effects[f.Effect]
		if !ok {
			t.Fatalf("%s: callkit.json: there is no effect %q", s.path, f.Effect)
		}
		_, err := m.Inject(callkit.Fault{
			CallID: f.CallID, Attempts: f.Attempts, Effect: effect, Code: f.Code, ErrorReason: f.ErrorReason,
			Latency: callkit.Latency{P50: time.Duration(f.LatencyMs) * time.Millisecond},
		})
		if err != nil {
			t.Fatalf("%s: callkit.json: %v", s.path, err)
		}
	}
	return m
}
