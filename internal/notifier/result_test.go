package notifier_test

import (
	"context"
	"errors"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/voip-push/worker/internal/notifier"
	"github.com/voip-push/worker/internal/testkit"
	"github.com/voip-push/worker/internal/voip"
)

func TestResult(t *testing.T) {
	t.Parallel()
	const trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
	s := testkit.Broker(t, testkit.Provisioned())
	js := s.JS(t)
	n := notifier.New(s.Publisher(t), quiet())
	for i, want := range []bool{false, true, true} {
		if again, err := store(t.Context(), n, mayAlways, result(12), trace); again != want || err != nil {
			t.Errorf("time %d: again is %v, %v", i+1, again, err)
		}
	}
	testkit.Golden(t, "result.golden", render(only(t, js, voip.StreamResult)))

	failed := result(13)
	failed.CallID = "李雷 a.b"
	failed.Decide(voip.ErrCancelled)
	if again, err := store(t.Context(), n, mayAlways, failed, ""); again || err != nil {
		t.Errorf("another push: again is %v, %v", again, err)
	}
	if m := testkit.Messages(t, js, voip.StreamResult); len(m) != 2 {
		t.Errorf("the stream holds %d messages, want 2", len(m))
	} else {
		testkit.Golden(t, "result-cancelled.golden", render(m[1]))
	}
}

// TestResultsShareNothing: a message is written anew for the next result, but each
// is stored as its own, those whose first try fails, too.
func TestResultsShareNothing(t *testing.T) {
	t.Parallel()
	const all, traced = 200, "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
	s := testkit.Broker(t, testkit.Provisioned())
	js := s.JS(t)
	n := notifier.New(everyThird{s.Publisher(t), new(atomic.Int64)}, quiet())
	ended := make(chan outcome, all)
	for i := range uint64(all) {
		r := result(i + 1)
		r.CallID = "c-" + strings.Repeat("x", int(i%50)) + strconv.FormatUint(i+1, 10)
		trace := ""
		if i%2 == 1 {
			trace = traced
		}
		n.Result(t.Context(), mayAlways, r, trace, func(again bool, err error) { ended <- outcome{again, err} })
	}
	for range all {
		if o := <-ended; o.again || o.err != nil {
			t.Fatalf("again is %v, %v", o.again, o.err)
		}
	}
	stored := testkit.Messages(t, js, voip.StreamResult)
	if len(stored) != all {
		t.Fatalf("the stream holds %d messages, want %d", len(stored), all)
	}
	for _, m := range stored {
		r, err := voip.DecodeResult(m.Data)
		if err != nil {
			t.Fatal(err)
		}
		want := ""
		if r.Push.Sequence%2 == 0 {
			want = traced
		}
		if m.Header.Get(voip.HeaderMsgID) != voip.ResultMsgID(r.Push.Sequence) || m.Header.Get(voip.HeaderCallID) != r.CallID ||
			!strings.HasSuffix(r.CallID, strconv.FormatUint(r.Push.Sequence, 10)) || m.Header.Get(voip.HeaderTraceparent) != want {
			t.Errorf("not one result's own: %s", render(m))
		}
	}
}

// everyThird refuses every third message once, as a server without leader would.
type everyThird struct {
	notifier.Publisher
	sent *atomic.Int64
}

func (p everyThird) PublishThen(msg *nats.Msg, then func(jetstream.PubAck, error)) {
	if p.sent.Add(1)%3 == 0 {
		then(jetstream.PubAck{}, jetstream.ErrNoStreamResponse)
		return
	}
	p.Publisher.PublishThen(msg, then)
}

func TestResultThatCannotBeEncoded(t *testing.T) {
	r := result(1)
	r.CompletedAt = at(0).AddDate(9000, 0, 0)
	if _, err := store(t.Context(), notifier.New(nil, quiet()), mayAlways, r, ""); err == nil || !strings.HasPrefix(err.Error(), "encode the result: ") {
		t.Errorf("got %v", err)
	}
}

func TestStored(t *testing.T) {
	t.Parallel()
	s := testkit.Broker(t, testkit.Provisioned())
	js := s.JS(t)
	n := notifier.New(s.Publisher(t), quiet())
	ask := func(when string, sequence uint64, want bool) {
		t.Helper()
		// After a restart the first question may find nobody.
		testkit.Eventually(t, when, func() bool {
			got, err := n.Stored(t.Context(), sequence)
			if err == nil && got != want {
				t.Fatalf("%s: sequence %d: got %v, want %v", when, sequence, got, want)
			}
			return err == nil
		})
	}
	ask("of an empty stream", 1, false)
	if m := testkit.Messages(t, js, voip.StreamResult); len(m) != 0 {
		t.Fatalf("asking has stored %s", render(m[0]))
	}
	for _, sequence := range []uint64{1, 3} {
		if _, err := store(t.Context(), n, mayAlways, result(sequence), ""); err != nil {
			t.Fatal(err)
		}
		ask("just stored", sequence, true)
	}
	if _, err := n.DeadLetter(t.Context(), mayAlways, deadLetter(2)); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		ask("stored", 1, true)
		ask("not stored, but its dead letter is", 2, false)
		ask("stored", 3, true)
		ask("part of another", 31, false)
	}
	s.Restart(t)
	ask("stored before a restart", 1, true)
	ask("not stored before a restart", 2, false)
	ask("stored before a restart", 3, true)
	connected(t, js)
	if m := testkit.Messages(t, js, voip.StreamResult); len(m) != 2 || len(m[0].Data) == 0 || len(m[1].Data) == 0 {
		t.Errorf("after all the asking the stream holds %v", m)
	}
	// Asking has not made the id known: the result is stored as new.
	if again, err := store(t.Context(), n, mayAlways, result(2), ""); again || err != nil {
		t.Errorf("after being asked for: again is %v, %v", again, err)
	}
}

