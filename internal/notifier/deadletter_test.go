package notifier_test

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/voip-push/worker/internal/notifier"
	"github.com/voip-push/worker/internal/testkit"
	"github.com/voip-push/worker/internal/voip"
)

const leftOut = " (the original headers are left out: they are too large)"

func TestDeadLetter(t *testing.T) {
	t.Parallel()
	tests := map[string]func(*voip.DeadLetter){
		"plain": func(*voip.DeadLetter) {},
		"headers": func(d *voip.DeadLetter) {
			d.Header = map[string][]string{
				"traceparent": {"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"}, "tracestate": {"a=1", "b=2"}, "X-Gateway": {"gw-1"},
				"Nats-Msg-Id": {"c-1"}, "Nats-Expected-Stream": {"VOIP_PUSH"}, "nats-ttl": {"1h"}, "Voip-Expires-At": {"2026-01-02T03:04:30Z"},
			}
		},
		"no-call-id": func(d *voip.DeadLetter) {
			d.CallID, d.Reason, d.Stage, d.Error = "", voip.ReasonMalformedPush, voip.StageDecode, "malformed push: the body is not a JSON object"
			d.Attempts, d.ExpiresAt = 0, nil
		},
		"crash": func(d *voip.DeadLetter) {
			d.CallID, d.Reason, d.Stage, d.Error = "李雷", voip.ReasonCrashLoop, voip.StageDeliver, voip.ErrCrashLoop.Error()
		},
		// What it was given when it was sent again is not true any more.
		"redriven": func(d *voip.DeadLetter) {
			d.Redrives, d.ExpiresAt = 2, nil
			d.Header = map[string][]string{
				"Nats-Msg-Id": {"redrive:3:r2"}, "Voip-Redrives": {"1"}, "Voip-Origin-Sequence": {"3"}, "Voip-Expires-At": {"2026-01-02T03:04:30Z"}, "Voip-Reason": {"EXPIRED"},
				"voip-class": {"crash"}, "VOIP-ERROR": {"stale"}, "Voip-Stage": {"avatar", "decode"}, "Voip-Worker": {"stale"}, "Voip-Origin-Msg-Id": {"stale"}, "Voip-Call-Id": {"stale"},
				"Voip-Attempts": {"9"}, "Voip-First-Seen": {"stale"}, "Voip-Failed-At": {"stale"}, "Voip-Origin-Stream": {"stale"}, "Voip-Origin-Subject": {"stale"}, "X-Gateway": {"gw-1"},
			}
		},
	}
	for name, change := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := testkit.Broker(t, testkit.Provisioned())
			js := s.JS(t)
			n := notifier.New(s.Publisher(t), quiet())
			d := deadLetter(12)
			change(d)
			before := fmt.Sprint(d)
			for i, want := range []bool{false, true, true} {
				if again, err := n.DeadLetter(t.Context(), mayAlways, d); again != want || err != nil {
					t.Errorf("time %d: again is %v, %v", i+1, again, err)
				}
			}
			testkit.Golden(t, "deadletter-"+name+".golden", render(only(t, js, voip.StreamDLQ)))
			if fmt.Sprint(d) != before {
				t.Error("publishing has changed it")
			}
		})
	}
}

func TestDeadLetterError(t *testing.T) {
	t.Parallel()
	s := testkit.Broker(t, testkit.Provisioned())
	js := s.JS(t)
	n := notifier.New(s.Publisher(t), quiet())
	x := func(n int) string { return strings.Repeat("x", n) }
	tests := []struct{ name, text, want string }{
		{"as it is", "it failed: 李雷 \"x\"", "it failed: 李雷 \"x\""},
		{"lines", "one\ntwo\r\n\tthree ", "one two three"},
		{"a header in it", "x\r\nVoip-Class: crash", "x Voip-Class: crash"},
		{"other line ends", "a\u2028b\u0085c\vd", "a b c d"},
		{"what terminals obey", "a\x1b[31mb\x00c\x7fd", "a [31mb c d"},
		{"bytes that are not UTF-8", "a\xffb", "a\uFFFDb"},
		{"1 KiB", x(1024), x(1024)},
		{"more", x(1025), x(1021) + "…"},
		{"cut in a character", x(1020) + "李雷", x(1020) + "…"},
		{"cut before a character", x(1019) + "éé" + "ab", x(1019) + "é…"},
	}
	for i, tt := range tests {
		d := deadLetter(uint64(i + 1))
		d.Error = tt.text
		d.Body = everyByte()
		if _, err := n.DeadLetter(t.Context(), mayAlways, d); err != nil {
			t.Fatal(err)
		}
		m := testkit.Messages(t, js, voip.StreamDLQ)[i]
		if !bytes.Equal(m.Data, everyByte()) {
			t.Errorf("%s: the body is %q", tt.name, m.Data)
		}
		got := m.Header.Get("Voip-Error")
		if got != tt.want || len(got) > 1024 || !utf8.ValidString(got) || len(m.Header["Voip-Error"]) != 1 || m.Header.Get("Voip-Class") != "exhausted" {
			t.Errorf("%s: got %q (%d bytes), want %q", tt.name, got, len(got), tt.want)
		}
	}
}

