package consumer

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/voip-push/worker/internal/report"
	"github.com/voip-push/worker/internal/voip"
)

// stubs of the stages: functions, so that each test says what they do.
type (
	pictures  func(context.Context, voip.Avatar, int) (voip.UserProfile, voip.AvatarResult, error)
	transport func(context.Context, *voip.Request) (voip.Answer, error)
	connects  func(context.Context) error
	freeTurn  struct{ err error }
	noMetrics struct{}
)

func (f pictures) Picture(ctx context.Context, a voip.Avatar, side int) (voip.UserProfile, voip.AvatarResult, error) {
	return f(ctx, a, side)
}

func (f transport) Report(ctx context.Context, r *voip.Request) (voip.Answer, error) {
	return f(ctx, r)
}

func (f connects) Connect(ctx context.Context, _ *voip.Push, _ int, _ time.Time, at *voip.Connection) error {
	err := f(ctx)
	at.Done = err == nil
	return err
}

func (freeTurn) Resume(ctx context.Context) error { return context.Cause(ctx) }
func (f freeTurn) Check(ctx context.Context) (context.Context, error) {
	return context.WithoutCancel(ctx), errors.Join(context.Cause(ctx), f.err)
}
func (freeTurn) Pause(voip.Progress) {}

func (noMetrics) Stage(string, time.Duration)           {}
func (noMetrics) Avatar(string, string)                 {}
func (noMetrics) Attempt(string)                        {}
func (noMetrics) CircuitOpen(bool)                      {}
func (noMetrics) Outcome(string, string, time.Duration) {}
func (noMetrics) DeadLetter(string)                     {}
func (noMetrics) Duplicate()                            {}
func (noMetrics) PushWithoutID()                        {}
func (noMetrics) Redelivery()                           {}
func (noMetrics) InFlight(int)                          {}
func (noMetrics) Oldest(time.Duration)                  {}

func noPicture(context.Context, voip.Avatar, int) (voip.UserProfile, voip.AvatarResult, error) {
	return voip.UserProfile{ContentType: "image/png", Width: 112, Height: 112, Data: []byte("x")}, voip.AvatarResult{Status: voip.AvatarNone}, nil
}

func answer(reason voip.ErrorReason) (voip.Answer, error) {
	return voip.Answer{ErrorReason: &reason}, nil
}

// newHandler is the pipeline with the real report stage.
func newHandler(t *testing.T, send transport) *Handler {
	t.Helper()
	log := slog.New(slog.NewTextHandler(t.Output(), nil))
	stage, err := report.New(report.Config{
		Timeout: 3 * time.Second, Concurrency: 8, MaxAttempts: 5, BackoffInitial: 250 * time.Millisecond, BackoffMax: 5 * time.Second,
	}, send, noMetrics{}, log)
	if err != nil {
		t.Fatal(err)
	}
	return &Handler{
		Defaults: voip.Defaults{UserName: "Unknown", AbilityName: "EntryAbility", Density: 3.5, TTL: time.Minute},
		Avatars:  pictures(noPicture), Reporter: stage, Recorder: noMetrics{}, Log: log,
	}
}

func input(body string, header nats.Header) *Input {
	return &Input{Envelope: voip.OpenPush([]byte(body)), Header: header, Stored: time.Now()}
}

const plainPush = `{"callId":"c-1","data":{"userName":"Li Lei"}}`

