package callkit

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/voip-push/worker/internal/voip"
)

// far is a served model, asked over HTTP.
type far struct {
	*Model

	t   *testing.T
	url string
}

func serveOverHTTP(t *testing.T, opts Options) *far {
	t.Helper()
	m := New(opts)
	s := httptest.NewServer(m.Handler())
	t.Cleanup(s.Close)
	return &far{m, t, s.URL}
}

// ask sends a request; status 0: no answer came.
func (f *far) ask(method, path, body string, header ...string) (status int, h http.Header, answer string) {
	f.t.Helper()
	ctx, cancel := context.WithTimeout(f.t.Context(), 5*time.Second)
	defer cancel()
	if len(header) > 0 && header[0] == "impatient" {
		ctx, cancel = context.WithTimeout(f.t.Context(), 50*time.Millisecond)
		defer cancel()
		header = nil
	}
	r, err := http.NewRequestWithContext(ctx, method, f.url+path, strings.NewReader(body))
	if err != nil {
		f.t.Fatal(err)
	}
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		return 0, nil, err.Error()
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		f.t.Fatal(err)
	}
	return resp.StatusCode, resp.Header, string(b)
}

func body(t *testing.T, r *voip.Request) string {
	t.Helper()
	b, err := r.Encode()
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestServeReports(t *testing.T) {
	f := serveOverHTTP(t, Options{})
	for _, tt := range []struct {
		name, path, body string
		header           []string
		status           int
		answer           string
	}{
		{"a report", "/report", body(t, request("c")), nil, 200, `{"code":0,"errorReason":0,"message":"","duplicate":false}`},
		{"on the root", "/", body(t, request("root")), nil, 200, `"code":0`},
		{"reported twice", "/report", body(t, request("c")), nil, 200, `"code":1007200001`},
		{"under a key", "/report", body(t, request("k")), []string{voip.HeaderIdempotencyKey, "k.r0.a1"}, 200, `"code":0`},
		{"under the key again", "/report", body(t, request("k")), []string{voip.HeaderIdempotencyKey, "k.r0.a1"}, 200, `"code":0`},
		{"under another call's key", "/report", body(t, request("o")), []string{voip.HeaderIdempotencyKey, "k.r0.a2"}, 200, `"errorReason":3`},
		{"no JSON", "/report", "{", nil, 200, `"code":401`},
		{"a wrong type", "/report", `{"method":1}`, nil, 200, `"code":401`},
		{"too long", "/report", strings.Repeat(" ", maxRequestBytes+1), nil, 413, "too long"},
		{"elsewhere", "/reports", body(t, request("e")), nil, 404, ""},
	} {
		status, _, answer := f.ask(http.MethodPost, tt.path, tt.body, tt.header...)
		if status != tt.status || !strings.Contains(answer, tt.answer) {
			t.Errorf("%s: %d %s", tt.name, status, answer)
		}
	}
	if status, _, _ := f.ask(http.MethodGet, "/report", ""); status != http.StatusMethodNotAllowed {
		t.Errorf("GET: %d", status)
	}
	if s := f.Stats(); s.Accepted != 3 || s.Replayed != 1 {
		t.Errorf("%+v", s)
	}
}

func TestServeFaults(t *testing.T) {
	f := serveOverHTTP(t, Options{})
	for id, rule := range map[string]string{
		"busy": "status=503 retry-after=1500ms", "fleet": "status=401", "reset": "reset", "away": "away", "lost": "lost",
		"reason": "reason=4", "slow": "latency=1h", "later": "reason=4 after=1h",
	} {
		fault, err := ParseFault(rule + " call=" + id)
		if err != nil {
			t.Fatal(err)
		}
		inject(t, f.Model, fault)
	}
	post := func(id string, header ...string) (int, http.Header, string) {
		return f.ask(http.MethodPost, ReportPath, body(t, request(id)), header...)
	}
	if status, h, _ := post("busy"); status != 503 || h.Get("Retry-After") != "2" {
		t.Errorf("busy: %d %v", status, h)
	}
	if status, _, _ := post("fleet"); status != 401 {
		t.Errorf("fleet: %d", status)
	}
	for _, id := range []string{"reset", "away"} {
		if status, _, err := post(id); status != 0 || !strings.Contains(err, "reset") {
			t.Errorf("%s: %d %s", id, status, err)
		}
	}
	for _, id := range []string{"lost", "slow"} {
		if status, _, err := post(id, "impatient"); status != 0 || !strings.Contains(err, "deadline") {
			t.Errorf("%s: %d %s", id, status, err)
		}
	}
	if status, _, answer := post("reason"); status != 200 || !strings.Contains(answer, `"errorReason":4`) {
		t.Errorf("reason: %d %s", status, answer)
	}
	if _, _, answer := post("later"); !strings.Contains(answer, `"errorReason":0`) {
		t.Errorf("later: %s", answer)
	}
	if s := f.Stats(); s.Accepted != 3 { // lost, slow, later
		t.Errorf("%+v", s)
	}
}

// TestServeHTTP: it ends with its context, whatever is under way, and with its
// listener.
func TestServeHTTP(t *testing.T) {
	asked := make(chan struct{}, 2)
	m := New(Options{})
	inject(t, m, Fault{CallID: "lost", Effect: LoseAnswer})
	inject(t, m, Fault{CallID: "slow", Latency: Latency{P50: time.Hour}})
	m.opts.Observe = func(e Event) {
		if e.CallID == "lost" {
			asked <- struct{}{}
		}
	}
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	served := make(chan error, 1)
	go func() { served <- ServeHTTP(ctx, l, m, slog.New(slog.DiscardHandler)) }()
	f := &far{m, t, "http://" + l.Addr().String()}
	ended := make(chan int, 2)
	for _, id := range []string{"lost", "slow"} {
		text := body(t, request(id))
		go func() {
			status, _, _ := f.ask(http.MethodPost, ReportPath, text)
			ended <- status
		}()
	}
	<-asked
	cancel()
	if err := <-served; err != nil {
		t.Error(err)
	}
	<-ended
	<-ended
	if err := ServeHTTP(t.Context(), l, m, slog.New(slog.DiscardHandler)); err == nil {
		t.Error("it serves on a listener that is closed")
	}
}

func TestControl(t *testing.T) {
	f := serveOverHTTP(t, Options{List: true})
	post := func(path, text string) (int, string) {
		status, _, answer := f.ask(http.MethodPost, path, text)
		return status, strings.TrimSpace(answer)
	}
	calls := func() string {
		_, _, answer := f.ask(http.MethodGet, "/calls", "")
		var list []Call
		if err := json.Unmarshal([]byte(answer), &list); err != nil {
			t.Fatal(err)
		}
		words := make([]string, len(list))
		for i, c := range list {
			words[i] = c.DeviceID + "/" + c.CallID + ":" + strings.TrimPrefix(c.State, "VOIP_CALL_STATE_")
		}
		return strings.Join(words, " ")
	}
	for _, r := range []*voip.Request{request("alone"), request("in", incoming), request("out", on("d1")), request("ring", on("d2"), incoming, of("b"))} {
		if status, answer := post(ReportPath, body(t, r)); status != 200 || !strings.Contains(answer, `"errorReason":0`) {
			t.Fatalf("%d %s", status, answer)
		}
	}
	for _, tt := range []struct {
		path, body string
		status     int
		answer     string
		calls      string
	}{
		{"", "", 0, "", "/alone:DIALING /in:RINGING d1/out:DIALING d2/ring:RINGING"},
		{"/calls/alone/answer", "", 200, `{"code":0}`, "/alone:ACTIVE /in:RINGING d1/out:DIALING d2/ring:RINGING"},
		{"/calls/ring/answer?device=d2&bundle=b", "", 200, `{"code":0}`, "/alone:ACTIVE /in:RINGING d1/out:DIALING d2/ring:ANSWERED"},
		{"/calls/ring/hangup?device=d2", "", 404, "GET /calls", "/alone:ACTIVE /in:RINGING d1/out:DIALING d2/ring:ANSWERED"},
		{"/calls/ring/hangup?device=d2&bundle=b", "", 200, `{"code":0}`, "/alone:ACTIVE /in:RINGING d1/out:DIALING"},
		{"/calls/in/explode", "", 404, "answer or hangup", "/alone:ACTIVE /in:RINGING d1/out:DIALING"},
		{"/devices/d1/answer", "", 200, `"reason":4`, "/alone:ACTIVE /in:RINGING"},
		{ReportPath, body(t, request("busy", on("d1"))), 200, `"errorReason":1`, "/alone:ACTIVE /in:RINGING"},
		{"/devices/d1/end", "", 200, `{"ended":[]}`, "/alone:ACTIVE /in:RINGING"},
		{ReportPath, body(t, request("free", on("d1"))), 200, `"errorReason":0`, "/alone:ACTIVE /in:RINGING d1/free:DIALING"},
		{"/devices/d1/dial", "", 200, `"reason":1`, "/alone:ACTIVE /in:RINGING"},
		{"/devices/d1/explode", "", 404, "dial, answer or end", "/alone:ACTIVE /in:RINGING"},
		{"/service/down", "", 200, `{"down":true}`, ""},
		{ReportPath, body(t, request("down")), 200, `"code":1007200002`, ""},
		{"/service/up", "", 200, `{"down":false}`, ""},
		{ReportPath, body(t, request("up")), 200, `"code":0`, "/up:DIALING"},
		{"/service/restart", "", 200, `{"down":false}`, ""},
		{"/service/explode", "", 404, "down, up or restart", ""},
		{"/faults", "reason=2 call=bad", 200, `[{"rule":"reason=2 call=bad","active":true}]`, ""},
		{ReportPath, body(t, request("bad")), 200, `"errorReason":2`, ""},
		{"/faults", "explode", 400, "want one of", ""},
		{"/faults", "lost call=[", 400, "pattern", ""},
	} {
		if tt.path != "" {
			if status, answer := post(tt.path, tt.body); status != tt.status || !strings.Contains(answer, tt.answer) {
				t.Errorf("POST %s: %d %s", tt.path, status, answer)
			}
		}
		if got := calls(); got != tt.calls {
			t.Errorf("after POST %s the calls are %q, want %q", tt.path, got, tt.calls)
		}
	}
	for _, method := range []string{http.MethodGet, http.MethodDelete} {
		_, _, answer := f.ask(method, "/faults", "")
		if want := method == http.MethodGet; strings.Contains(answer, "reason=2") != want {
			t.Errorf("%s /faults: %s", method, answer)
		}
	}
	_, _, answer := f.ask(http.MethodGet, "/stats", "")
	var s Stats
	if err := json.NewDecoder(bytes.NewReader([]byte(answer))).Decode(&s); err != nil || s != f.Stats() || s.Requests == 0 {
		t.Errorf("%s, %v", answer, err)
	}
}

// TestListIsBounded: a load of hours does not fill the memory.
func TestListIsBounded(t *testing.T) {
	m, _ := newTest(t, Options{List: true})
	for i := range 2 * maxListed {
		m.remember(Ref{CallID: strings.Repeat("x", i%7)})
	}
	if n := len(m.recent); n > maxListed {
		t.Errorf("%d calls are remembered", n)
	}
}
