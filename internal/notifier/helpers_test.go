package notifier_test

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/voip-push/worker/internal/notifier"
	"github.com/voip-push/worker/internal/testkit"
	"github.com/voip-push/worker/internal/voip"
)

func at(d time.Duration) time.Time {
	return time.Date(2026, time.January, 2, 3, 4, 5, 678_901_234, time.UTC).Add(d)
}

// mayAlways is a lease that is never lost.
func mayAlways() error { return nil }

func quiet() *slog.Logger { return slog.New(slog.DiscardHandler) }

func result(sequence uint64) *voip.Result {
	r := &voip.Result{
		CallID: "c-1", Attempts: []voip.Attempt{}, Worker: "host/instance",
		Push: voip.PushRef{Stream: voip.StreamPush, Sequence: sequence, Deliveries: 1, ReceivedAt: at(0)},
	}
	r.Decide(nil)
	r.Complete(at(4200 * time.Microsecond))
	return r
}

func deadLetter(sequence uint64) *voip.DeadLetter {
	return &voip.DeadLetter{
		Body: []byte("{\"callId\": \"c-1\"} "), Reason: voip.ReasonCallKitInternal, Error: "CALLKIT_INTERNAL: code 1007200003", Stage: voip.StageReport,
		CallID: "c-1", Attempts: 3, FirstSeen: at(0), FailedAt: at(time.Second), ExpiresAt: new(at(time.Minute)), Worker: "host/instance",
		OriginSubject: voip.SubjectPush, OriginSequence: sequence,
	}
}

// render is a stored message as a golden file shows it.
func render(m *jetstream.RawStreamMsg) []byte {
	var b bytes.Buffer
	fmt.Fprintln(&b, m.Subject)
	for _, k := range slices.Sorted(maps.Keys(m.Header)) {
		for _, v := range m.Header[k] {
			fmt.Fprintf(&b, "%s: %s\n", k, v)
		}
	}
	fmt.Fprintf(&b, "\n%s\n", m.Data)
	return b.Bytes()
}

// connected waits for the connection behind js, which another one's return does
// not tell of.
func connected(t *testing.T, js jetstream.JetStream) {
	t.Helper()
	testkit.Eventually(t, "the connection", func() bool {
		_, err := js.AccountInfo(t.Context())
		return err == nil
	})
}

// only is the one message of a stream.
func only(t *testing.T, js jetstream.JetStream, stream string) *jetstream.RawStreamMsg {
	t.Helper()
	m := testkit.Messages(t, js, stream)
	if len(m) != 1 {
		t.Fatalf("stream %s holds %d messages, want 1", stream, len(m))
	}
	return m[0]
}

// store publishes a result and waits for its end.
func store(ctx context.Context, n *notifier.Notifier, may func() error, r *voip.Result, trace string) (again bool, err error) {
	ended := make(chan outcome, 1)
	n.Result(ctx, may, r, trace, func(again bool, err error) { ended <- outcome{again, err} })
	o := <-ended
	return o.again, o.err
}

type outcome struct {
	again bool
	err   error
}

// publisher counts what goes out, and may answer in the server's place.
type publisher struct {
	notifier.Publisher
	sent   atomic.Int64
	answer func(n int64, through func() (jetstream.PubAck, error)) (jetstream.PubAck, error)
}

func (p *publisher) PublishMsg(ctx context.Context, msg *nats.Msg) (jetstream.PubAck, error) {
	n := p.sent.Add(1)
	through := func() (jetstream.PubAck, error) { return p.Publisher.PublishMsg(ctx, msg) }
	if p.answer == nil {
		return through()
	}
	return p.answer(n, through)
}

func (p *publisher) PublishThen(msg *nats.Msg, then func(jetstream.PubAck, error)) {
	kept := &nats.Msg{Subject: msg.Subject, Header: nats.Header(http.Header(msg.Header).Clone()), Data: bytes.Clone(msg.Data)}
	go func() { then(p.PublishMsg(context.Background(), kept)) }()
}