// TestHandleOutcomes runs the pipeline in virtual time.
func TestHandleOutcomes(t *testing.T) {
	ok := func(context.Context, *voip.Request) (voip.Answer, error) { return answer(voip.ErrorNone) }
	busy := func(context.Context, *voip.Request) (voip.Answer, error) { return answer(voip.CellularCallExists) }
	hang := func(ctx context.Context, _ *voip.Request) (voip.Answer, error) {
		<-ctx.Done()
		return voip.Answer{}, &voip.ReportError{Reason: voip.ReasonReportUnavailable, Arrival: voip.MayHaveArrived}
	}
	panicking := pictures(func(context.Context, voip.Avatar, int) (voip.UserProfile, voip.AvatarResult, error) { panic("Li Lei") })
	for name, tt := range map[string]struct {
		body   string
		header nats.Header
		send   transport
		past   voip.Progress
		setup  func(*Handler)
		after  time.Duration // the call is ended with cause
		cause  error

		reason   voip.Reason
		err      error // instead of a reason
		stage    voip.Stage
		attempts int
		took     time.Duration // at most; 0: at once
		least    time.Duration
	}{
		"reported":  {body: plainPush, send: ok, reason: voip.ReasonNone, stage: voip.StageReport, attempts: 1},
		"malformed": {body: `{"callId":"c-1"}`, send: ok, reason: voip.ReasonMalformedPush, stage: voip.StageDecode},
		"invalid":   {body: `{"callId":"c-1","data":{"density":9}}`, send: ok, reason: voip.ReasonInvalidAttribute, stage: voip.StageDecode},
		"malformed, past its deadline": {
			body: `{"callId":"c-1","data":{"density":9}}`, header: nats.Header{voip.HeaderExpiresAt: {"2000-01-01T00:00:00Z"}},
			send: ok, reason: voip.ReasonInvalidAttribute, stage: voip.StageDecode,
		},
		"expired": {body: plainPush, header: nats.Header{voip.HeaderExpiresAt: {"1999-01-01T00:00:00Z"}}, send: ok, reason: voip.ReasonExpired, stage: voip.StageReport},
		"expired, tried before": {
			body: plainPush, header: nats.Header{voip.HeaderExpiresAt: {"1999-01-01T00:00:00Z"}}, send: ok,
			past:   voip.Progress{Total: 1, Attempts: []voip.Attempt{{N: 1, Reason: voip.ReasonCellularCallExists}}},
			reason: voip.ReasonCellularCallExists, stage: voip.StageReport, attempts: 1,
		},
		"unreadable expiry is ignored": {body: plainPush, header: nats.Header{voip.HeaderExpiresAt: {"soon"}}, send: ok, reason: voip.ReasonNone, stage: voip.StageReport, attempts: 1},
		"busy for good":                {body: plainPush, send: busy, reason: voip.ReasonCellularCallExists, stage: voip.StageReport, attempts: 5, took: 20 * time.Second},
		"nobody answers":               {body: `{"callId":"c-1","data":{"ttlSeconds":5}}`, send: hang, reason: voip.ReasonReportUnavailable, stage: voip.StageReport, attempts: 2, took: 5 * time.Second},
		"incoming lives 10 s":          {body: `{"callId":"c-1","data":{"direction":"incoming"}}`, send: hang, reason: voip.ReasonReportUnavailable, stage: voip.StageReport, attempts: 3, took: 10 * time.Second},
		"cancelled in a wait":          {body: plainPush, send: busy, after: 100 * time.Millisecond, cause: voip.ErrCancelled, reason: voip.ReasonCancelled, stage: voip.StageReport, attempts: 1, took: 100 * time.Millisecond},
		"cancelled in an attempt": {
			body: plainPush, after: time.Second, cause: voip.ErrCancelled, reason: voip.ReasonNone, stage: voip.StageReport, attempts: 1, took: 2 * time.Second,
			send: func(context.Context, *voip.Request) (voip.Answer, error) {
				time.Sleep(2 * time.Second)
				return answer(voip.ErrorNone)
			},
		},
		"stopped in a wait":    {body: plainPush, send: busy, after: 100 * time.Millisecond, cause: voip.ErrStopping, err: voip.ErrStopping, stage: voip.StageReport, attempts: 1, took: 100 * time.Millisecond},
		"lease lost in a wait": {body: plainPush, send: busy, after: 100 * time.Millisecond, cause: voip.ErrLeaseLost, err: voip.ErrLeaseLost, stage: voip.StageReport, attempts: 1, took: 100 * time.Millisecond},
		"cancelled in the avatar stage": {
			body: plainPush, send: ok, after: time.Second, cause: voip.ErrCancelled, reason: voip.ReasonCancelled, stage: voip.StageReport, took: time.Second,
			setup: func(h *Handler) { h.Avatars = slowPicture },
		},
		"expired in the avatar stage": {
			body: `{"callId":"c-1","data":{"ttlSeconds":1}}`, send: ok, reason: voip.ReasonExpired, stage: voip.StageReport, took: time.Second,
			setup: func(h *Handler) { h.Avatars = slowPicture },
		},
		"avatar rejected": {
			body: plainPush, send: ok, reason: voip.ReasonAvatarRejected, stage: voip.StageAvatar,
			setup: func(h *Handler) {
				h.Avatars = pictures(func(context.Context, voip.Avatar, int) (voip.UserProfile, voip.AvatarResult, error) {
					return voip.UserProfile{}, voip.AvatarResult{}, &voip.AvatarError{Reason: voip.AvatarTooLarge}
				})
			},
		},
		"not connected": {
			body: plainPush, send: ok, reason: voip.ReasonConnectFailed, stage: voip.StageConnect,
			setup: func(h *Handler) {
				h.Connector = connects(func(context.Context) error { return &voip.ReportError{Reason: voip.ReasonConnectFailed} })
			},
		},
		"not connected by its deadline": {
			body: `{"callId":"c-1","data":{"ttlSeconds":1}}`, send: ok, reason: voip.ReasonConnectFailed, stage: voip.StageConnect, took: time.Second,
			setup: func(h *Handler) {
				h.Connector = connects(func(ctx context.Context) error {
					<-ctx.Done()
					return &voip.ReportError{Reason: voip.ReasonConnectFailed}
				})
			},
		},
		"a panic in the connection step": {
			body: plainPush, send: ok, reason: voip.ReasonUnknownErrorReason, stage: voip.StageConnect,
			setup: func(h *Handler) { h.Connector = connects(func(context.Context) error { panic("Li Lei") }) },
		},
		"connected before": {
			body: plainPush, send: ok, past: voip.Progress{Connection: voip.Connection{Done: true}}, reason: voip.ReasonNone, stage: voip.StageReport, attempts: 1,
			setup: func(h *Handler) {
				h.Connector = connects(func(context.Context) error { return errors.New("asked again") })
			},
		},
		"a panic is the push's own": {
			body: plainPush, send: ok, reason: voip.ReasonUnknownErrorReason, stage: voip.StageAvatar,
			setup: func(h *Handler) { h.Avatars = panicking },
		},
		"a panic beside the connection step": {
			body: plainPush, send: ok, reason: voip.ReasonUnknownErrorReason, stage: voip.StageAvatar, took: time.Second, least: time.Second,
			setup: func(h *Handler) {
				h.Avatars = panicking
				h.Connector = connects(func(context.Context) error { time.Sleep(time.Second); return nil })
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := newHandler(t, tt.send)
				if tt.setup != nil {
					tt.setup(h)
				}
				ctx, cancel := context.WithCancelCause(t.Context())
				defer cancel(nil)
				if tt.cause != nil {
					time.AfterFunc(tt.after, func() { cancel(tt.cause) })
				}
				in := input(tt.body, tt.header)
				in.Past = tt.past
				began := time.Now()
				v := h.Handle(ctx, in, freeTurn{})
				if tt.err != nil {
					if !errors.Is(v.Err, tt.err) {
						t.Fatalf("ended with %v, want %v", v.Err, tt.err)
					}
				} else if got := voip.ReasonOf(v.Err); got != tt.reason {
					t.Fatalf("reason %s (%v), want %s", got, v.Err, tt.reason)
				}
				if v.Stage != tt.stage || v.Progress.Total != tt.attempts {
					t.Errorf("stage %s after %d attempts, want %s after %d", v.Stage, v.Progress.Total, tt.stage, tt.attempts)
				}
				if took := time.Since(began); took > tt.took || took < tt.least {
					t.Errorf("took %v, want %v to %v", took, tt.least, tt.took)
				}
			})
		})
	}
}

