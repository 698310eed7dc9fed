package notifier_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/voip-push/worker/internal/broker"
	"github.com/voip-push/worker/internal/notifier"
	"github.com/voip-push/worker/internal/testkit"
	"github.com/voip-push/worker/internal/voip"
)

func background(f func() (bool, error)) <-chan outcome {
	c := make(chan outcome, 1)
	go func() {
		again, err := f()
		c <- outcome{again, err}
	}()
	return c
}

// Whatever keeps an outcome from being stored, it is tried again until it is.
func TestStoreGoesOn(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		spoil, mend func(*testing.T, *testkit.Server, jetstream.JetStream)
		log         string
	}{
		"no server": {
			func(_ *testing.T, s *testkit.Server, _ jetstream.JetStream) { s.Stop() },
			func(t *testing.T, s *testkit.Server, _ jetstream.JetStream) { s.Start(t) },
			"cannot store the outcome, trying again",
		},
		"a full stream": {
			func(t *testing.T, _ *testkit.Server, js jetstream.JetStream) {
				change(t, js, voip.StreamResult, func(c *jetstream.StreamConfig) { c.MaxBytes, c.Discard = 100, jetstream.DiscardNew })
			},
			func(t *testing.T, _ *testkit.Server, js jetstream.JetStream) {
				change(t, js, voip.StreamResult, func(c *jetstream.StreamConfig) { c.MaxBytes = -1 })
			},
			"maximum bytes exceeded",
		},
		"no stream": {
			func(t *testing.T, _ *testkit.Server, js jetstream.JetStream) {
				if err := js.DeleteStream(t.Context(), voip.StreamResult); err != nil {
					t.Fatal(err)
				}
			},
			func(t *testing.T, s *testkit.Server, js jetstream.JetStream) {
				testkit.Eventually(t, "a new stream", func() bool {
					_, err := broker.Provision(t.Context(), js, &s.Config)
					return err == nil
				})
			},
			"no response from stream",
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := testkit.Broker(t, testkit.Provisioned())
			js := s.JS(t)
			var log testkit.Log
			publisher := s.Publisher(t)
			tt.spoil(t, s, js)
			done := background(func() (bool, error) {
				return store(t.Context(), notifier.New(publisher, log.Logger()), mayAlways, result(1), "")
			})
			log.Wait(t, tt.log)
			tt.mend(t, s, js)
			if o := testkit.Receive(t, "the result", done); o.again || o.err != nil {
				t.Errorf("again is %v, %v", o.again, o.err)
			}
			connected(t, js)
			only(t, js, voip.StreamResult)
			log.Wait(t, `level=INFO msg="the outcome is stored after all" subject=voip.report.result`)
			if n := strings.Count(log.String(), "level=WARN"); n > 3 {
				t.Errorf("%d warnings of the same: %s", n, log.String())
			}
		})
	}
}

// Under restarts of the server every outcome is stored exactly once.
func TestStoreSurvivesRestarts(t *testing.T) {
	t.Parallel()
	const workers, each = 4, 60
	s := testkit.Broker(t, testkit.Provisioned())
	js := s.JS(t)
	n := notifier.New(s.Publisher(t), quiet())
	var wg sync.WaitGroup
	var done atomic.Int64
	for w := range workers {
		wg.Go(func() {
			for i := range each {
				sequence := uint64(w*each + i + 1)
				if _, err := store(t.Context(), n, mayAlways, result(sequence), ""); err != nil {
					t.Error(err)
				}
				if _, err := n.DeadLetter(t.Context(), mayAlways, deadLetter(sequence)); err != nil {
					t.Error(err)
				}
				done.Add(1)
			}
		})
	}
	for _, part := range []int64{workers * each / 4, workers * each / 2} {
		testkit.Eventually(t, "a part of the outcomes", func() bool { return done.Load() >= part })
		s.Restart(t)
	}
	wg.Wait()
	connected(t, js)
	for stream, prefix := range map[string]string{voip.StreamResult: "res:VOIP_PUSH:", voip.StreamDLQ: "dlq:VOIP_PUSH:"} {
		ids := map[string]int{}
		for _, m := range testkit.Messages(t, js, stream) {
			ids[m.Header.Get("Nats-Msg-Id")]++
		}
		for sequence := 1; sequence <= workers*each; sequence++ {
			if id := fmt.Sprint(prefix, sequence); ids[id] != 1 {
				t.Errorf("%s is stored %d times", id, ids[id])
			}
		}
	}
}