func everyByte() []byte {
	b := make([]byte, 256)
	for i := range b {
		b[i] = byte(i)
	}
	return b
}

// The original headers are kept up to 32 KiB, counted as they stand on the
// wire: name, colon, space, value, line end.
func TestDeadLetterHeaderLimit(t *testing.T) {
	t.Parallel()
	s := testkit.Broker(t, testkit.Provisioned())
	js := s.JS(t)
	n := notifier.New(s.Publisher(t), quiet())
	tests := []struct {
		name string
		size int
		kept bool
	}{
		{"32 KiB", 32 << 10, true},
		{"more", 32<<10 + 1, false},
		{"much more", 400 << 10, false},
	}
	for i, tt := range tests {
		d := deadLetter(uint64(i + 1))
		const one = "X-One: 1\r\n"
		d.Header = map[string][]string{"X-One": {"1"}, "X-Big": {strings.Repeat("x", tt.size-len(one)-len("X-Big: \r\n"))}, "Nats-Msg-Id": {"c-1"}, "Nats-Big": {strings.Repeat("x", 1000)}}
		d.Error = strings.Repeat("e", 2000)
		if _, err := n.DeadLetter(t.Context(), mayAlways, d); err != nil {
			t.Fatal(err)
		}
		m := testkit.Messages(t, js, voip.StreamDLQ)[i]
		text := m.Header.Get("Voip-Error")
		if kept := m.Header.Get("X-Big") != "" && m.Header.Get("X-One") == "1"; kept != tt.kept || strings.HasSuffix(text, leftOut) == kept {
			t.Errorf("%s: kept is %v, and the error is %q", tt.name, kept, text)
		}
		if (m.Header.Get("X-Big") == "") != (m.Header.Get("X-One") == "") {
			t.Errorf("%s: some are kept", tt.name)
		}
		if len(text) != 1024 || m.Header.Get("Voip-Origin-Msg-Id") != "c-1" || m.Header.Get("Voip-Reason") == "" {
			t.Errorf("%s: the error has %d bytes; headers %v", tt.name, len(text), m.Header)
		}
	}
}

// Servers take header names that nats.go does not write: such a header costs no
// dead letter, and is said to be missing.
func TestDeadLetterHeaderNames(t *testing.T) {
	t.Parallel()
	s := testkit.Broker(t, testkit.Provisioned())
	js := s.JS(t)
	d := deadLetter(1)
	d.Header = map[string][]string{"": {"1"}, "李": {"1"}}
	var want []string
	for c := range 256 {
		name := "K" + string([]byte{byte(c)})
		d.Header[name] = []string{"1"}
		switch err := js.Conn().PublishMsg(&nats.Msg{Subject: "nobody", Header: nats.Header{name: {"1"}}}); {
		case err == nil:
			want = append(want, name)
		case !errors.Is(err, nats.ErrBadHeaderMsg):
			t.Fatal(err)
		}
	}
	if _, err := notifier.New(s.Publisher(t), quiet()).DeadLetter(t.Context(), mayAlways, d); err != nil {
		t.Fatal(err)
	}
	m := only(t, js, voip.StreamDLQ)
	var got []string
	for name := range m.Header {
		if len(name) == 2 {
			got = append(got, name)
		}
	}
	slices.Sort(got)
	if !slices.Equal(got, want) || len(want) < 62 {
		t.Errorf("kept %q, want %q", got, want)
	}
	const said = " (original headers are left out whose names nats.go does not write)"
	if text := m.Header.Get("Voip-Error"); text != d.Error+said {
		t.Errorf("error %q", text)
	}
}

