package broker_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/voip-push/worker/internal/broker"
	"github.com/voip-push/worker/internal/testkit"
	"github.com/voip-push/worker/internal/voip"
)

func lines(drift []broker.Drift) []string {
	var s []string
	for _, d := range drift {
		s = append(s, d.String())
	}
	return s
}

func inspect(t *testing.T, js jetstream.JetStream, cfg *broker.Config) []broker.Drift {
	t.Helper()
	drift, err := broker.Inspect(t.Context(), js, cfg)
	if err != nil {
		t.Fatal(err)
	}
	return drift
}

// TestInspectAsksAgain: a cluster without a leader leaves a question unanswered.
func TestInspectAsksAgain(t *testing.T) {
	t.Parallel()
	s := testkit.Broker(t, testkit.WithServer(func(o *server.Options) { o.JetStream = false }))
	nc := s.Conn(t)
	asked := map[string]int{}
	if _, err := nc.Subscribe("$JS.API.>", func(m *nats.Msg) {
		if asked[m.Subject]++; asked[m.Subject] == 1 && strings.Contains(m.Subject, "VOIP_PUSH") {
			return // the one that asks for the stream, and that for its consumer
		}
		if err := m.Respond([]byte(`{"type":"response","error":{"code":404,"err_code":10059,"description":"stream not found"}}`)); err != nil {
			t.Error(err)
		}
	}); err != nil {
		t.Fatal(err)
	}
	if err := nc.Flush(); err != nil {
		t.Fatal(err)
	}
	if got := lines(inspect(t, s.JS(t), &s.Config)); len(got) != 6 {
		t.Errorf("%q, want all six missing", got)
	}
}

