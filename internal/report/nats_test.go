package report

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/micro"

	"github.com/voip-push/worker/internal/voip"
)

const secret = "Li Lei's number"

func startNATS(t testing.TB, opts *server.Options) *server.Server {
	t.Helper()
	opts.Host, opts.Port, opts.NoLog, opts.NoSigs = "127.0.0.1", -1, true, true
	s, err := server.NewServer(opts)
	if err != nil {
		t.Fatal(err)
	}
	go s.Start()
	t.Cleanup(s.Shutdown)
	if !s.ReadyForConnections(10 * time.Second) {
		t.Fatal("the NATS server is not ready")
	}
	return s
}

func dial(t testing.TB, s *server.Server, opts ...nats.Option) *nats.Conn {
	t.Helper()
	nc, err := nats.Connect(s.ClientURL(), opts...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	return nc
}

// responds answers every request on a subject.
func responds(t *testing.T, nc *nats.Conn, subject string, h func(*nats.Msg)) {
	t.Helper()
	sub, err := nc.Subscribe(subject, h)
	if err != nil {
		t.Fatal(err)
	}
	if err := nc.Flush(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = sub.Unsubscribe() })
}

// failureOf sends one request and wants a *voip.ReportError that shows nothing
// of what the far side sent.
func failureOf(t *testing.T, transport Transport, timeout time.Duration) *voip.ReportError {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), timeout)
	defer cancel()
	req := request()
	req.IdempotencyKey = "c-1.r0.a1"
	a, err := transport.Report(ctx, &req)
	e, ok := errors.AsType[*voip.ReportError](err)
	if !ok {
		t.Fatalf("got %+v, %v", a, err)
	}
	if strings.Contains(e.Error(), secret) || strings.Contains(e.Error(), "Li Lei") {
		t.Errorf("%q shows what is private", e.Error())
	}
	if e.Detail == "" {
		t.Error("no detail")
	}
	return e
}

func expectFailure(t *testing.T, got *voip.ReportError, reason voip.Reason, arrival voip.Arrival) {
	t.Helper()
	if got.Reason != reason || got.Arrival != arrival {
		t.Errorf("%s (%q), arrival %d; want %s, %d", got.Reason, got.Detail, got.Arrival, reason, arrival)
	}
}

func TestNATSAnswers(t *testing.T) {
	s := startNATS(t, &server.Options{})
	nc := dial(t, s)
	var got *nats.Msg
	responds(t, nc, "report", func(m *nats.Msg) {
		got = m
		_ = m.Respond([]byte(`{"code":0,"errorReason":2,"message":"` + secret + `","duplicate":true}`))
	})
	req := request()
	req.IdempotencyKey = "c-1.r0.a1"
	a, err := NewNATS(nc, "report", slog.New(slog.DiscardHandler)).Report(t.Context(), &req)
	if err != nil || a.Reason() != voip.ReasonVoipCallExists || !a.Duplicate {
		t.Errorf("%+v, %v", a, err)
	}
	if key := got.Header.Get("Idempotency-Key"); key != "c-1.r0.a1" || !strings.Contains(string(got.Data), `"callId":"c-1"`) {
		t.Errorf("sent %q with key %q", got.Data, key)
	}
}

