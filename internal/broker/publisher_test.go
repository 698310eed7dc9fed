package broker_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/voip-push/worker/internal/broker"
	"github.com/voip-push/worker/internal/testkit"
	"github.com/voip-push/worker/internal/voip"
)

func resultMsg(id string) *nats.Msg {
	return &nats.Msg{Subject: voip.SubjectResult, Data: []byte("{}"), Header: nats.Header{jetstream.MsgIDHeader: {id}}}
}

func TestPublisher(t *testing.T) {
	t.Parallel()
	s := testkit.Broker(t, testkit.Provisioned())
	p := s.Publisher(t)
	for i, want := range []jetstream.PubAck{
		{Stream: voip.StreamResult, Sequence: 1},
		{Stream: voip.StreamResult, Sequence: 1, Duplicate: true},
	} {
		msg := resultMsg("res:1")
		if got, err := p.PublishMsg(t.Context(), msg); got != want || err != nil {
			t.Errorf("time %d: got %+v, %v", i+1, got, err)
		}
		if msg.Reply != "" {
			t.Errorf("the message was changed: its reply subject is %s", msg.Reply)
		}
	}
	wrong := &nats.Msg{Subject: voip.SubjectResult, Header: nats.Header{jetstream.ExpectedLastSeqHeader: {"7"}}}
	_, err := p.PublishMsg(t.Context(), wrong)
	if refused, ok := errors.AsType[*jetstream.APIError](err); !ok || refused.ErrorCode != jetstream.JSErrCodeStreamWrongLastSequence {
		t.Errorf("a refusal: %v", err)
	}
	if _, err := p.PublishMsg(t.Context(), &nats.Msg{Subject: "nobody.listens"}); !errors.Is(err, jetstream.ErrNoStreamResponse) {
		t.Errorf("without a stream: %v", err)
	}
	if _, err := p.PublishMsg(t.Context(), &nats.Msg{Subject: "not a subject"}); !errors.Is(err, nats.ErrBadSubject) {
		t.Errorf("with a bad subject: %v", err)
	}
}

// Many at once have each its own answer, whoever waits and whoever does not.
func TestPublisherOfMany(t *testing.T) {
	t.Parallel()
	s := testkit.Broker(t, testkit.Provisioned())
	p := s.Publisher(t)
	const publishers, each = 16, 100
	var wg sync.WaitGroup
	sequences := make(chan uint64, publishers*each)
	for i := range publishers {
		wg.Go(func() {
			for n := range each {
				msg := resultMsg(fmt.Sprintf("res:%d.%d", i, n))
				if i%2 == 0 {
					ack, err := p.PublishMsg(t.Context(), msg)
					if err != nil {
						t.Error(err)
					}
					sequences <- ack.Sequence
					continue
				}
				wg.Add(1)
				p.PublishThen(msg, func(ack jetstream.PubAck, err error) {
					defer wg.Done()
					if err != nil {
						t.Error(err)
					}
					sequences <- ack.Sequence
				})
			}
		})
	}
	wg.Wait()
	close(sequences)
	seen := map[uint64]bool{}
	for sequence := range sequences {
		if seen[sequence] || sequence == 0 || sequence > publishers*each {
			t.Errorf("sequence %d was given twice, or never", sequence)
		}
		seen[sequence] = true
	}
}

// silent is a subject whose listener never answers.
func silent(t *testing.T, nc *nats.Conn) *nats.Msg {
	t.Helper()
	if _, err := nc.SubscribeSync("silent"); err != nil {
		t.Fatal(err)
	}
	return &nats.Msg{Subject: "silent"}
}

func TestPublisherWithoutAnAnswer(t *testing.T) {
	t.Parallel()
	s := testkit.Broker(t)
	nc := s.Conn(t)
	msg := silent(t, nc)
	p, err := broker.NewPublisherWithin(nc, 50*time.Millisecond)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.PublishMsg(t.Context(), msg); !errors.Is(err, nats.ErrTimeout) {
		t.Errorf("in time: %v", err)
	}
	if err := p.Close(); err != nil {
		t.Errorf("close: %v", err)
	}

	p = s.Publisher(t)
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(voip.ErrStopping)
	if _, err := p.PublishMsg(ctx, msg); !errors.Is(err, voip.ErrStopping) {
		t.Errorf("for those that do not wait: %v", err)
	}
}

// What is out when the connection is lost is told so at once, and what comes
// after its return is stored.
func TestPublisherLosesItsServer(t *testing.T) {
	t.Parallel()
	s := testkit.Broker(t, testkit.Provisioned())
	nc := s.Conn(t)
	p, err := broker.NewPublisher(nc)
	if err != nil {
		t.Fatal(err)
	}
	out := make(chan error, 2)
	p.PublishThen(silent(t, nc), func(_ jetstream.PubAck, err error) { out <- err })
	s.Stop()
	if err := testkit.Receive(t, "the end of what was out", out); !errors.Is(err, nats.ErrDisconnected) {
		t.Errorf("what was out: %v", err)
	}
	if _, err := p.PublishMsg(t.Context(), resultMsg("res:1")); !errors.Is(err, nats.ErrReconnectBufExceeded) {
		t.Errorf("while it is away: %v", err)
	}
	s.Start(t)
	testkit.Eventually(t, "a publish", func() bool {
		_, err := p.PublishMsg(t.Context(), resultMsg("res:2"))
		return err == nil
	})

	p.PublishThen(silent(t, nc), func(_ jetstream.PubAck, err error) { out <- err })
	if err := p.Close(); err != nil {
		t.Errorf("close: %v", err)
	}
	if err := testkit.Receive(t, "the end of what was out", out); !errors.Is(err, nats.ErrConnectionClosed) {
		t.Errorf("at its end: %v", err)
	}
	if _, err := p.PublishMsg(t.Context(), resultMsg("res:3")); !errors.Is(err, nats.ErrConnectionClosed) {
		t.Errorf("after its end: %v", err)
	}
}

// BenchmarkPublish stores results with up to 512 of them out, by this package's
// publisher and by JetStream's own.
func BenchmarkPublish(b *testing.B) {
	const most = 512
	s := testkit.Broker(b, testkit.Provisioned())
	b.Run("Publisher", func(b *testing.B) {
		p := s.Publisher(b)
		slots := make(chan struct{}, most)
		b.ReportAllocs()
		for i := 0; b.Loop(); i++ {
			slots <- struct{}{}
			p.PublishThen(resultMsg(fmt.Sprint(b.Name(), b.N, ".", i)), func(_ jetstream.PubAck, err error) {
				if err != nil {
					b.Error(err)
				}
				<-slots
			})
		}
		for range most { // until nothing is out
			slots <- struct{}{}
		}
	})
	b.Run("PublishMsgAsync", func(b *testing.B) {
		js := s.JS(b)
		slots := make(chan struct{}, most)
		b.ReportAllocs()
		for i := 0; b.Loop(); i++ {
			slots <- struct{}{}
			future, err := js.PublishMsgAsync(resultMsg(fmt.Sprint(b.Name(), b.N, ".", i)))
			if err != nil {
				b.Fatal(err)
			}
			go func() {
				select {
				case <-future.Ok():
				case err := <-future.Err():
					b.Error(err)
				}
				<-slots
			}()
		}
		for range most {
			slots <- struct{}{}
		}
	})
}