// The contract's table, written out again: what a server has after Provision.
func TestProvisionFromNothing(t *testing.T) {
	t.Parallel()
	s := testkit.Broker(t)
	js := s.JS(t)
	missing := []string{
		"stream VOIP_PUSH is missing", "stream VOIP_RESULT is missing", "stream VOIP_DLQ is missing", "stream VOIP_CANCEL is missing",
		"stream KV_VOIP_CALLS is missing", "consumer voip-workers is missing",
	}
	if got := lines(inspect(t, js, &s.Config)); !slices.Equal(got, missing) {
		t.Errorf("before: %q, want %q", got, missing)
	}
	if drift, err := broker.Provision(t.Context(), js, &s.Config); err != nil || !slices.Equal(lines(drift), missing) {
		t.Errorf("provision: %q, %v, want %q", lines(drift), err, missing)
	}
	if got := lines(inspect(t, js, &s.Config)); got != nil {
		t.Errorf("after: %q", got)
	}
	if drift, err := broker.Provision(t.Context(), js, &s.Config); err != nil || drift != nil {
		t.Errorf("again: %q, %v", lines(drift), err)
	}
	streams := []struct {
		name, subject   string
		age, duplicates time.Duration
		discard         jetstream.DiscardPolicy
		bytes           int64
		message         int32
		perSubject      int64
		rollup          bool
	}{
		{"VOIP_PUSH", "voip.push", 30 * time.Minute, 15 * time.Minute, jetstream.DiscardNew, s.Config.PushMaxBytes, 512 << 10, -1, false},
		{"VOIP_RESULT", "voip.report.result", 24 * time.Hour, 30 * time.Minute, jetstream.DiscardOld, -1, -1, -1, false},
		{"VOIP_DLQ", "voip.dlq.>", 72 * time.Hour, 30 * time.Minute, jetstream.DiscardOld, -1, -1, -1, false},
		{"VOIP_CANCEL", "voip.cancel", 10 * time.Minute, 2 * time.Minute, jetstream.DiscardOld, -1, -1, -1, false},
		{"KV_VOIP_CALLS", "$KV.VOIP_CALLS.>", 15 * time.Minute, 2 * time.Minute, jetstream.DiscardNew, -1, -1, 1, true},
	}
	for _, want := range streams {
		stream, err := js.Stream(t.Context(), want.name)
		if err != nil {
			t.Fatal(err)
		}
		c := stream.CachedInfo().Config
		if got := voip.StreamOf(want.subject); got != want.name {
			t.Errorf("%s is said to be of stream %q, want %s", want.subject, got, want.name)
		}
		if !slices.Equal(c.Subjects, []string{want.subject}) || c.MaxAge != want.age || c.Duplicates != want.duplicates || c.Discard != want.discard ||
			c.MaxBytes != want.bytes || c.MaxMsgSize != want.message || c.MaxMsgsPerSubject != want.perSubject || c.AllowRollup != want.rollup {
			t.Errorf("%s: got %+v\nwant %+v", want.name, c, want)
		}
		if c.Storage != jetstream.FileStorage || c.Retention != jetstream.LimitsPolicy || c.AllowDirect || c.MirrorDirect || c.Replicas != 1 ||
			c.MaxMsgs != -1 || c.MaxConsumers != -1 || c.NoAck || c.Sealed {
			t.Errorf("%s: got %+v", want.name, c)
		}
		if c.Metadata["io.nats.monitor.enabled"] != "true" || c.Metadata["io.nats.monitor.peer-expect"] != "" {
			t.Errorf("%s: metadata %v", want.name, c.Metadata)
		}
	}
	consumer, err := js.Consumer(t.Context(), "VOIP_PUSH", "voip-workers")
	if err != nil {
		t.Fatal(err)
	}
	c := consumer.CachedInfo().Config
	if c.Durable != "voip-workers" || c.AckPolicy != jetstream.AckExplicitPolicy || c.AckWait != s.Config.AckWait || c.BackOff != nil || c.MaxDeliver != -1 ||
		c.MaxAckPending != 16384 || c.MaxWaiting != 4096 || c.DeliverPolicy != jetstream.DeliverAllPolicy || c.FilterSubject != "" || c.InactiveThreshold != 0 {
		t.Errorf("consumer: got %+v", c)
	}
	for key, value := range map[string]string{
		"enabled": "true", "outstanding-ack-critical": "14745", "unprocessed-critical": "16384", "waiting-critical": "3686", "redelivery-critical": "1000",
	} {
		if got := c.Metadata["io.nats.monitor."+key]; got != value {
			t.Errorf("consumer: %s is %q, want %q", key, got, value)
		}
	}
	if _, err := js.KeyValue(t.Context(), voip.BucketCalls); err != nil {
		t.Errorf("the bucket does not open: %v", err)
	}
}