func TestNATSFailures(t *testing.T) {
	s := startNATS(t, &server.Options{MaxPayload: 64 << 10})
	nc := dial(t, s)
	serviceSays := func(code, description string) func(*nats.Msg) {
		return func(m *nats.Msg) {
			_ = m.RespondMsg(&nats.Msg{Header: nats.Header{micro.ErrorCodeHeader: {code}, micro.ErrorHeader: {description}, "Retry-After": {"7"}}})
		}
	}
	bytes := func(b string) func(*nats.Msg) { return func(m *nats.Msg) { _ = m.Respond([]byte(b)) } }
	tests := []struct {
		name    string
		handler func(*nats.Msg)
		timeout time.Duration
		reason  voip.Reason
		arrival voip.Arrival
	}{
		{"nobody", nil, time.Minute, voip.ReasonReportUnavailable, voip.NotArrived},
		{"silence", func(*nats.Msg) {}, 50 * time.Millisecond, voip.ReasonReportUnavailable, voip.MayHaveArrived},
		{"nonsense", bytes(secret), time.Minute, voip.ReasonReportRejected, voip.Answered},
		{"no code", bytes(`{"errorReason":0,"message":"` + secret + `"}`), time.Minute, voip.ReasonReportRejected, voip.Answered},
		{"empty", bytes(""), time.Minute, voip.ReasonReportRejected, voip.Answered},
		{"503", serviceSays("503", secret), time.Minute, voip.ReasonReportUnavailable, voip.TurnedAway},
		{"500", serviceSays("500", secret), time.Minute, voip.ReasonReportUnavailable, voip.MayHaveArrived},
		{"400", serviceSays("400", secret), time.Minute, voip.ReasonReportRejected, voip.Answered},
		{"403", serviceSays("403", secret), time.Minute, voip.ReasonReportUnavailable, voip.TurnedAway},
		{"word", serviceSays(secret, secret), time.Minute, voip.ReasonReportUnavailable, voip.MayHaveArrived},
		{"200", serviceSays("200", secret), time.Minute, voip.ReasonReportUnavailable, voip.MayHaveArrived},
		{"no_code", serviceSays("", secret), time.Minute, voip.ReasonReportUnavailable, voip.MayHaveArrived},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			subject := "report." + strings.ReplaceAll(tt.name, " ", "_")
			if tt.handler != nil {
				responds(t, nc, subject, tt.handler)
			}
			e := failureOf(t, NewNATS(nc, subject, slog.New(slog.DiscardHandler)), tt.timeout)
			expectFailure(t, e, tt.reason, tt.arrival)
			if want := map[bool]time.Duration{true: 7 * time.Second}[tt.name == "503"]; e.RetryAfter != want {
				t.Errorf("Retry-After %v, want %v", e.RetryAfter, want)
			}
		})
	}
	t.Run("too long", func(t *testing.T) {
		req := request()
		req.Attribute.UserProfile.Data = make([]byte, 64<<10)
		_, err := NewNATS(nc, "report", slog.New(slog.DiscardHandler)).Report(t.Context(), &req)
		e, ok := errors.AsType[*voip.ReportError](err)
		if !ok {
			t.Fatal(err)
		}
		expectFailure(t, e, voip.ReasonReportRejected, voip.NotArrived)
	})
	t.Run("data that is no JSON", func(t *testing.T) {
		req := request()
		req.Data = []byte("{" + secret)
		_, err := NewNATS(nc, "report", slog.New(slog.DiscardHandler)).Report(t.Context(), &req)
		if e, ok := errors.AsType[*voip.ReportError](err); !ok || e.Reason != voip.ReasonReportRejected || strings.Contains(e.Error(), secret) {
			t.Errorf("got %v", err)
		}
	})
	t.Run("no time left", func(t *testing.T) {
		expectFailure(t, failureOf(t, NewNATS(nc, "report", slog.New(slog.DiscardHandler)), 0), voip.ReasonReportUnavailable, voip.NotArrived)
	})
}

// TestNATSDenied: a permission violation is a timeout to the asker, and waits
// for somebody to mend it.
func TestNATSDenied(t *testing.T) {
	s := startNATS(t, &server.Options{Users: []*server.User{{
		Username: "w", Password: "w", Permissions: &server.Permissions{Publish: &server.SubjectPermission{Deny: []string{"report"}}},
	}}})
	violations := make(chan error, 1)
	nc := dial(t, s, nats.UserInfo("w", "w"), nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) { violations <- err }))
	e := failureOf(t, NewNATS(nc, "report", slog.New(slog.DiscardHandler)), 200*time.Millisecond)
	expectFailure(t, e, voip.ReasonReportUnavailable, voip.MayHaveArrived)
	if err := <-violations; !errors.Is(err, nats.ErrPermissionViolation) {
		t.Errorf("the error handler saw %v", err)
	}
}

