package report

import (
	"context"
	"log/slog"
	"net/http/httptest"
	"strconv"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"

	"github.com/voip-push/worker/internal/callkit"
	"github.com/voip-push/worker/internal/testkit"
	"github.com/voip-push/worker/internal/voip"
)

// overHTTP and overNATS are the transports to a served model.
func overHTTP(t testing.TB, m *callkit.Model) Transport {
	t.Helper()
	s := httptest.NewServer(m.Handler())
	t.Cleanup(s.Close)
	h, err := NewHTTP(HTTPConfig{URL: s.URL + callkit.ReportPath, Concurrency: 256}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(h.Close)
	return h
}

func overNATS(t testing.TB, m *callkit.Model) Transport {
	t.Helper()
	s := startNATS(t, &server.Options{})
	near, far := dial(t, s), dial(t, s)
	ctx, cancel := context.WithCancel(t.Context())
	served := make(chan error, 1)
	go func() { served <- callkit.ServeNATS(ctx, far, voip.SubjectReport, m) }()
	t.Cleanup(func() {
		cancel()
		if err := <-served; err != nil {
			t.Error(err)
		}
	})
	testkit.Eventually(t, "the model is served", func() bool {
		_, err := near.Request("$SRV.PING", nil, time.Second)
		return err == nil
	})
	return NewNATS(near, voip.SubjectReport, slog.New(slog.DiscardHandler))
}

func inProcess(_ testing.TB, m *callkit.Model) Transport { return m }

// transports are all ways to a model; the in-process one comes first.
var transports = []struct {
	name string
	to   func(testing.TB, *callkit.Model) Transport
}{{"in process", inProcess}, {"nats", overNATS}, {"http", overHTTP}}

// TestLostAnswers: the call was accepted and nobody heard of it, over every
// transport. A bridge that keeps keys gives its answer again; one that does not
// can say that it has the call already; of one that does neither a bare
// 1007200001 is all that comes, and may as well be a refusal.
func TestLostAnswers(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name     string
		opts     callkit.Options
		incoming bool
		want     voip.Reason
		inferred bool
		replayed int64
	}{
		{name: "keeps keys", want: voip.ReasonNone, replayed: 1},
		{name: "keeps keys, says duplicate", opts: callkit.Options{SayDuplicate: true}, want: voip.ReasonNone, replayed: 1},
		{name: "forgets keys, says duplicate", opts: callkit.Options{ForgetKeys: true, SayDuplicate: true}, want: voip.ReasonNone, inferred: true},
		{name: "forgets keys", opts: callkit.Options{ForgetKeys: true}, want: voip.ReasonCallKitRejected},
		{name: "forgets keys, incoming", opts: callkit.Options{ForgetKeys: true}, incoming: true, want: voip.ReasonNone},
	}
	for _, transport := range transports {
		for _, tt := range tests {
			t.Run(transport.name+"/"+tt.name, func(t *testing.T) {
				t.Parallel()
				m := callkit.New(tt.opts)
				const lost = 2
				if _, err := m.Inject(callkit.Fault{Effect: callkit.LoseAnswer, Attempts: lost}); err != nil {
					t.Fatal(err)
				}
				stage := newStage(t, transport.to(t, m), nil2{})
				stage.cfg.Timeout, stage.cfg.BackoffInitial, stage.cfg.BackoffMax = time.Second, time.Millisecond, 2*time.Millisecond
				ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
				defer cancel()
				req := request()
				if tt.incoming {
					req.Method, req.Attribute.VoipCallState = voip.MethodIncoming, voip.StateRinging
				}
				p, err := stage.Report(ctx, req, voip.Progress{}, alwaysRuns{})
				if reasonOf(err) != tt.want || p.Inferred != tt.inferred || p.Total != lost+1 || !p.Unknown {
					t.Errorf("%v, inferred %v after %d attempts", err, p.Inferred, p.Total)
				}
				// The second of the attempts whose answers are lost is answered from the keys as well.
				if s := m.Stats(); s.Accepted != 1 && !tt.incoming || s.Replayed != tt.replayed*lost {
					t.Errorf("%+v", s)
				}
			})
		}
	}
}

// TestStatusesEndToEnd: the bridge's own answers through a real server, and
// what the call comes to when they stop.
func TestStatusesEndToEnd(t *testing.T) {
	t.Parallel()
	for _, transport := range transports {
		t.Run(transport.name, func(t *testing.T) {
			t.Parallel()
			m := callkit.New(callkit.Options{})
			to := transport.to(t, m)
			for _, status := range []int{401, 403, 404, 405, 408, 425, 429, 500, 502, 503, 504} {
				remove, err := m.Inject(callkit.Fault{Effect: callkit.TurnAway, Status: status, Attempts: 2})
				if err != nil {
					t.Fatal(err)
				}
				stage := newStage(t, to, nil2{})
				stage.cfg.BackoffInitial, stage.cfg.BackoffMax = time.Millisecond, 2*time.Millisecond
				ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
				req := request()
				req.Attribute.CallID = strconv.Itoa(status)
				p, err := stage.Report(ctx, req, voip.Progress{}, alwaysRuns{})
				if err != nil || p.Total != 3 || p.Attempts[0].Reason != voip.ReasonReportUnavailable || p.Attempts[0].Code != nil {
					t.Errorf("%d: %v, %+v", status, err, p.Attempts)
				}
				cancel()
				remove()
			}
		})
	}
}

// TestUnreadableAnswer: its length is told, and its bytes only to those who
// asked for private values.
func TestUnreadableAnswer(t *testing.T) {
	var log testkit.Log
	_, err := readAnswer(t.Context(), []byte(secret), log.Logger())
	e := outcomeOf(voip.Answer{}, err)
	if e.reason != voip.ReasonReportRejected || e.detail != "an answer of "+strconv.Itoa(len(secret))+" bytes is not {code, errorReason}" {
		t.Errorf("%+v", e)
	}
	if got := log.String(); !containsAll(got, "bytes="+strconv.Itoa(len(secret)), "answer="+voip.Redacted) || containsAll(got, secret) {
		t.Errorf("logged %s", got)
	}
}
