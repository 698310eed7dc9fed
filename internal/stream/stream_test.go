package stream

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/voip-push/worker/internal/testkit"
)

const subject = "letters"

// box is a stream, what was read of it, and who reads it.
type box struct {
	*testkit.Server
	*Follower

	js jetstream.JetStream

	mu   sync.Mutex
	seen []string
}

func newBox(t *testing.T, what Reading) *box {
	t.Helper()
	b := &box{Server: testkit.Broker(t)}
	b.js = b.JS(t)
	b.create(t)
	b.follow(t, what)
	return b
}

func (b *box) follow(t *testing.T, what Reading) {
	t.Helper()
	what.Stream = "LETTERS"
	b.Follower = NewFollower(b.Conn(t), what, func(msg *nats.Msg, _ *nats.MsgMetadata) {
		b.mu.Lock()
		defer b.mu.Unlock()
		b.seen = append(b.seen, string(msg.Data)+msg.Header.Get("Status"))
	}, slog.New(slog.NewTextHandler(t.Output(), nil)))
	t.Cleanup(b.End)
}

func (b *box) create(t *testing.T) {
	t.Helper()
	if _, err := b.js.CreateStream(t.Context(), jetstream.StreamConfig{Name: "LETTERS", Subjects: []string{subject}}); err != nil {
		t.Fatal(err)
	}
}

func (b *box) send(t *testing.T, bodies ...string) {
	t.Helper()
	for _, body := range bodies {
		if _, err := b.js.Publish(t.Context(), subject, []byte(body)); err != nil {
			t.Fatal(err)
		}
	}
}