// What the server or the stream finds too large is stored without the original
// headers.
func TestDeadLetterTooLarge(t *testing.T) {
	t.Parallel()
	body := bytes.Repeat([]byte("b"), 50<<10)
	big := map[string][]string{"X-Big": {strings.Repeat("x", 20<<10)}}
	check := func(t *testing.T, s *testkit.Server, js jetstream.JetStream) {
		t.Helper()
		var log testkit.Log
		d := deadLetter(1)
		d.Body, d.Header = body, big
		if again, err := notifier.New(s.Publisher(t), log.Logger()).DeadLetter(t.Context(), mayAlways, d); again || err != nil {
			t.Fatal(again, err)
		}
		m := only(t, js, voip.StreamDLQ)
		if !bytes.Equal(m.Data, body) || m.Header.Get("X-Big") != "" || m.Header.Get("Voip-Error") != d.Error+leftOut {
			t.Errorf("stored with %v", m.Header)
		}
		if log.String() != "" {
			t.Errorf("it took a second thought: %s", log.String())
		}
	}
	t.Run("for the server", func(t *testing.T) {
		t.Parallel()
		s := testkit.Broker(t, testkit.Provisioned(), testkit.WithServer(func(o *server.Options) { o.MaxPayload = 64 << 10 }))
		check(t, s, s.JS(t))
	})
	t.Run("for the stream", func(t *testing.T) {
		t.Parallel()
		s := testkit.Broker(t, testkit.Provisioned())
		js := s.JS(t)
		change(t, js, voip.StreamDLQ, func(c *jetstream.StreamConfig) { c.MaxMsgSize = 64 << 10 })
		check(t, s, js)
	})
	t.Run("even so", func(t *testing.T) {
		t.Parallel()
		// Never given up, and never thrown away.
		s := testkit.Broker(t, testkit.Provisioned())
		js := s.JS(t)
		change(t, js, voip.StreamDLQ, func(c *jetstream.StreamConfig) { c.MaxMsgSize = 1 << 10 })
		var log testkit.Log
		d := deadLetter(1)
		d.Body, d.Header = body, big
		done := background(func() (bool, error) {
			return notifier.New(s.Publisher(t), log.Logger()).DeadLetter(t.Context(), mayAlways, d)
		})
		log.Wait(t, "cannot store the outcome, trying again")
		change(t, js, voip.StreamDLQ, func(c *jetstream.StreamConfig) { c.MaxMsgSize = -1 })
		if o := testkit.Receive(t, "the dead letter", done); o.again || o.err != nil {
			t.Errorf("got %+v", o)
		}
		if m := only(t, js, voip.StreamDLQ); !bytes.Equal(m.Data, body) {
			t.Error("the body is another")
		}
	})
}

func change(t *testing.T, js jetstream.JetStream, name string, f func(*jetstream.StreamConfig)) {
	t.Helper()
	stream, err := js.Stream(t.Context(), name)
	if err != nil {
		t.Fatal(err)
	}
	c := stream.CachedInfo().Config
	f(&c)
	if _, err := js.UpdateStream(t.Context(), c); err != nil {
		t.Fatal(err)
	}
}

// Every reason that makes a dead letter has a subject that its stream takes.
func TestDeadLetterOfEveryReason(t *testing.T) {
	t.Parallel()
	s := testkit.Broker(t, testkit.Provisioned())
	js := s.JS(t)
	n := notifier.New(s.Publisher(t), quiet())
	var want []string
	for i, rule := range voip.Rules() {
		if rule.Class == "" {
			continue
		}
		d := deadLetter(uint64(i))
		d.Reason = rule.Reason
		if _, err := n.DeadLetter(t.Context(), mayAlways, d); err != nil {
			t.Fatal(err)
		}
		want = append(want, "voip.dlq."+string(rule.Reason)+".c-1 "+string(rule.Class))
	}
	var got []string
	for _, m := range testkit.Messages(t, js, voip.StreamDLQ) {
		got = append(got, m.Subject+" "+m.Header.Get("Voip-Class"))
	}
	if !slices.Equal(got, want) || len(got) != 15 {
		t.Errorf("got %q, want %q", got, want)
	}
}
