package deploy

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/voip-push/worker/internal/testkit"
	"github.com/voip-push/worker/internal/voip"
)

// Each user does all of its work with exactly what accounts.conf lets it do:
// nothing is refused, and nothing that is allowed goes unused.
func TestPermissions(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.run("operator", "worker", "provision")
	r.start("bridge", "voipctl", "callkit", "--nats")
	r.wire.wait(t, "bridge", "SUB", voip.SubjectReport)
	worker := r.start("worker", "worker", "run")
	worker.log.Wait(t, "consuming")

	js, err := jetstream.New(r.connect("gateway", "gateway"))
	if err != nil {
		t.Fatal(err)
	}
	cancel, err := voip.EncodeCancel("never-comes")
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range []struct{ subject, body string }{
		{voip.SubjectPush, `{"callId":"rings","data":{"userName":"Li Lei"}}`},
		{voip.SubjectPush, `{"callId":"rings","data":{"userName":"Li Lei"}}`}, // the worker reads the record of the first
		{voip.SubjectPush, `{"callId":"is-dead","data":{"userName":""}}`},
		{voip.SubjectCancel, string(cancel)},
	} {
		if _, err := js.Publish(t.Context(), m.subject, []byte(m.body)); err != nil {
			t.Fatalf("%s: %v", m.subject, err)
		}
	}
	r.wire.wait(t, "worker", "PUB", "voip.dlq.INVALID_ATTRIBUTE.is-dead")
	r.run("operator", "publisher", "send", "--user-name", "Han Meimei", "--wait")
	for _, args := range []string{
		"explain rings", "cancel other", "watch --since 1h --count 1", "audit --since 10m", "dlq list", "dlq show 1",
		"dlq redrive --call-id is-dead --extend 1m", "dlq purge --force",
	} {
		r.run("operator", "voipctl", strings.Fields(args)...)
	}
	r.run("operator", "worker", "provision", "NATS_PUSH_MAX_BYTES=32MiB")
	r.run("operator", "worker", "check", "NATS_PUSH_MAX_BYTES=32MiB")
	operator := r.connect("operator", "voipctl")
	mustCheckJetStream(t, operator)
	for _, service := range []string{"voip-worker", "voip-callkit"} {
		if _, err := operator.Request("$SRV.PING."+service, nil, 5*time.Second); err != nil {
			t.Errorf("the service %s is not found: %v", service, err)
		}
	}
	// A worker that comes back reads the cancels with a new consumer; the server forgets the old one.
	const read = "$JS.API.CONSUMER.CREATE.VOIP_CANCEL.>"
	before := r.wire.count("worker", "PUB", read)
	if err := r.server.DisconnectClientByID(r.wire.connection(t, "worker")); err != nil {
		t.Fatal(err)
	}
	testkit.Eventually(t, "the cancels are read again", func() bool { return r.wire.count("worker", "PUB", read) > before })
	worker.stop()

	for _, refused := range r.wire.refusals() {
		t.Error(refused)
	}
	for name, u := range r.users {
		for _, pattern := range u.publish {
			if !r.wire.has(name, "PUB", pattern) {
				t.Errorf("%s may publish %s, and never does", name, pattern)
			}
		}
		for _, pattern := range u.subscribe {
			if !r.wire.has(name, "SUB", pattern) {
				t.Errorf("%s may subscribe to %s, and never does", name, pattern)
			}
		}
	}
}

// mustCheckJetStream asks what `nats server check jetstream` does.
func mustCheckJetStream(t *testing.T, nc *nats.Conn) {
	t.Helper()
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	account, err := js.AccountInfo(t.Context())
	if err != nil {
		t.Fatalf("the account's use: %v", err)
	}
	streams := js.ListStreams(t.Context())
	n := 0
	for range streams.Info() {
		n++
	}
	if err := streams.Err(); err != nil || n == 0 || n != account.Streams {
		t.Errorf("%d streams are listed (%v), want the account's %d", n, err, account.Streams)
	}
}

// Each user is refused what the others may do, and what nobody may.
func TestRefusals(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	publish := []string{
		"other", "$JS.API.STREAM.DELETE.VOIP_PUSH", "$JS.API.STREAM.PURGE.VOIP_PUSH", "$JS.API.STREAM.MSG.DELETE.VOIP_RESULT",
		"$JS.API.STREAM.NAMES", "$JS.API.CONSUMER.DURABLE.CREATE.VOIP_PUSH.mine", "$SYS.REQ.SERVER.PING",
	}
	subscribe := []string{">", "voip.>", voip.SubjectPush, voip.SubjectResult, "$KV.>", "_INBOX.>", "_INBOX.other.1"}
	for _, u := range r.users {
		publish = append(publish, u.publish...)
		subscribe = append(subscribe, u.subscribe...)
	}
	for name, u := range r.users {
		nc := r.connect(name, name)
		refused := make(chan error, 1)
		nc.SetErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) { refused <- err })
		for _, subject := range beyond(u.publish, publish) {
			mustRefuse(t, name+" publishes "+subject, refused, nc.Publish(subject, nil))
		}
		for _, subject := range beyond(u.subscribe, subscribe) {
			_, err := nc.SubscribeSync(subject)
			mustRefuse(t, name+" subscribes to "+subject, refused, err)
		}
	}
}

// beyond are a subject of each pattern that the allowed ones do not cover.
func beyond(allowed, patterns []string) (subjects []string) {
	for _, pattern := range patterns {
		subject := pattern
		if pattern != ">" && !slices.Contains(allowed, pattern) {
			subject = strings.NewReplacer("*", "some", ">", "some.more").Replace(pattern)
		}
		if !slices.Contains(subjects, subject) && !slices.ContainsFunc(allowed, func(a string) bool { return covers(a, subject) }) {
			subjects = append(subjects, subject)
		}
	}
	return subjects
}

// covers says whether a pattern of subjects holds one.
func covers(pattern, subject string) bool {
	p, s := strings.Split(pattern, "."), strings.Split(subject, ".")
	for i, token := range p {
		if token == ">" {
			return len(s) > i
		}
		if i >= len(s) || token != "*" && token != s[i] {
			return false
		}
	}
	return len(p) == len(s)
}
