package main

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/voip-push/worker/cmd/internal/cli"
	"github.com/voip-push/worker/internal/testkit"
	"github.com/voip-push/worker/internal/voip"
)

// running is a command under way.
type running struct {
	t      *testing.T
	stdout testkit.Log
	stderr testkit.Log
	lines  int // that were read
	stop   context.CancelFunc
	ended  chan int
}

func start(t *testing.T, args ...string) *running {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	run := &running{t: t, stop: cancel, ended: make(chan int, 1)}
	root := newRoot()
	root.SetArgs(args)
	root.SetOut(&run.stdout)
	root.SetErr(&run.stderr)
	go func() { run.ended <- cli.Execute(ctx, root) }()
	t.Cleanup(cancel)
	return run
}

// url is where the command says that it serves over HTTP.
func (r *running) url() string {
	r.t.Helper()
	r.stderr.Wait(r.t, "POST http://")
	return regexp.MustCompile(`http://\S+`).FindString(r.stderr.String())
}

// line is the next report that was printed.
func (r *running) line() (raw string, l map[string]any) {
	r.t.Helper()
	var all []string
	testkit.Eventually(r.t, "one more line", func() bool {
		all = strings.Split(strings.TrimSuffix(r.stdout.String(), "\n"), "\n")
		return r.stdout.String() != "" && len(all) > r.lines
	})
	raw = all[r.lines]
	r.lines++
	if err := json.Unmarshal([]byte(raw), &l); err != nil {
		r.t.Fatal(err)
	}
	return raw, l
}

func (r *running) end(want int) {
	r.t.Helper()
	if code := testkit.Receive(r.t, "the command ends", r.ended); code != want {
		r.t.Errorf("exit code %d, want %d\n%s", code, want, r.stderr.String())
	}
}

func report(t *testing.T, id string) []byte {
	t.Helper()
	req := voip.Request{
		Schema: voip.RequestSchema, Method: voip.MethodOutgoing, Attempt: 1, IdempotencyKey: id + ".r0.a1", DeviceID: "d1",
		Attribute: voip.VoipCallAttribute{
			CallID: id, UserName: "Li Lei", AbilityName: "EntryAbility", VoipCallState: voip.StateDialing,
			UserProfile: voip.UserProfile{ContentType: "image/png", Width: 112, Height: 112, Data: []byte("png")},
		},
	}
	b, err := req.Encode()
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func post(t *testing.T, url, body string) (int, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(b)
}

func TestCallKit(t *testing.T) {
	s := testkit.Broker(t)
	t.Setenv("NATS_URL", s.URL())
	r := start(t, "callkit", "--nats", "--http", "127.0.0.1:0", "--fail", "status=503 retry-after=2s call=busy", "--fail", "lost call=lost")
	url := r.url()
	r.stderr.Wait(t, "on NATS, subject "+voip.SubjectReport)

	if status, answer := post(t, url, string(report(t, "a"))); status != 200 || !strings.Contains(answer, `"errorReason":0`) {
		t.Errorf("%d %s", status, answer)
	}
	raw, l := r.line()
	if l["via"] != "http" || l["callId"] != "a" || l["idempotencyKey"] != "a.r0.a1" || l["userName"] != voip.Redacted || l["banner"] != true || l["answer"] == nil {
		t.Errorf("%s", raw)
	}

	nc := s.Conn(t)
	testkit.Eventually(t, "the service is there", func() bool {
		_, err := nc.Request("$SRV.PING.voip-callkit", nil, time.Second)
		return err == nil
	})
	if msg, err := nc.Request(voip.SubjectReport, report(t, "b"), time.Second); err != nil || !strings.Contains(string(msg.Data), `"code":1007200003`) {
		t.Errorf("a second call on the device: %v", err)
	}
	if raw, l := r.line(); l["via"] != "nats" || l["callId"] != "b" {
		t.Errorf("%s", raw)
	}
	if status, _ := post(t, url, string(report(t, "busy"))); status != 503 {
		t.Errorf("busy: %d", status)
	}
	if raw, l := r.line(); l["answer"] != nil || !strings.Contains(raw, "turned away with 503") {
		t.Errorf("%s", raw)
	}
	if _, err := nc.Request(voip.SubjectReport, report(t, "lost"), 50*time.Millisecond); !errors.Is(err, nats.ErrTimeout) {
		t.Errorf("lost: %v", err)
	}
	r.line()
	if status, answer := post(t, strings.TrimSuffix(url, "/report")+"/devices/d1/dial", ""); status != 200 || !strings.Contains(answer, `"callId":"a"`) {
		t.Errorf("the user dials: %d %s", status, answer)
	}

	r.stop()
	r.end(cli.Done)
	for _, want := range []string{"4 reports: 1 accepted", "1  ERROR_NONE", "CALLKIT_INTERNAL", "no answer: REPORT_UNAVAILABLE: turned away with 503", "2 with an injected fault"} {
		if !strings.Contains(r.stderr.String(), want) {
			t.Errorf("the summary has no %q:\n%s", want, r.stderr.String())
		}
	}
}

// TestCallKitPrivate: names are shown to those who ask for them.
func TestCallKitPrivate(t *testing.T) {
	t.Setenv("LOG_PRIVATE", "true")
	r := start(t, "callkit", "--http", "127.0.0.1:0")
	post(t, r.url(), string(report(t, "a")))
	if raw, l := r.line(); l["userName"] != "Li Lei" {
		t.Errorf("%s", raw)
	}
	r.stop()
	r.end(cli.Done)
}

func TestCallKitRefuses(t *testing.T) {
	taken, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { taken.Close() })
	t.Setenv("NATS_URL", "nats://127.0.0.1:1")
	for _, tt := range []struct {
		args []string
		code int
		want []string
	}{
		{nil, cli.Misuse, []string{"want --nats, --http ADDR or both"}},
		{[]string{"--http", "9090"}, cli.Misuse, []string{"want host:port"}},
		{[]string{"--fail", "explode", "--fail", "lost call=["}, cli.Misuse, []string{"nowhere to serve", "want one of reason=", "pattern"}},
		{[]string{"--nats", "x"}, cli.Misuse, []string{"unknown command"}},
		{[]string{"--nats"}, cli.Failed, []string{"127.0.0.1:1"}},
		{[]string{"--http", taken.Addr().String()}, cli.Failed, []string{"address already in use"}},
	} {
		r := start(t, append([]string{"callkit"}, tt.args...)...)
		r.end(tt.code)
		for _, want := range tt.want {
			if !strings.Contains(r.stderr.String(), want) {
				t.Errorf("%v: %q is missing in %s", tt.args, want, r.stderr.String())
			}
		}
	}
}