// TestHandleWithAWrongClock: calls live by the broker's clock, whatever this
// machine's says.
func TestHandleWithAWrongClock(t *testing.T) {
	for name, tt := range map[string]struct {
		ahead  time.Duration // of the broker's clock
		age    time.Duration // of the push, by the broker's clock
		reason voip.Reason
	}{
		"ours is ahead, the call alive": {ahead: -70 * time.Second, reason: voip.ReasonNone},
		"ours is ahead, the call over":  {ahead: -70 * time.Second, age: time.Minute, reason: voip.ReasonExpired},
		"ours is behind, alive":         {ahead: 70 * time.Second, age: time.Second, reason: voip.ReasonNone},
		"ours is behind, over":          {ahead: 70 * time.Second, age: time.Minute, reason: voip.ReasonExpired},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				in := input(plainPush, nil)
				in.Ahead, in.Stored = tt.ahead, time.Now().Add(tt.ahead-tt.age)
				v := newHandler(t, reported).Handle(t.Context(), in, freeTurn{})
				if got := voip.ReasonOf(v.Err); got != tt.reason {
					t.Errorf("%s, want %s", got, tt.reason)
				}
			})
		})
	}
}

// TestClock: the broker's clock is read off its answers, once it differs by
// more than a measure can be wrong.
func TestClock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var told []time.Duration
		c := clock{tell: func(ahead time.Duration) { told = append(told, ahead) }}
		for _, answer := range []struct{ ahead, took time.Duration }{
			{ahead: 400 * time.Millisecond},
			{ahead: time.Minute, took: time.Second},
			{ahead: time.Minute + 100*time.Millisecond},
			{ahead: -time.Second, took: 2 * time.Second}, // too slow an answer to know
			{ahead: -time.Hour},
		} {
			began := time.Now()
			time.Sleep(answer.took / 2)
			at := time.Now().Add(answer.ahead)
			time.Sleep(answer.took - answer.took/2)
			c.read(began, at)
		}
		c.read(time.Now(), time.Time{}) // a server that does not say changes nothing
		if want := []time.Duration{time.Minute, 0, -time.Hour}; !slices.Equal(told, want) || c.skew() != -time.Hour || !c.now().Equal(time.Now().Add(-time.Hour)) {
			t.Errorf("told of %v, want %v; now %v", told, want, c.skew())
		}
	})
}