// TestNATSDisconnected: nothing is sent that would arrive long after its time.
func TestNATSDisconnected(t *testing.T) {
	s := startNATS(t, &server.Options{})
	gone := make(chan struct{})
	nc := dial(t, s, nats.DisconnectErrHandler(func(*nats.Conn, error) { close(gone) }), nats.ReconnectWait(time.Hour))
	s.Shutdown()
	<-gone
	expectFailure(t, failureOf(t, NewNATS(nc, "report", slog.New(slog.DiscardHandler)), time.Minute), voip.ReasonReportUnavailable, voip.NotArrived)
	if n, err := nc.Buffered(); err == nil && n > 0 {
		t.Errorf("%d bytes wait to be sent", n)
	}
}

// TestNATSClosed: a connection that closes under a request leaves its outcome
// unknown.
func TestNATSClosed(t *testing.T) {
	s := startNATS(t, &server.Options{})
	nc, far := dial(t, s), dial(t, s)
	responds(t, far, "report", func(*nats.Msg) { nc.Close() })
	expectFailure(t, failureOf(t, NewNATS(nc, "report", slog.New(slog.DiscardHandler)), time.Minute), voip.ReasonReportUnavailable, voip.MayHaveArrived)
}

func TestNATSErrors(t *testing.T) {
	for err, want := range map[error]voip.Arrival{
		nats.ErrNoResponders: voip.NotArrived, nats.ErrReconnectBufExceeded: voip.NotArrived, nats.ErrConnectionDraining: voip.NotArrived,
		nats.ErrHeadersNotSupported: voip.NotArrived, nats.ErrBadSubject: voip.NotArrived, nats.ErrDisconnected: voip.MayHaveArrived,
		nats.ErrConnectionClosed: voip.MayHaveArrived, context.Canceled: voip.MayHaveArrived, nats.ErrTimeout: voip.MayHaveArrived,
	} {
		expectFailure(t, natsError(fmt.Errorf("wrapped: %w", err), "report"), voip.ReasonReportUnavailable, want)
	}
}

// TestStatuses is the contract's list, status by status.
func TestStatuses(t *testing.T) {
	unavailable, rejected := voip.ReasonReportUnavailable, voip.ReasonReportRejected
	unknown := map[int]bool{408: true, 500: true, 502: true, 504: true}
	for status := 300; status <= 599; status++ {
		reason, arrival := unavailable, voip.TurnedAway
		switch {
		case unknown[status]:
			arrival = voip.MayHaveArrived
		case status == 401, status == 403, status == 404, status == 405, status == 425, status == 429:
		case status >= 400 && status < 500:
			reason, arrival = rejected, voip.Answered
		}
		e := statusError(status, time.Second)
		expectFailure(t, e, reason, arrival)
		if e.Duplicate != (status == http.StatusConflict) {
			t.Errorf("%d: duplicate %v", status, e.Duplicate)
		}
		if busy := status == 425 || status == 429; e.Busy != busy {
			t.Errorf("%d: busy %v", status, e.Busy)
		}
		if honoured := status == 429 || status == 503; honoured != (e.RetryAfter == time.Second) {
			t.Errorf("%d: Retry-After %v", status, e.RetryAfter)
		}
	}
}

func TestRetryAfterHeader(t *testing.T) {
	for v, want := range map[string]time.Duration{
		"": 0, "0": 0, "7": 7 * time.Second, " 7 ": 7 * time.Second, "-7": 0, "1.5": 0, "soon": 0,
		"99999999999999": maxRetryAfter, "Mon, 02 Jan 2006 15:04:05 GMT": 0, "Fri, 31 Dec 9999 23:59:59 GMT": maxRetryAfter,
	} {
		if got := retryAfter(v); got != want {
			t.Errorf("Retry-After %q is %v, want %v", v, got, want)
		}
	}
	in := time.Now().Add(time.Minute).UTC().Format(http.TimeFormat)
	if got := retryAfter(in); got < 57*time.Second || got > time.Minute {
		t.Errorf("in a minute is %v", got)
	}
}