// What Stored goes by is the server's: its codes, and that it looks at the id
// before it refuses.
func TestServersAnswers(t *testing.T) {
	t.Parallel()
	if got := server.ApiErrors[server.JSStreamRollupFailedF].ErrCode; got != 10111 {
		t.Errorf("a rollup is refused with %d", got)
	}
	if got := server.ApiErrors[server.JSStreamDuplicateMessageConflict].ErrCode; got != 10158 {
		t.Errorf("an id in process is refused with %d", got)
	}
	s := testkit.Broker(t, testkit.Provisioned())
	js := s.JS(t)
	ask := func() (*jetstream.PubAck, error) {
		return js.PublishMsg(t.Context(), &nats.Msg{Subject: voip.SubjectResult, Header: nats.Header{"Nats-Msg-Id": {"res:VOIP_PUSH:7"}, "Nats-Rollup": {"sub"}}})
	}
	if _, err := ask(); !isCode(err, 10111) {
		t.Errorf("an unknown id: %v", err)
	}
	if _, err := store(t.Context(), notifier.New(s.Publisher(t), quiet()), mayAlways, result(7), ""); err != nil {
		t.Fatal(err)
	}
	if ack, err := ask(); err != nil || !ack.Duplicate {
		t.Errorf("a known id: %+v, %v", ack, err)
	}
}

func isCode(err error, code jetstream.ErrorCode) bool {
	e, ok := errors.AsType[*jetstream.APIError](err)
	return ok && e.ErrorCode == code
}

func TestStoredWhileInProcess(t *testing.T) {
	t.Parallel()
	in := &jetstream.APIError{Code: 503, ErrorCode: 10158}
	p := &publisher{answer: func(n int64, _ func() (jetstream.PubAck, error)) (jetstream.PubAck, error) {
		if n < 3 {
			return jetstream.PubAck{}, in
		}
		return jetstream.PubAck{Stream: voip.StreamResult, Duplicate: true}, nil
	}}
	if stored, err := notifier.New(p, quiet()).Stored(t.Context(), 7); !stored || err != nil || p.sent.Load() != 3 {
		t.Errorf("got %v, %v after %d questions", stored, err, p.sent.Load())
	}

	ctx, cancel := context.WithCancelCause(t.Context())
	p = &publisher{answer: func(n int64, _ func() (jetstream.PubAck, error)) (jetstream.PubAck, error) {
		if n == 2 {
			cancel(voip.ErrStopping)
		}
		return jetstream.PubAck{}, in
	}}
	if _, err := notifier.New(p, quiet()).Stored(ctx, 7); !errors.Is(err, voip.ErrStopping) {
		t.Errorf("at a stop: %v", err)
	}
}

func TestStoredCannotBeAsked(t *testing.T) {
	t.Parallel()
	s := testkit.Broker(t)
	js := s.JS(t)
	n := notifier.New(s.Publisher(t), quiet())
	if stored, err := n.Stored(t.Context(), 1); stored || !errors.Is(err, jetstream.ErrNoStreamResponse) {
		t.Errorf("without a stream: %v, %v", stored, err)
	}
	// A stream that allows rollups is refused at the start; should it come to be
	// one later, the question is no answer.
	if _, err := js.CreateStream(t.Context(), jetstream.StreamConfig{Name: voip.StreamResult, Subjects: []string{voip.SubjectResult}, AllowRollup: true}); err != nil {
		t.Fatal(err)
	}
	if stored, err := n.Stored(t.Context(), 1); stored || err == nil || !strings.Contains(err.Error(), "allows rollups") {
		t.Errorf("with rollups: %v, %v", stored, err)
	}
	nobody, cancel := context.WithTimeoutCause(t.Context(), 0, voip.ErrLeaseLost)
	defer cancel()
	if _, err := n.Stored(nobody, 1); !errors.Is(err, voip.ErrLeaseLost) {
		t.Errorf("without an answer: %v", err)
	}
	failing := &publisher{answer: func(int64, func() (jetstream.PubAck, error)) (jetstream.PubAck, error) {
		return jetstream.PubAck{}, nats.ErrReconnectBufExceeded
	}}
	if _, err := notifier.New(failing, quiet()).Stored(t.Context(), 1); !errors.Is(err, nats.ErrReconnectBufExceeded) {
		t.Errorf("without a connection: %v", err)
	}
}