func TestProvisionSideBySide(t *testing.T) {
	t.Parallel()
	s := testkit.Broker(t)
	var wg sync.WaitGroup
	for range 4 {
		js := s.JS(t)
		wg.Go(func() {
			if _, err := broker.Provision(t.Context(), js, &s.Config); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if got := lines(inspect(t, s.JS(t), &s.Config)); got != nil {
		t.Errorf("after: %q", got)
	}
}

// TestPushesMadeAgain: a stream of pushes that is made beside results goes on
// behind every earlier sequence, for the results' ids are made of them.
func TestPushesMadeAgain(t *testing.T) {
	t.Parallel()
	s := testkit.Broker(t, testkit.Provisioned())
	js := s.JS(t)
	push := func() uint64 {
		t.Helper()
		ack, err := js.Publish(t.Context(), voip.SubjectPush, nil)
		if err != nil {
			t.Fatal(err)
		}
		return ack.Sequence
	}
	remake := func() {
		t.Helper()
		if err := js.DeleteStream(t.Context(), voip.StreamPush); err != nil {
			t.Fatal(err)
		}
		var makers sync.WaitGroup
		for range 4 {
			makers.Go(func() {
				if _, err := broker.Provision(t.Context(), js, &s.Config); err != nil {
					t.Error(err)
				}
			})
		}
		makers.Wait()
	}
	if first := push(); first != 1 {
		t.Errorf("the first push ever is %d", first)
	}
	remake()
	if again := push(); again != 1 {
		t.Errorf("a push of a new stream is %d, though no result names an earlier one", again)
	}
	if _, err := js.Publish(t.Context(), voip.SubjectResult, nil); err != nil {
		t.Fatal(err)
	}
	remake()
	once := push()
	remake()
	if twice := push(); once < 1_000_000 || twice <= once {
		t.Errorf("pushes of streams that were made again: %d and %d", once, twice)
	}
	if drift := inspect(t, js, &s.Config); drift != nil {
		t.Errorf("%q", lines(drift))
	}
}

// Each setting is changed by hand, named by Inspect, and mended by Provision,
// or refused by it where the server cannot change it.
func TestDrift(t *testing.T) {
	t.Parallel()
	later := time.Now().Add(time.Hour).UTC().Truncate(time.Second)
	type streamChange func(*jetstream.StreamConfig)
	type consumerChange func(*jetstream.ConsumerConfig)
	tests := []struct {
		stream string
		change any
		want   string
		// refused: Provision cannot mend it, and will not go on; kept: nor can it, but it does.
		refused, kept bool
	}{
		{stream: "VOIP_PUSH", change: streamChange(func(c *jetstream.StreamConfig) { c.Subjects = []string{"voip.push", "other"} }), want: "stream VOIP_PUSH: subjects is voip.push, other, want voip.push (unsound)"},
		{stream: "VOIP_PUSH", change: streamChange(func(c *jetstream.StreamConfig) { c.Retention = jetstream.WorkQueuePolicy }), want: "stream VOIP_PUSH: retention is WorkQueue, want Limits (unsound)", refused: true},
		{stream: "VOIP_RESULT", change: streamChange(func(c *jetstream.StreamConfig) { c.Retention = jetstream.InterestPolicy }), want: "stream VOIP_RESULT: retention is Interest, want Limits (unsound)", refused: true},
		{stream: "VOIP_PUSH", change: streamChange(func(c *jetstream.StreamConfig) { c.Duplicates = 14 * time.Minute }), want: "stream VOIP_PUSH: duplicate window is 14m0s, want 15m0s (unsound)"},
		{stream: "VOIP_RESULT", change: streamChange(func(c *jetstream.StreamConfig) { c.Duplicates = 2 * time.Minute }), want: "stream VOIP_RESULT: duplicate window is 2m0s, want 30m0s (unsound)"},
		{stream: "VOIP_DLQ", change: streamChange(func(c *jetstream.StreamConfig) { c.Duplicates = time.Hour }), want: "stream VOIP_DLQ: duplicate window is 1h0m0s, want 30m0s"},
		{stream: "VOIP_CANCEL", change: streamChange(func(c *jetstream.StreamConfig) { c.MaxAge = time.Hour }), want: "stream VOIP_CANCEL: max age is 1h0m0s, want 10m0s"},
		{stream: "VOIP_PUSH", change: streamChange(func(c *jetstream.StreamConfig) { c.Discard = jetstream.DiscardOld }), want: "stream VOIP_PUSH: discard policy is DiscardOld, want DiscardNew"},
		{stream: "VOIP_PUSH", change: streamChange(func(c *jetstream.StreamConfig) { c.MaxBytes = 1 << 20 }), want: "stream VOIP_PUSH: max bytes is 1048576, want 67108864"},
		{stream: "VOIP_PUSH", change: streamChange(func(c *jetstream.StreamConfig) { c.MaxMsgSize = -1 }), want: "stream VOIP_PUSH: max message size is -1, want 524288"},
		{stream: "VOIP_DLQ", change: streamChange(func(c *jetstream.StreamConfig) { c.MaxMsgs = 10 }), want: "stream VOIP_DLQ: max messages is 10, want -1"},
		{stream: "KV_VOIP_CALLS", change: streamChange(func(c *jetstream.StreamConfig) { c.MaxMsgsPerSubject = 2 }), want: "stream KV_VOIP_CALLS: max messages per subject is 2, want 1"},
		{stream: "VOIP_RESULT", change: streamChange(func(c *jetstream.StreamConfig) { c.AllowRollup = true }), want: "stream VOIP_RESULT: rollup headers is true, want false (unsound)"},
		{stream: "VOIP_DLQ", change: streamChange(func(c *jetstream.StreamConfig) { c.AllowRollup = true }), want: "stream VOIP_DLQ: rollup headers is true, want false"},
		{stream: "KV_VOIP_CALLS", change: streamChange(func(c *jetstream.StreamConfig) { c.AllowDirect = true }), want: "stream KV_VOIP_CALLS: direct gets is true, want false"},
		{stream: "VOIP_CANCEL", change: streamChange(func(c *jetstream.StreamConfig) { c.Storage = jetstream.MemoryStorage }), want: "stream VOIP_CANCEL: storage is Memory, want File", kept: true},

		{change: consumerChange(func(c *jetstream.ConsumerConfig) {
			c.AckPolicy = jetstream.AckNonePolicy
			c.AckWait, c.MaxAckPending = 0, 0
		}), want: "consumer voip-workers: ack policy is AckNone, want AckExplicit (unsound)", refused: true},
		{change: consumerChange(func(c *jetstream.ConsumerConfig) { c.AckPolicy = jetstream.AckAllPolicy }), want: "consumer voip-workers: ack policy is AckAll, want AckExplicit (unsound)", refused: true},
		{change: consumerChange(func(c *jetstream.ConsumerConfig) {
			c.BackOff, c.MaxDeliver = []time.Duration{5 * time.Second, time.Minute}, 5
		}), want: "consumer voip-workers: BackOff list is [5s 1m0s], want none (unsound)"},
		{change: consumerChange(func(c *jetstream.ConsumerConfig) { c.FilterSubject = "other" }), want: "consumer voip-workers: filter is other, want none (unsound)"},
		{change: consumerChange(func(c *jetstream.ConsumerConfig) { c.FilterSubject = "voip.push" })},
		{change: consumerChange(func(c *jetstream.ConsumerConfig) { c.AckWait = time.Minute }), want: "consumer voip-workers: ack wait is 1m0s, want 5s"},
		{change: consumerChange(func(c *jetstream.ConsumerConfig) { c.MaxDeliver = 3 }), want: "consumer voip-workers: max deliver is 3, want -1"},
		{change: consumerChange(func(c *jetstream.ConsumerConfig) { c.MaxAckPending = 10 }), want: "consumer voip-workers: max ack pending is 10, want 16384"},
		{change: consumerChange(func(c *jetstream.ConsumerConfig) { c.HeadersOnly = true }), want: "consumer voip-workers: headers only is true, want false (unsound)"},
		{change: consumerChange(func(c *jetstream.ConsumerConfig) { c.PauseUntil = &later }), want: "consumer voip-workers: paused until is " + later.Format(time.RFC3339) + ", want not paused", kept: true},
		{change: consumerChange(func(c *jetstream.ConsumerConfig) { c.PauseUntil = new(time.Now().Add(-time.Hour)) })},
		{change: consumerChange(func(c *jetstream.ConsumerConfig) { c.MaxRequestBatch = 255 }), want: "consumer voip-workers: max request batch is 255, want enough", kept: true},
		{change: consumerChange(func(c *jetstream.ConsumerConfig) { c.MaxRequestExpires = time.Second }), want: "consumer voip-workers: max request expires is 1s, want enough", kept: true},
		{change: consumerChange(func(c *jetstream.ConsumerConfig) { c.MaxRequestBatch, c.MaxRequestExpires = 256, 30*time.Second })},
		{change: consumerChange(func(c *jetstream.ConsumerConfig) { c.InactiveThreshold = time.Hour }), want: "consumer voip-workers: inactive threshold is 1h0m0s, want 0s"},
		{change: consumerChange(func(c *jetstream.ConsumerConfig) { c.MemoryStorage = true }), want: "consumer voip-workers: memory storage is true, want false", kept: true},
		{stream: "VOIP_RESULT", change: streamChange(func(c *jetstream.StreamConfig) { c.NoAck = true }), want: "stream VOIP_RESULT: no acks is true, want false (unsound)"},
		{change: consumerChange(func(c *jetstream.ConsumerConfig) { c.MaxWaiting = 512 }), want: "consumer voip-workers: max waiting is 512, want 4096", kept: true},
		{change: consumerChange(func(c *jetstream.ConsumerConfig) {
			c.Metadata = map[string]string{"io.nats.monitor.enabled": "true", "io.nats.monitor.redelivery-critical": "5"}
		}), want: "consumer voip-workers: monitor thresholds is enabled true, redelivery-critical 5, want enabled true, outstanding-ack-critical 14745, unprocessed-critical 16384, waiting-critical 3686, redelivery-critical 1000"},
		{stream: "VOIP_DLQ", change: streamChange(func(c *jetstream.StreamConfig) { c.Metadata = nil }), want: "stream VOIP_DLQ: monitor thresholds is none, want enabled true"},
		{stream: "VOIP_DLQ", change: streamChange(func(c *jetstream.StreamConfig) { c.Metadata["io.nats.monitor.peer-expect"] = "3" }), want: "stream VOIP_DLQ: monitor thresholds is enabled true, peer-expect 3, want enabled true"},
		{change: consumerChange(func(c *jetstream.ConsumerConfig) { c.DeliverPolicy = jetstream.DeliverNewPolicy }), want: "consumer voip-workers: deliver policy is new, want all", kept: true},
	}
	for _, tt := range tests {
		t.Run(tt.want, func(t *testing.T) {
			t.Parallel()
			s := testkit.Broker(t)
			js := s.JS(t)
			consumer := broker.WorkersConsumer(&s.Config)
			if change, is := tt.change.(consumerChange); is {
				change(&consumer)
			}
			for _, c := range broker.Streams(&s.Config) {
				if change, is := tt.change.(streamChange); is && c.Name == tt.stream {
					change(&c)
				}
				if slices.Contains(c.Subjects, "voip.push") && consumer.FilterSubject == "other" {
					c.Subjects = append(c.Subjects, "other")
				}
				if _, err := js.CreateStream(t.Context(), c); err != nil {
					t.Fatal(err)
				}
			}
			if _, err := js.CreateConsumer(t.Context(), "VOIP_PUSH", consumer); err != nil && !strings.Contains(err.Error(), "workqueue") {
				t.Fatal(err)
			}
			checkDrift(t, js, &s.Config, tt.want, tt.refused, tt.kept)
		})
	}
}

func checkDrift(t *testing.T, js jetstream.JetStream, cfg *broker.Config, want string, refused, kept bool) {
	t.Helper()
	before := inspect(t, js, cfg)
	if want == "" {
		if before != nil {
			t.Fatalf("got %q, want none", lines(before))
		}
		return
	}
	if !slices.Contains(lines(before), want) {
		t.Fatalf("got %q, want %q", lines(before), want)
	}
	unsound := broker.UnsoundOf(before)
	if (unsound != nil) != strings.HasSuffix(want, "(unsound)") {
		t.Errorf("unsound: %v", unsound)
	}
	if unsound != nil && !strings.Contains(unsound.Error(), want) {
		t.Errorf("unsound: %v", unsound)
	}
	changed, err := broker.Provision(t.Context(), js, cfg)
	after := lines(inspect(t, js, cfg))
	_, is := errors.AsType[*broker.UnsoundError](err)
	switch {
	case refused:
		if !is || !strings.Contains(err.Error(), want) || changed != nil || !slices.Equal(after, lines(before)) {
			t.Errorf("provision: %q, %v; after that %q", lines(changed), err, after)
		}
	case err != nil:
		t.Errorf("provision: %v", err)
	case kept:
		if !slices.Contains(lines(changed), want) || !slices.Equal(after, []string{want}) {
			t.Errorf("changed %q; after that %q", lines(changed), after)
		}
		for _, d := range changed {
			if d.String() == want && !d.Fixed {
				t.Errorf("%s is not said to be fixed", want)
			}
		}
	case !slices.Contains(lines(changed), want) || after != nil:
		t.Errorf("changed %q; after that %q", lines(changed), after)
	}
}

// All that is unsound is named at once, and nothing is touched.
func TestProvisionRefusesAtOnce(t *testing.T) {
	t.Parallel()
	s := testkit.Broker(t, testkit.Provisioned())
	js := s.JS(t)
	for _, name := range []string{"VOIP_PUSH", "VOIP_DLQ", "VOIP_CANCEL"} {
		if err := js.DeleteStream(t.Context(), name); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range broker.Streams(&s.Config)[:3] {
		if c.Name != "VOIP_RESULT" {
			c.Retention = jetstream.InterestPolicy
			if _, err := js.CreateStream(t.Context(), c); err != nil {
				t.Fatal(err)
			}
		}
	}
	changed, err := broker.Provision(t.Context(), js, &s.Config)
	const want = "stream VOIP_PUSH: retention is Interest, want Limits (unsound); provisioning cannot change that: " +
		"change it by hand, or delete stream VOIP_PUSH with all that it holds and provision again\n" +
		"stream VOIP_DLQ: retention is Interest, want Limits (unsound); provisioning cannot change that: " +
		"change it by hand, or delete stream VOIP_DLQ with all that it holds and provision again"
	if text(err) != want || changed != nil {
		t.Errorf("got %q, %v", lines(changed), err)
	}
	if _, err := js.Stream(t.Context(), "VOIP_CANCEL"); !errors.Is(err, jetstream.ErrStreamNotFound) {
		t.Errorf("the missing stream was created: %v", err)
	}
}

// What the contract does not speak of is the operator's.
func TestProvisionKeepsWhatIsTheOperators(t *testing.T) {
	t.Parallel()
	s := testkit.Broker(t, testkit.Provisioned())
	js := s.JS(t)
	stream, err := js.Stream(t.Context(), "VOIP_RESULT")
	if err != nil {
		t.Fatal(err)
	}
	c := stream.CachedInfo().Config
	c.Description, c.MaxAge = "ours", time.Hour
	c.Metadata["team"], c.Metadata["io.nats.monitor.msgs-warn"] = "calls", "1"
	c.DenyPurge = true
	c.Placement = &jetstream.Placement{Tags: nil, Cluster: ""}
	if _, err := js.UpdateStream(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	consumer := broker.WorkersConsumer(&s.Config)
	consumer.Description, consumer.AckWait = "ours", time.Minute
	consumer.Metadata["io.nats.monitor.last-ack-critical"] = "1h"
	if _, err := js.UpdateConsumer(t.Context(), "VOIP_PUSH", consumer); err != nil {
		t.Fatal(err)
	}
	changed, err := broker.Provision(t.Context(), js, &s.Config)
	want := []string{"stream VOIP_RESULT: max age is 1h0m0s, want 24h0m0s", "consumer voip-workers: ack wait is 1m0s, want 5s"}
	if err != nil || !slices.Equal(lines(changed), want) {
		t.Fatalf("got %q, %v, want %q", lines(changed), err, want)
	}
	if stream, err = js.Stream(t.Context(), "VOIP_RESULT"); err != nil {
		t.Fatal(err)
	}
	if c := stream.CachedInfo().Config; c.Description != "ours" || c.Metadata["team"] != "calls" || c.Metadata["io.nats.monitor.msgs-warn"] != "1" || !c.DenyPurge || c.MaxAge != 24*time.Hour {
		t.Errorf("the stream is %+v", c)
	}
	info, err := js.Consumer(t.Context(), "VOIP_PUSH", "voip-workers")
	if err != nil {
		t.Fatal(err)
	}
	if c := info.CachedInfo().Config; c.Description != "ours" || c.Metadata["io.nats.monitor.last-ack-critical"] != "1h" {
		t.Errorf("the consumer is %+v", c)
	}
}

func TestReplicas(t *testing.T) {
	t.Parallel()
	s := testkit.Broker(t, testkit.Provisioned())
	js := s.JS(t)
	three := s.Config
	three.Replicas = 3
	drift := inspect(t, js, &three)
	if len(drift) != 10 || drift[0].String() != "stream VOIP_PUSH: replicas is 1, want 3" || broker.UnsoundOf(drift) != nil ||
		drift[1].String() != "stream VOIP_PUSH: monitor thresholds is enabled true, want enabled true, peer-expect 3" {
		t.Errorf("got %q", lines(drift))
	}
	// One server cannot do it, and says so.
	_, err := broker.Provision(t.Context(), js, &three)
	if !strings.HasPrefix(text(err), "update stream VOIP_PUSH: ") || !strings.HasSuffix(text(err), "; NATS_REPLICAS is 3, which takes a cluster of as many servers") {
		t.Errorf("provision: %v", err)
	}
}

// A stream that a server has no room for: the setting is named, which the server
// knows nothing of.
func TestProvisionTooLarge(t *testing.T) {
	t.Parallel()
	s := testkit.Broker(t, testkit.WithServer(func(o *server.Options) { o.JetStreamMaxStore = 32 << 20 }))
	_, err := broker.Provision(t.Context(), s.JS(t), &s.Config)
	if !strings.HasPrefix(text(err), "create stream VOIP_PUSH: ") || !strings.Contains(text(err), "; NATS_PUSH_MAX_BYTES is 67108864, ") {
		t.Errorf("provision: %v", err)
	}
}

func TestInspectWithoutJetStream(t *testing.T) {
	t.Parallel()
	s := testkit.Broker(t)
	nc := s.Conn(t)
	js, err := broker.JetStream(nc)
	if err != nil {
		t.Fatal(err)
	}
	s.Stop()
	testkit.Eventually(t, "the end of the connection", func() bool { return !nc.IsConnected() })
	if _, err := broker.Inspect(t.Context(), js, &s.Config); err == nil || !strings.HasPrefix(err.Error(), "look at stream VOIP_PUSH: ") {
		t.Errorf("inspect: %v", err)
	}
	if _, err := broker.Provision(t.Context(), js, &s.Config); err == nil || !strings.HasPrefix(err.Error(), "look at stream VOIP_PUSH: ") {
		t.Errorf("provision: %v", err)
	}
}

// A name that is taken by a push consumer cannot be bound to, and is not
// mistaken for one that is missing.
func TestPushConsumer(t *testing.T) {
	t.Parallel()
	s := testkit.Broker(t, testkit.Provisioned())
	js := s.JS(t)
	if err := js.DeleteConsumer(t.Context(), "VOIP_PUSH", "voip-workers"); err != nil {
		t.Fatal(err)
	}
	if _, err := js.CreatePushConsumer(t.Context(), "VOIP_PUSH", jetstream.ConsumerConfig{Durable: "voip-workers", DeliverSubject: "x", AckPolicy: jetstream.AckExplicitPolicy}); err != nil {
		t.Fatal(err)
	}
	if drift, err := broker.Inspect(t.Context(), js, &s.Config); err == nil || !strings.HasPrefix(err.Error(), "look at consumer voip-workers: ") {
		t.Errorf("got %q, %v", lines(drift), err)
	}
}

func TestNoDriftIsSound(t *testing.T) {
	if err := broker.UnsoundOf([]broker.Drift{{Severity: broker.Warning}, {Severity: broker.Missing}}); err != nil {
		t.Errorf("got %v", err)
	}
	if got := fmt.Sprint(broker.Drift{Object: "stream X", Severity: broker.Missing}); got != "stream X is missing" {
		t.Errorf("got %s", got)
	}
}

// TestSmallPayloads: a server that takes a push and not its dead letter is told of.
func TestSmallPayloads(t *testing.T) {
	t.Parallel()
	s := testkit.Broker(t, testkit.Provisioned(), testkit.WithServer(func(o *server.Options) { o.MaxPayload = 200_000 }))
	const want = "server: max_payload is 200000, want 589824 or more"
	if got := lines(inspect(t, s.JS(t), &s.Config)); !slices.Equal(got, []string{want}) {
		t.Errorf("got %q, want %q", got, want)
	}
	if changed, err := broker.Provision(t.Context(), s.JS(t), &s.Config); err != nil || len(changed) != 1 || !changed[0].Fixed {
		t.Errorf("%v, %v; want that alone, which cannot be mended here", changed, err)
	}
}