// An ack that is lost is not taken for somebody else's: the second try finds
// what the first one stored.
func TestStoreWithALostAck(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		first error // what becomes of the first try's ack
		again bool
	}{
		"lost":    {nats.ErrDisconnected, false},
		"late":    {nats.ErrTimeout, false},
		"refused": {&jetstream.APIError{Code: 503, ErrorCode: 10077, Description: "maximum messages exceeded"}, true},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := testkit.Broker(t, testkit.Provisioned())
			js := s.JS(t)
			p := &publisher{Publisher: s.Publisher(t), answer: func(n int64, through func() (jetstream.PubAck, error)) (jetstream.PubAck, error) {
				ack, err := through()
				if n > 1 || err != nil {
					return ack, err
				}
				return jetstream.PubAck{}, tt.first
			}}
			if again, err := store(t.Context(), notifier.New(p, quiet()), mayAlways, result(1), ""); again != tt.again || err != nil {
				t.Errorf("again is %v, %v", again, err)
			}
			only(t, js, voip.StreamResult)
		})
	}
}

func TestStoreEndsWithTheLease(t *testing.T) {
	t.Parallel()
	s := testkit.Broker(t, testkit.Provisioned())
	js := s.JS(t)
	for _, allowed := range []int64{0, 1, 2} {
		p := &publisher{answer: func(int64, func() (jetstream.PubAck, error)) (jetstream.PubAck, error) {
			return jetstream.PubAck{}, nats.ErrDisconnected
		}}
		var asked int64
		may := func() error {
			if asked++; asked > allowed {
				return voip.ErrLeaseLost
			}
			return nil
		}
		again, err := store(t.Context(), notifier.New(p, quiet()), may, result(1), "")
		if again || !errors.Is(err, voip.ErrLeaseLost) || p.sent.Load() != allowed {
			t.Errorf("allowed %d times: again is %v, %v, after %d tries", allowed, again, err, p.sent.Load())
		}
	}
	// With a server that is there, too.
	lost := func() error { return voip.ErrLeaseLost }
	if _, err := notifier.New(s.Publisher(t), quiet()).DeadLetter(t.Context(), lost, deadLetter(1)); !errors.Is(err, voip.ErrLeaseLost) {
		t.Errorf("got %v", err)
	}
	if m := testkit.Messages(t, js, voip.StreamDLQ); len(m) != 0 {
		t.Errorf("stored without a lease: %s", render(m[0]))
	}
}

func TestStoreEndsWithItsContext(t *testing.T) {
	t.Parallel()
	s := testkit.Broker(t, testkit.Provisioned())
	js := s.JS(t)

	ended, cancel := context.WithCancelCause(t.Context())
	cancel(voip.ErrStopping)
	p := &publisher{Publisher: s.Publisher(t)}
	_, err := store(ended, notifier.New(p, quiet()), mayAlways, result(1), "")
	if text := "res:VOIP_PUSH:1 is not stored: the worker is stopping"; !errors.Is(err, voip.ErrStopping) || err.Error() != text || p.sent.Load() != 0 {
		t.Errorf("before it began: %v, after %d tries", err, p.sent.Load())
	}

	ctx, cancel := context.WithCancelCause(t.Context())
	p = &publisher{answer: func(int64, func() (jetstream.PubAck, error)) (jetstream.PubAck, error) {
		cancel(voip.ErrStopping)
		return jetstream.PubAck{}, nats.ErrDisconnected
	}}
	if _, err := store(ctx, notifier.New(p, quiet()), mayAlways, result(1), ""); !errors.Is(err, voip.ErrStopping) {
		t.Errorf("while it was out: %v", err)
	}

	before := s.Publisher(t)
	s.Stop()
	ctx, cancel = context.WithCancelCause(t.Context())
	var log testkit.Log
	done := background(func() (bool, error) {
		return store(ctx, notifier.New(before, log.Logger()), mayAlways, result(1), "")
	})
	log.Wait(t, "cannot store the outcome, trying again")
	cancel(voip.ErrStopping)
	o := testkit.Receive(t, "the end", done)
	if !errors.Is(o.err, voip.ErrStopping) || !strings.HasPrefix(o.err.Error(), "res:VOIP_PUSH:1 is not stored: the worker is stopping (nats: ") {
		t.Errorf("while it tried: %v", o.err)
	}
	s.Start(t)
	connected(t, js)
	if m := testkit.Messages(t, js, voip.StreamResult); len(m) != 0 {
		t.Errorf("stored after its end: %s", render(m[0]))
	}
}