// slowPicture takes until it is cut off, and falls back then.
var slowPicture = pictures(func(ctx context.Context, _ voip.Avatar, _ int) (voip.UserProfile, voip.AvatarResult, error) {
	<-ctx.Done()
	return voip.UserProfile{}, voip.AvatarResult{Status: voip.AvatarFallback, Reason: voip.AvatarTimeout}, nil
})

// TestSlowAvatar: it costs a call that is almost over half of what is left, and
// not the ring.
func TestSlowAvatar(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHandler(t, func(context.Context, *voip.Request) (voip.Answer, error) { return answer(voip.ErrorNone) })
		h.Avatars = slowPicture
		began := time.Now()
		v := h.Handle(t.Context(), input(`{"callId":"c-1","data":{"ttlSeconds":1,"avatar":"https://host.example/a"}}`, nil), freeTurn{})
		if took := time.Since(began); v.Err != nil || v.Progress.Total != 1 || took != time.Second/2 {
			t.Errorf("%v and %d attempts after %v, want one after half of its second", v.Err, v.Progress.Total, took)
		}
		if v.Avatar == nil || v.Avatar.Reason != voip.AvatarTimeout {
			t.Errorf("avatar %+v, want its timeout", v.Avatar)
		}
	})
}

// TestHandleSideBySide: the connection step and the avatar share their time.
func TestHandleSideBySide(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHandler(t, func(context.Context, *voip.Request) (voip.Answer, error) { return answer(voip.ErrorNone) })
		h.Avatars = pictures(func(ctx context.Context, a voip.Avatar, n int) (voip.UserProfile, voip.AvatarResult, error) {
			time.Sleep(time.Second)
			return noPicture(ctx, a, n)
		})
		h.Connector = connects(func(context.Context) error { time.Sleep(time.Second); return nil })
		began := time.Now()
		v := h.Handle(t.Context(), input(plainPush, nil), freeTurn{})
		if took := time.Since(began); v.Err != nil || took != time.Second {
			t.Errorf("%v after %v, want success after 1s", v.Err, took)
		}
		if !v.Progress.Connection.Done {
			t.Error("the yes is not remembered: it would be asked again after a give-back")
		}
	})
}

// TestHandleKnows: what of an invalid push is known is in the verdict, and
// nothing else.
func TestHandleKnows(t *testing.T) {
	h := newHandler(t, nil)
	for body, want := range map[string][3]bool{ // direction, voipCallType, expiresAt
		`{"callId":"c"}`:                            {},
		`{"callId":"c","data":{"userName":1}}`:      {true, true, true},
		`{"callId":"c","data":{"direction":"up"}}`:  {false, true, false},
		`{"callId":"c","data":{"voipCallType":7}}`:  {true, false, true},
		`{"callId":"c","data":{"ttlSeconds":"ab"}}`: {true, true, false},
	} {
		v := h.Handle(t.Context(), input(body, nil), freeTurn{})
		if got := [3]bool{v.Direction != nil, v.VoipCallType != nil, v.ExpiresAt != nil}; got != want {
			t.Errorf("%s: direction, voipCallType, expiresAt known: %v, want %v", body, got, want)
		}
	}
}