func (b *box) begin(t *testing.T) {
	t.Helper()
	s, err := b.js.Stream(t.Context(), "LETTERS")
	if err == nil {
		err = b.Begin(t.Context(), s)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// reconnected waits for the first connection after a restart: for a while the lost
// one does not know that it is lost.
func (b *box) reconnected(t *testing.T, conns ...*nats.Conn) {
	t.Helper()
	for _, nc := range conns {
		testkit.Eventually(t, "connected again", func() bool { return nc.Stats().Reconnects > 0 && nc.IsConnected() })
	}
}

// saw waits until so much was read, and no more.
func (b *box) saw(t *testing.T, want ...string) {
	t.Helper()
	var seen []string
	testkit.Eventually(t, "all to be read", func() bool {
		b.mu.Lock()
		defer b.mu.Unlock()
		seen = slices.Clone(b.seen)
		return len(seen) >= len(want)
	})
	if !slices.Equal(seen, want) {
		t.Fatalf("read %v, want %v", seen, want)
	}
}

// TestFollow: what is there and what comes is read in order, whatever it looks
// like.
func TestFollow(t *testing.T) {
	b := newBox(t, Reading{})
	if b.State() == nil {
		t.Error("it reads before it has begun")
	}
	want := []string{"a"}
	b.send(t, "a")
	for _, status := range []string{"100", "404", "408", "409", "503", "weird"} { // words of the server's, were they not stored
		for range 3 {
			if _, err := b.js.PublishMsg(t.Context(), &nats.Msg{Subject: subject, Header: nats.Header{"Status": {status}, "Description": {"Consumer Deleted"}}}); err != nil {
				t.Fatal(err)
			}
			want = append(want, status)
		}
	}
	b.send(t, "b")
	want = append(want, "b")
	b.begin(t)
	testkit.Receive(t, "the end of what is there", b.Read())
	b.saw(t, want...)
	b.send(t, "c")
	b.saw(t, append(want, "c")...)
	if left, err := b.Left(t.Context()); left != 0 || err != nil || b.State() != nil || b.Last() != uint64(len(want)+1) {
		t.Errorf("%d left, %v, %v, the last is %d", left, err, b.State(), b.Last())
	}
}

// TestFollowLeft: what is not taken yet is left, be it here already.
func TestFollowLeft(t *testing.T) {
	b := newBox(t, Reading{})
	b.send(t, "a", "b", "c")
	b.mu.Lock() // nothing is taken
	b.begin(t)
	testkit.Eventually(t, "all to be delivered", func() bool { left, err := b.Left(t.Context()); return err == nil && left == 3 && b.Last() == 1 })
	b.mu.Unlock()
	testkit.Eventually(t, "all to be taken", func() bool { left, err := b.Left(t.Context()); return err == nil && left == 0 })
	b.saw(t, "a", "b", "c")
}

// TestKeep: the following outlives the server, a lost message and a stream that
// is another one.
func TestKeep(t *testing.T) {
	b := newBox(t, Reading{})
	ctx, cancel := context.WithCancel(t.Context())
	kept := make(chan struct{})
	failed := make(chan error, 1000)
	go func() {
		defer close(kept)
		b.Keep(ctx, func(ctx context.Context) error {
			s, err := b.js.Stream(ctx, "LETTERS")
			if err != nil {
				return err
			}
			return b.Begin(ctx, s)
		}, func(err error) { failed <- err })
	}()
	b.send(t, "a")
	b.saw(t, "a")
	b.Restart(t)
	b.reconnected(t, b.js.Conn())
	b.send(t, "b")
	b.saw(t, "a", "b")
	b.Lose(errGap)
	b.send(t, "c")
	b.saw(t, "a", "b", "c")
	if err := b.js.DeleteStream(t.Context(), "LETTERS"); err != nil {
		t.Fatal(err)
	}
	for err := error(nil); !errors.Is(err, jetstream.ErrStreamNotFound); {
		err = testkit.Receive(t, "a word of it", failed)
	}
	b.create(t)
	b.send(t, "d")
	b.saw(t, "a", "b", "c", "d")
	cancel()
	<-kept
}

// TestFollowHeaders: a message without its body is one of the stream's, too.
func TestFollowHeaders(t *testing.T) {
	b := newBox(t, Reading{HeadersOnly: true, Subjects: []string{subject}})
	if _, err := b.js.PublishMsg(t.Context(), &nats.Msg{Subject: subject, Data: []byte("a"), Header: nats.Header{"Status": {"409"}}}); err != nil {
		t.Fatal(err)
	}
	b.send(t, "b")
	b.begin(t)
	testkit.Receive(t, "the end of what is there", b.Read())
	b.saw(t, "409", "")
}

func TestFollowAnEmptyStream(t *testing.T) {
	b := newBox(t, Reading{Since: time.Now()})
	b.begin(t)
	testkit.Receive(t, "the end of what is there", b.Read())
	b.send(t, "a")
	b.saw(t, "a")
}

// TestFollowAgain: after the connection, or a message, was lost it goes on where
// it was.
func TestFollowAgain(t *testing.T) {
	b := newBox(t, Reading{})
	b.send(t, "a", "b")
	b.begin(t)
	b.saw(t, "a", "b")
	b.Restart(t)
	b.reconnected(t, b.nc, b.js.Conn())
	b.send(t, "c")
	b.begin(t)
	b.saw(t, "a", "b", "c")
	b.send(t, "d")
	b.saw(t, "a", "b", "c", "d")

	b.mu.Lock() // nothing is taken meanwhile
	b.Follower.mu.Lock()
	b.next++ // as if the server counted on one that never came
	b.Follower.mu.Unlock()
	b.mu.Unlock()
	b.send(t, "e", "f")
	testkit.Eventually(t, "the gap to be seen", func() bool { return errors.Is(b.State(), errGap) })
	b.begin(t)
	b.saw(t, "a", "b", "c", "d", "e", "f")
}

// TestFollowSmallBatches: a server may limit what is asked for at once.
func TestFollowSmallBatches(t *testing.T) {
	b := &box{Server: testkit.Broker(t, testkit.WithServer(func(o *server.Options) { o.JetStreamLimits.MaxRequestBatch = 5 }))}
	b.js = b.JS(t)
	b.create(t)
	b.follow(t, Reading{})
	var want []string
	for i := range 20 {
		want = append(want, strconv.Itoa(i))
	}
	b.send(t, want...)
	b.begin(t)
	b.saw(t, want...)
	if err := b.State(); err != nil {
		t.Error(err)
	}
}

// TestFollowANewStream: one that was made again is read from its beginning.
func TestFollowANewStream(t *testing.T) {
	b := newBox(t, Reading{})
	b.send(t, "a", "b", "c")
	b.begin(t)
	b.saw(t, "a", "b", "c")
	if err := b.js.DeleteStream(t.Context(), "LETTERS"); err != nil {
		t.Fatal(err)
	}
	testkit.Eventually(t, "a word of it", func() bool { return b.State() != nil })
	b.create(t)
	b.send(t, "d")
	b.begin(t)
	b.saw(t, "a", "b", "c", "d")
}

// TestPullsForTheRoomThereIs: what is asked for and what is held never exceed
// the room together, whoever asks meanwhile.
func TestPullsForTheRoomThereIs(t *testing.T) {
	const places = 4
	s := testkit.Broker(t)
	nc := s.Conn(t)
	var p *Puller
	held := 0
	p = &Puller{
		Conn: nc, Subject: NextSubject("S", "c"), Ahead: 64, Log: slog.New(slog.NewTextHandler(t.Output(), nil)),
		Room: func() (int, int) { return places - held, places },
		Deliver: func(*nats.Msg, time.Time) {
			p.TopUp() // as one that is let go of does
			held++
		},
	}
	asked, err := nc.SubscribeSync(p.Subject)
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Renew(); err != nil {
		t.Fatal(err)
	}
	for i := range places {
		p.receive(p.sub.Subject, time.Now(), &nats.Msg{Data: fmt.Append(nil, i), Reply: ackPrefix})
	}
	if err := nc.Flush(); err != nil {
		t.Fatal(err)
	}
	sum := 0
	for n, _, _ := asked.Pending(); n > 0; n-- {
		msg, err := asked.NextMsg(time.Second)
		if err != nil {
			t.Fatal(err)
		}
		var r pullRequest
		if err := json.Unmarshal(msg.Data, &r); err != nil {
			t.Fatal(err)
		}
		sum += r.Batch
	}
	if sum != places {
		t.Errorf("asked for %d, there is room for %d", sum, places)
	}
}

// TestRefusedPulls: what a pull asked for is no longer expected once it is
// refused, whether the server says how much that was or not.
func TestRefusedPulls(t *testing.T) {
	nc := testkit.Broker(t).Conn(t)
	asked, err := nc.SubscribeSync(NextSubject("S", "c"))
	if err != nil {
		t.Fatal(err)
	}
	free := 1
	p := &Puller{
		Conn: nc, Subject: NextSubject("S", "c"), Ahead: 64, Log: slog.New(slog.NewTextHandler(t.Output(), nil)),
		Room: func() (int, int) { return free, 64 }, Deliver: func(*nats.Msg, time.Time) { t.Error("a word of the server's is no message") },
	}
	next := func() (r pullRequest) {
		msg, err := asked.NextMsg(testkit.Patience)
		if err == nil {
			err = json.Unmarshal(msg.Data, &r)
		}
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	if err := p.Renew(); err != nil {
		t.Fatal(err)
	}
	if r := next(); r.NoWait || r.Batch != 1 || r.Heartbeat == 0 {
		t.Errorf("with one place it asks %+v, which may never be answered", r)
	}
	free = 10
	for _, status := range []nats.Header{
		{"Status": {"404"}, "Description": {"No Messages"}},
		{"Status": {"408"}, "Description": {"Requests Pending"}},
	} {
		if err := p.Renew(); err != nil {
			t.Fatal(err)
		}
		if quick, slow := next(), next(); !quick.NoWait || quick.Batch != 1 || slow.NoWait || slow.Batch != 9 {
			t.Errorf("it asks %+v and %+v", quick, slow)
		}
		if p.Heard() {
			t.Error("it has heard of nobody")
		}
		p.receive(p.sub.Subject, time.Now(), &nats.Msg{Header: status})
		p.receive(p.sub.Subject, time.Now(), &nats.Msg{Header: nats.Header{"Status": {"408"}, "Nats-Pending-Messages": {"4"}}})
		if p.ahead != 5 || !p.Heard() {
			t.Errorf("after %v it expects %d, want 5", status, p.ahead)
		}
	}
}

// TestOneTakeAtATime: what an earlier beginning is at is taken before what the
// next one brings.
func TestOneTakeAtATime(t *testing.T) {
	b := newBox(t, Reading{})
	b.send(t, "a", "b")
	b.mu.Lock() // "a" is being taken
	b.begin(t)
	testkit.Eventually(t, "a to be taken", func() bool { return b.Last() == 1 })
	b.begin(t)
	testkit.Eventually(t, "b to be delivered", func() bool { left, err := b.Left(t.Context()); return err == nil && left >= 1 })
	if last := b.Last(); last != 1 {
		t.Errorf("message %d is taken beside the first", last)
	}
	b.mu.Unlock()
	b.saw(t, "a", "b")
}

// delivering is a puller that is at a message until it is released.
func delivering(t *testing.T, s *testkit.Server) (p *Puller, release chan struct{}) {
	t.Helper()
	begun, release := make(chan struct{}), make(chan struct{})
	p = &Puller{
		Conn: s.Conn(t), Subject: NextSubject("S", "c"), Ahead: 1, Log: slog.New(slog.NewTextHandler(t.Output(), nil)),
		Room:    func() (int, int) { return 0, 1 },
		Deliver: func(*nats.Msg, time.Time) { close(begun); <-release },
	}
	if err := p.Renew(); err != nil {
		t.Fatal(err)
	}
	if err := p.Conn.Publish(p.sub.Subject, []byte("hello")); err != nil {
		t.Fatal(err)
	}
	testkit.Receive(t, "a message", begun)
	return p, release
}

// TestStopPullingAll: the end of the pulling waits for what an earlier
// generation of pulls still delivers.
func TestStopPullingAll(t *testing.T) {
	p, release := delivering(t, testkit.Broker(t))
	if err := p.Renew(); err != nil {
		t.Fatal(err)
	}
	short, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if p.Stop(short); short.Err() == nil {
		t.Error("it is over while a push is delivered")
	}
	close(release)
	if p.Stop(t.Context()); slices.ContainsFunc(p.retired, (*nats.Subscription).IsValid) {
		t.Error("a generation of pulls is still there")
	}
}

// TestStopWithoutAServer: what is here already is delivered before the end, and
// nothing waits for the connection.
func TestStopWithoutAServer(t *testing.T) {
	s := testkit.Broker(t)
	p, release := delivering(t, s)
	s.Stop()
	testkit.Eventually(t, "disconnected", func() bool { return !p.Conn.IsConnected() })
	short, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if p.Stop(short); short.Err() == nil {
		t.Error("it is over while a message is delivered")
	}
	close(release)
	long, cancel := context.WithTimeout(t.Context(), testkit.Patience)
	defer cancel()
	if p.Stop(long); long.Err() != nil {
		t.Error("it waits for the connection")
	}
}
