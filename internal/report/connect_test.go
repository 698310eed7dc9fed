package report

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/micro"

	"github.com/voip-push/worker/internal/voip"
)

func TestConnect(t *testing.T) {
	nc := dial(t, startNATS(t, &server.Options{}))
	const yes, no = `{"code":0}`, `{"code":1,"message":"` + secret + `"}`
	tests := []struct {
		name    string
		answers []string // the last goes on; "-" is silence, a number a service error; none: nobody listens
		life    time.Duration
		want    voip.Reason
		keys    string
	}{
		{"yes", []string{yes}, time.Minute, voip.ReasonNone, "c1"},
		{"no, then yes", []string{no, yes}, time.Minute, voip.ReasonNone, "c1,c2"},
		{"no for good", []string{no}, time.Minute, voip.ReasonConnectFailed, "c1,c2,c3,c4,c5"},
		{"refused for good", []string{"400"}, time.Minute, voip.ReasonConnectFailed, "c1,c2,c3,c4,c5"},
		{"silence, then yes", []string{"-", yes}, time.Minute, voip.ReasonNone, "c1,c1"},
		{"503, then yes", []string{"503", yes}, time.Minute, voip.ReasonNone, "c1,c2"},
		{"unavailable is asked more than a few times", []string{"503", "503", "503", "503", "503", "503", yes}, time.Minute, voip.ReasonNone, "c1,c2,c3,c4,c5,c6,c7"},
		{"nonsense is a no", []string{secret}, time.Minute, voip.ReasonConnectFailed, "c1,c2,c3,c4,c5"},
		{"errorReason is a no", []string{`{"code":0,"errorReason":3}`, yes}, time.Minute, voip.ReasonNone, "c1,c2"},
		{"nobody", nil, 50 * time.Millisecond, voip.ReasonConnectFailed, ""},
		{"late", nil, 0, voip.ReasonExpired, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			subject := "connect." + strings.ReplaceAll(strings.ReplaceAll(tt.name, " ", "_"), ",", "")
			var keys []string
			if tt.answers != nil {
				responds(t, nc, subject, func(m *nats.Msg) {
					a := tt.answers[min(len(keys), len(tt.answers)-1)]
					keys = append(keys, strings.TrimPrefix(m.Header.Get(voip.HeaderIdempotencyKey), "c-1.r2."))
					if !strings.Contains(string(m.Data), `"callId":"c-1","deviceId":"d","bundleName":"b","direction":"incoming","voipCallType":1,"data":{"x":1},"expiresAt":"`) {
						t.Errorf("asked %s", m.Data)
					}
					switch {
					case a == "-":
					case len(a) == 3:
						_ = m.RespondMsg(&nats.Msg{Header: nats.Header{micro.ErrorCodeHeader: {a}}})
					default:
						_ = m.Respond([]byte(a))
					}
				})
			}
			cfg := settings()
			cfg.Timeout, cfg.BackoffInitial, cfg.BackoffMax = time.Second, time.Millisecond, 2*time.Millisecond
			c, err := NewConnector(cfg, nc, subject, slog.New(slog.DiscardHandler))
			if err != nil {
				t.Fatal(err)
			}
			ctx, cancel := life(t, tt.life)
			defer cancel(nil)
			err = c.Connect(ctx, connectPush(), 2, time.Now(), &voip.Connection{})
			if reasonOf(err) != tt.want || strings.Join(keys, ",") != tt.keys {
				t.Errorf("%v with keys %v, want %s with %s", err, keys, tt.want, tt.keys)
			}
			if err != nil && strings.Contains(err.Error(), secret) {
				t.Errorf("%q shows what is private", err)
			}
		})
	}
}

func connectPush() *voip.Push {
	return &voip.Push{
		CallID: "c-1", DeviceID: "d", BundleName: "b", Direction: voip.Incoming, VoipCallType: voip.VoipCallVideo,
		Data: []byte(`{"x":1}`),
	}
}

// TestConnectInterrupted: a cancel and a stop end it at once, in a question and
// in a wait.
func TestConnectInterrupted(t *testing.T) {
	nc := dial(t, startNATS(t, &server.Options{}))
	for _, cause := range []error{voip.ErrCancelled, voip.ErrStopping, voip.ErrLeaseLost} {
		for _, answer := range []string{"", `{"code":1}`} {
			asked := make(chan struct{}, 1)
			subject := nats.NewInbox()
			responds(t, nc, subject, func(m *nats.Msg) {
				if answer != "" {
					_ = m.Respond([]byte(answer))
				}
				asked <- struct{}{}
			})
			cfg := settings()
			cfg.BackoffInitial, cfg.BackoffMax = time.Hour, time.Hour
			c, err := NewConnector(cfg, nc, subject, slog.New(slog.DiscardHandler))
			if err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithCancelCause(t.Context())
			go func() { <-asked; cancel(cause) }()
			if err := c.Connect(ctx, connectPush(), 0, time.Now(), &voip.Connection{}); !errors.Is(err, cause) {
				t.Errorf("%v (answer %q): ended with %v", cause, answer, err)
			}
		}
	}
	if _, err := NewConnector(Config{}, nc, "x", nil); err == nil {
		t.Error("no settings are taken")
	}
}
