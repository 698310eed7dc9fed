package clitest

import (
	"strconv"
	"strings"
	"testing"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/spf13/cobra"

	"github.com/voip-push/worker/cmd/internal/cli"
	"github.com/voip-push/worker/internal/broker"
	"github.com/voip-push/worker/internal/testkit"
	"github.com/voip-push/worker/internal/voip"
)

// Verb is a verb with arguments that are right, and what it needs of a broker.
type Verb struct {
	Line   string // its arguments, separated by spaces
	Stream string // the first that it needs; empty: none
	// Subject is what it may not publish to; with listens, not subscribe to.
	Subject string
	Listens bool
	// Blind: it publishes without a look at the stream. Without an inbox it cannot
	// know whether what it has published is stored.
	Blind bool
	// What it says of streams that hold nothing, and with which code it ends.
	// Empty: it reads none, or waits for the first message.
	Empty     string
	EmptyCode int
}

// Refuse tries each verb against each broker that is not as it should be: it
// ends soon, with the right exit code, and with one line that says why.
func Refuse(t *testing.T, newRoot func() *cobra.Command, verbs []Verb) {
	t.Helper()
	bare, plain := testkit.Broker(t), testkit.Broker(t, testkit.WithServer(func(o *server.Options) {
		o.JetStream, o.NoAuthUser = false, "all"
		o.Users = []*server.User{{Username: "all"}, {Username: "gateway", Password: "secret", Permissions: publishing(denied("$JS.API.>"))}}
	}))
	barred, empty := guarded(t, verbs), testkit.Broker(t, testkit.Provisioned())
	of := func(s *testkit.Server, user string) string {
		return strings.Replace(s.URL(), "//", "//"+user+":secret@", 1)
	}
	as := func(user string) string { return of(barred, user) }
	for i, v := range verbs {
		missing := "stream " + v.Stream + " is missing, run `worker provision`"
		for _, fault := range []struct {
			name, url, flag string
			code            int
			says            string
			leftOut         bool
		}{
			{name: "no broker", url: nobody, code: cli.Failed, says: "is it running, and is NATS_URL right?"},
			{name: "no such user", url: as("stranger"), code: cli.Failed, says: "Authorization Violation; check NATS_CREDS_FILE"},
			{name: "no permission", url: as("nobody"), code: cli.Failed, says: "refused by the broker: "},
			{name: "one permission less", url: as(user(i)), code: cli.Failed, says: `"` + strings.TrimSuffix(v.Subject, ">")},
			{name: "no JetStream", url: plain.URL(), code: cli.Failed, says: "the broker has no JetStream", leftOut: v.Stream == ""},
			{name: "no inbox", url: as("deaf"), code: cli.Failed, says: "may be stored: its ack cannot be received, refused by the broker: ", leftOut: !v.Blind},
			{name: "no JetStream, and no leave to ask", url: of(plain, "gateway"), code: cli.Failed, says: missing + "; or the broker has no JetStream", leftOut: !v.Blind},
			{name: "no stream", url: bare.URL(), code: cli.Failed, says: missing, leftOut: v.Stream == ""},
			{name: "an empty stream", url: empty.URL(), code: v.EmptyCode, says: v.Empty, leftOut: v.Empty == ""},
			{name: "a wrong flag", url: nobody, flag: "--loud", code: cli.Misuse, says: "unknown flag: --loud"},
		} {
			if fault.leftOut {
				continue
			}
			t.Setenv("NATS_URL", fault.url)
			args := strings.Fields(v.Line)
			if fault.flag != "" {
				args = append(args, fault.flag)
			}
			root := newRoot()
			ended := Run(t.Context(), root, "", args...)
			if why := wrong(&ended, root.Name(), fault.code, fault.says); why != "" {
				t.Errorf("%s, %s: %s: exit %d\n%s%s", v.Line, fault.name, why, ended.Code, ended.Stdout, ended.Stderr)
			}
		}
	}
}

// nobody listens at that port.
const nobody = "nats://127.0.0.1:1"

func user(verb int) string { return "verb" + strconv.Itoa(verb) }

// wrong says what is wrong with how a command ended; empty: nothing. An error is
// the last line, and the only one with the command's name.
func wrong(e *Ended, name string, code int, says string) string {
	lines := strings.Split(strings.TrimSuffix(e.Stderr, "\n"), "\n")
	last := lines[len(lines)-1]
	switch {
	case e.Code != code:
		return "want exit " + strconv.Itoa(code)
	case code == cli.Done && e.Stderr != "":
		return "it complains"
	case code == cli.Done && !strings.Contains(e.Stdout, says), code != cli.Done && !strings.Contains(last, says):
		return "it does not say " + strconv.Quote(says)
	case code != cli.Done && (!strings.HasPrefix(last, name+": ") || strings.Count(e.Stderr, name+": ") != 1):
		return "it says that in more than one line, or in none"
	}
	return ""
}

// guarded is a server with a message in each stream, and for each verb a user
// who may do all but the one thing.
func guarded(t *testing.T, verbs []Verb) *testkit.Server {
	t.Helper()
	s := testkit.Broker(t, testkit.Provisioned(), testkit.WithServer(func(o *server.Options) {
		none := &server.SubjectPermission{Allow: []string{"nothing"}}
		o.NoAuthUser = "all"
		o.Users = []*server.User{
			{Username: "all"},
			{Username: "nobody", Password: "secret", Permissions: &server.Permissions{Publish: none, Subscribe: none}},
			{Username: "deaf", Password: "secret", Permissions: subscribing(denied("_INBOX.>"))},
		}
		for i, v := range verbs {
			p := publishing(denied(v.Subject))
			if v.Listens {
				p = subscribing(denied(v.Subject))
			}
			o.Users = append(o.Users, &server.User{Username: user(i), Password: "secret", Permissions: p})
		}
	}))
	js := s.JS(t)
	for _, subject := range []string{
		voip.SubjectPush, voip.SubjectResult, voip.SubjectCancel, broker.CallsPrefix + "c", voip.DeadLetterSubject(voip.ReasonReportUnavailable, "c"),
	} {
		store(t, js, subject)
	}
	return s
}

func denied(subject string) *server.SubjectPermission {
	return &server.SubjectPermission{Deny: []string{subject}}
}

func publishing(p *server.SubjectPermission) *server.Permissions {
	return &server.Permissions{Publish: p}
}

func subscribing(p *server.SubjectPermission) *server.Permissions {
	return &server.Permissions{Subscribe: p}
}

func store(t *testing.T, js jetstream.JetStream, subject string) {
	t.Helper()
	m := &nats.Msg{Subject: subject, Data: []byte(`{"callId":"c","sequence":1}`), Header: nats.Header{voip.HeaderOriginSequence: {"1"}}}
	if _, err := js.PublishMsg(t.Context(), m); err != nil {
		t.Fatalf("%s: %v", subject, err)
	}
}
