//go:build !production

package main

import (
	"fmt"
	"maps"
	"os/exec"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/voip-push/worker/internal/broker"
	"github.com/voip-push/worker/internal/callkit"
	"github.com/voip-push/worker/internal/testkit"
	"github.com/voip-push/worker/internal/voip"
)

// fleet is a broker, a model of Call Kit on NATS, and whatever workers a test
// starts.
type fleet struct {
	t        *testing.T
	broker   *testkit.Server
	js       jetstream.JetStream
	model    *callkit.Model
	requests inbox
}

const fleetAckWait = 4 * time.Second

func newFleet(t *testing.T, faults ...callkit.Fault) *fleet {
	t.Helper()
	f := &fleet{t: t, model: callkit.New(callkit.Options{})}
	f.broker = testkit.Broker(t, testkit.Provisioned(), testkit.WithConfig(func(b *broker.Config) { b.AckWait = fleetAckWait }))
	f.js = f.broker.JS(t)
	for _, fault := range faults {
		if _, err := f.model.Inject(fault); err != nil {
			t.Fatal(err)
		}
	}
	nc := f.broker.Conn(t)
	if _, err := nc.Subscribe(voip.SubjectReport, func(msg *nats.Msg) {
		f.requests.put(arrived{body: msg.Data, key: msg.Header.Get(voip.HeaderIdempotencyKey)})
	}); err != nil {
		t.Fatal(err)
	}
	serveCallKit(t, nc, voip.SubjectReport, f.model)
	return f
}

// worker starts a worker of the fleet; more are settings over the fleet's.
func (f *fleet) worker(more map[string]string) *process {
	f.t.Helper()
	values := map[string]string{
		"NATS_URL": f.broker.URL(), "NATS_PUSH_MAX_BYTES": "64MiB", "REPORT_TRANSPORT": "nats",
		"CONSUMER_ACK_WAIT": fleetAckWait.String(), "CALL_TTL": "300s",
	}
	maps.Copy(values, more)
	return startProcess(f.t, values)
}

func (f *fleet) push(id string) {
	f.t.Helper()
	body := fmt.Sprintf(`{"callId":%q,"data":{"userName":"Li Lei"}}`, id)
	// A publish that fails may be stored all the same: its id lets it be repeated.
	testkit.Eventually(f.t, "push "+id, func() bool {
		_, err := f.js.Publish(f.t.Context(), voip.SubjectPush, []byte(body), jetstream.WithMsgID(id))
		return err == nil
	})
}

func (f *fleet) stored(stream string) uint64 {
	s, err := f.js.Stream(f.t.Context(), stream)
	if err != nil {
		return 0 // the server may be away
	}
	return s.CachedInfo().State.Msgs
}

// results waits until there are as many, and until every push is acked; then it
// expects exactly one for each call.
func (f *fleet) results(calls int) map[string]voip.Result {
	f.t.Helper()
	testkit.Eventually(f.t, "every call has its result", func() bool { return f.stored(voip.StreamResult) >= uint64(calls) })
	testkit.Eventually(f.t, "every push is acked", func() bool {
		c, err := f.js.Consumer(f.t.Context(), voip.StreamPush, voip.ConsumerWorkers)
		return err == nil && c.CachedInfo().NumPending == 0 && c.CachedInfo().NumAckPending == 0
	})
	results := map[string]voip.Result{}
	for _, m := range testkit.Messages(f.t, f.js, voip.StreamResult) {
		r, err := voip.DecodeResult(m.Data)
		if err != nil {
			f.t.Fatal(err)
		}
		if _, again := results[r.CallID]; again {
			f.t.Errorf("a second result of %s: %s", r.CallID, m.Data)
		}
		results[r.CallID] = r
	}
	if len(results) != calls {
		f.t.Errorf("results of %d calls, want %d", len(results), calls)
	}
	dead := map[string]int{}
	for _, m := range testkit.Messages(f.t, f.js, voip.StreamDLQ) {
		dead[m.Header.Get(voip.HeaderCallID)]++
	}
	for id, r := range results {
		if want := map[bool]int{true: 1}[r.DeadLettered]; dead[id] != want {
			f.t.Errorf("%s has %d dead letters, want %d", id, dead[id], want)
		}
	}
	return results
}

// keysOf are the idempotency keys that arrived for a call.
func (f *fleet) keysOf(id string) (keys []string) {
	for _, a := range f.requests.all() {
		if strings.HasPrefix(a.key, id+".") {
			keys = append(keys, a.key)
		}
	}
	return keys
}

// SIGTERM: started attempts are finished, waiting and unstarted calls are given
// back and finished by a second worker, and no attempt is repeated.
func TestDrain(t *testing.T) {
	t.Parallel()
	f := newFleet(t,
		callkit.Fault{CallID: "waiting-*", Effect: callkit.AnswerWith, ErrorReason: voip.CellularCallExists, Attempts: 1},
		callkit.Fault{CallID: "running", Effect: callkit.Delay, Latency: callkit.Latency{P50: 700 * time.Millisecond}})
	first := f.worker(map[string]string{"REPORT_CONCURRENCY": "1", "REPORT_BACKOFF_INITIAL": "2s"})
	for i := range 3 {
		f.push(fmt.Sprintf("waiting-%d", i))
		testkit.Eventually(t, "the first attempt", func() bool { return f.requests.count(fmt.Sprintf("waiting-%d", i)) == 1 })
	}
	f.push("running")
	testkit.Eventually(t, "the attempt is under way", func() bool { return f.requests.count("running") == 1 })
	for i := range 5 {
		f.push(fmt.Sprintf("unstarted-%d", i))
	}
	first.log.Wait(t, "waiting-2")
	first.drained()
	if got := f.stored(voip.StreamResult); got != 1 {
		t.Errorf("%d results after the drain, want the one of the running attempt", got)
	}
	second := f.worker(map[string]string{"REPORT_BACKOFF_INITIAL": "1ms"})
	results := f.results(9)
	for id, r := range results {
		attempts, keys := 1, []string{id + ".r0.a1"}
		if strings.HasPrefix(id, "waiting") {
			attempts, keys = 2, append(keys, id+".r0.a2")
		}
		if r.Outcome != voip.Reported || r.AttemptsTotal != attempts || fmt.Sprint(f.keysOf(id)) != fmt.Sprint(keys) {
			t.Errorf("%s: %s after %d attempts under %v, want reported under %v", id, r.Outcome, r.AttemptsTotal, f.keysOf(id), keys)
		}
	}
	if r := results["running"]; r.Push.Deliveries != 1 {
		t.Errorf("the running call was delivered %d times, want 1", r.Push.Deliveries)
	}
	second.drained()
}

// An attempt that does not end in time is given up, and the drain is over soon
// all the same.
func TestDrainTimeout(t *testing.T) {
	t.Parallel()
	f := newFleet(t, callkit.Fault{CallID: "stuck", Effect: callkit.Delay, Attempts: 1, Latency: callkit.Latency{P50: time.Hour}})
	p := f.worker(map[string]string{"REPORT_TIMEOUT": "60s", "CONSUMER_DRAIN_TIMEOUT": "2s"})
	f.push("stuck")
	testkit.Eventually(t, "the attempt is under way", func() bool { return f.requests.count("stuck") == 1 })
	p.signal(syscall.SIGTERM)
	if code := p.exit(); code != 0 {
		t.Errorf("exit code %d, want 0", code)
	}
	f.worker(nil)
	r := f.results(1)["stuck"]
	// Whether it rang is not known, so the key is the same, and the bridge answers what it answered.
	if keys := fmt.Sprint(f.keysOf("stuck")); r.Outcome != voip.Reported || keys != "[stuck.r0.a1 stuck.r0.a1]" {
		t.Errorf("%s under %s, want reported under the same key again", r.Outcome, keys)
	}
	if n := f.model.Stats().Accepted; n != 1 {
		t.Errorf("it rang %d times", n)
	}
}

// A second signal ends the worker at once.
func TestSecondSignal(t *testing.T) {
	t.Parallel()
	f := newFleet(t, callkit.Fault{Effect: callkit.Delay, Latency: callkit.Latency{P50: time.Hour}})
	for _, second := range []syscall.Signal{syscall.SIGTERM, syscall.SIGINT} {
		p := f.worker(map[string]string{"REPORT_TIMEOUT": "60s", "CONSUMER_DRAIN_TIMEOUT": "10m"})
		id := "stuck-" + second.String()
		f.push(id)
		testkit.Eventually(t, "the attempt is under way", func() bool { return f.requests.count(id) == 1 })
		p.signal(syscall.SIGTERM)
		p.log.Wait(t, "draining")
		p.signal(second)
		if code := p.exit(); code == 0 {
			t.Error("exit code 0, though calls were cut off")
		}
	}
}

const crashCalls = 150

// rush pushes many calls, of which some are busy, some invalid and a few lose
// an answer.
func (f *fleet) rush() {
	for i := range crashCalls {
		kind := [...]string{"fine", "fine", "busy", "invalid", "fine"}[i%5]
		if i%25 == 0 {
			kind = "lost"
		}
		f.push(fmt.Sprintf("%s-%d", kind, i))
	}
}

func rushFaults() []callkit.Fault {
	return []callkit.Fault{
		{Effect: callkit.Delay, Latency: callkit.Latency{P50: 5 * time.Millisecond}},
		{CallID: "busy-*", Effect: callkit.AnswerWith, ErrorReason: voip.VoipCallExists, Attempts: 2},
		{CallID: "invalid-*", Effect: callkit.AnswerWith, ErrorReason: voip.InvalidCall},
		{CallID: "lost-*", Effect: callkit.LoseAnswer, Attempts: 1},
	}
}

// rushed expects of each call what it must end as, whatever happened meanwhile.
func (f *fleet) rushed() {
	f.t.Helper()
	reported := int64(0)
	for id, r := range f.results(crashCalls) {
		want := voip.ReasonNone
		if strings.HasPrefix(id, "invalid") {
			want = voip.ReasonInvalidCall
		} else {
			reported++
		}
		if r.Reason != want {
			f.t.Errorf("%s: %s, want %s", id, r.Reason, want)
		}
	}
	if rang := f.model.Stats().Accepted; rang != reported {
		f.t.Errorf("%d banners for %d reported calls", rang, reported)
	}
}

var rushSettings = map[string]string{
	"REPORT_TIMEOUT": "200ms", "REPORT_BACKOFF_INITIAL": "20ms", "REPORT_BACKOFF_MAX": "50ms", "REPORT_CONCURRENCY": "4",
}

// Exactly one result for each call, and one ring, though workers are killed in
// the middle.
func TestKill(t *testing.T) {
	t.Parallel()
	f := newFleet(t, rushFaults()...)
	f.rush()
	for kills := range 2 {
		p := f.worker(rushSettings)
		target := uint64(crashCalls * (kills + 1) / 4) // from its third delivery on a push runs alone
		testkit.Eventually(t, "some results", func() bool { return f.stored(voip.StreamResult) >= target })
		p.signal(syscall.SIGKILL)
		<-p.ended
	}
	f.worker(rushSettings)
	f.rushed()
}

// The same, though the server goes and comes back in the middle.
func TestServerRestart(t *testing.T) {
	t.Parallel()
	f := newFleet(t, rushFaults()...)
	p := f.worker(rushSettings)
	f.rush()
	testkit.Eventually(t, "some results", func() bool { return f.stored(voip.StreamResult) >= crashCalls/10 })
	f.broker.Stop()
	p.unready("nats")
	f.broker.Start(t)
	p.ready()
	f.rushed()
	p.drained()
}

// A broker that refuses this worker is waited for, too, and why stays to be seen.
func TestRefusedByTheBroker(t *testing.T) {
	t.Parallel()
	b := testkit.Broker(t, testkit.WithServer(func(o *server.Options) { o.Authorization = "secret" }))
	p := startProcess(t, map[string]string{"NATS_URL": strings.Replace(b.URL(), "://", "://guess@", 1), "REPORT_TRANSPORT": "nats"})
	p.unready("nats: not connected to nats://[private]@127.0.0.1")
	p.unready("Authorization Violation")
	p.drained()
	p.log.Wait(t, "msg=stopped")
	if strings.Contains(p.log.String(), "guess") {
		t.Error("the token is logged")
	}
}

// A broker without JetStream is waited for, and the log says that it has none.
func TestBrokerWithoutJetStream(t *testing.T) {
	t.Parallel()
	b := testkit.Broker(t, testkit.WithServer(func(o *server.Options) { o.JetStream = false }))
	p := startProcess(t, map[string]string{"NATS_URL": b.URL(), "REPORT_TRANSPORT": "nats"})
	p.unready("streams: the broker has no JetStream")
	p.log.Wait(t, `msg="waiting for the broker" error="the broker has no JetStream, or not for this account: is NATS_URL right?"`)
	p.drained()
}

// A broker that is not there is waited for, unready and with a line in the log;
// and so are streams that are not there.
func TestBrokerComesLater(t *testing.T) {
	t.Parallel()
	b := testkit.Broker(t)
	b.Stop()
	p := startProcess(t, map[string]string{"NATS_URL": b.URL(), "REPORT_TRANSPORT": "nats", "NATS_PUSH_MAX_BYTES": "64MiB"})
	p.unready("nats: not connected")
	p.log.Wait(t, "waiting for the broker")
	get(t, p.addr(), "/livez", 200)
	health(t, p.addr(), 1, "503 Service Unavailable: not ready")

	b.Start(t)
	p.unready("streams: missing: stream VOIP_PUSH")
	p.log.Wait(t, "missing: stream VOIP_PUSH")
	if _, err := broker.Provision(t.Context(), b.JS(t), &b.Config); err != nil {
		t.Fatal(err)
	}
	p.ready()
	health(t, p.addr(), 0, "")
	if body := get(t, p.addr(), "/livez", 200); !strings.HasPrefix(body, "alive\n") {
		t.Errorf("/livez says %q", body)
	}
	p.drained()
}

// A worker that waits for its broker can be stopped.
func TestStopWhileWaiting(t *testing.T) {
	t.Parallel()
	p := startProcess(t, map[string]string{"NATS_URL": "nats://127.0.0.1:1", "REPORT_TRANSPORT": "nats"})
	p.unready("nats")
	p.drained()
}

// health asks with the command, as the image's probe does.
func health(t *testing.T, addr string, code int, says string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "worker", "healthcheck")
	cmd.Env = []string{"HTTP_ADDR=" + addr, "GORACE=" + noExitSleep}
	out, _ := cmd.CombinedOutput() // the exit code is looked at
	if got := cmd.ProcessState.ExitCode(); got != code || !strings.Contains(string(out), says) {
		t.Errorf("healthcheck ended with %d and said %q, want %d and %q", got, out, code, says)
	}
}

// The embedded broker is the default: everything in one process, and its data
// outlives it.
func TestEmbedded(t *testing.T) {
	t.Parallel()
	values := map[string]string{"NATS_EMBEDDED_ADDR": "127.0.0.1:0", "NATS_EMBEDDED_DIR": t.TempDir(), "NATS_PUSH_MAX_BYTES": "64MiB"}
	var js jetstream.JetStream
	start := func() *process {
		p := startProcess(t, values)
		p.ready()
		nc, err := nats.Connect(regexp.MustCompile(`url=(nats://\S+)`).FindStringSubmatch(p.log.String())[1])
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(nc.Close)
		if js, err = broker.JetStream(nc); err != nil {
			t.Fatal(err)
		}
		return p
	}
	p := start()
	push := func() {
		if _, err := js.Publish(t.Context(), voip.SubjectPush, []byte(`{"callId":"c-1","data":{}}`)); err != nil {
			t.Fatal(err)
		}
	}
	push()
	testkit.Eventually(t, "the result", func() bool { return len(testkit.Messages(t, js, voip.StreamResult)) == 1 })
	var metrics string
	testkit.Eventually(t, "it to be counted and let go", func() bool { // a moment after its result is stored
		metrics = get(t, p.addr(), "/metrics", 200)
		return strings.Contains(metrics, "\nvoip_call_latency_seconds_count{outcome=\"reported\"} 1\n") && strings.Contains(metrics, "\nvoip_calls_in_flight 0\n")
	})
	for _, line := range []string{
		`voip_pushes_total{outcome="reported",reason="ERROR_NONE"} 1`,
		`voip_pushes_total{outcome="failed",reason="CRASH_LOOP"} 0`,
		`voip_report_attempts_total{reason="ERROR_NONE"} 1`,
		`voip_dead_letters_total{reason="INVALID_CALL"} 0`,
		`voip_duplicates_total 0`, `voip_pushes_without_id_total 0`, `voip_redeliveries_total 0`, `voip_calls_in_flight 0`,
		`voip_avatars_total{reason="",status="none"} 1`, `voip_report_circuit_open 0`,
		`voip_call_latency_seconds_count{outcome="reported"} 1`, `voip_stage_duration_seconds_count{stage="report"} 1`,
	} {
		if !strings.Contains(metrics, "\n"+line+"\n") {
			t.Errorf("/metrics lacks %s", line)
		}
	}
	for _, name := range []string{"voip_avatar_cache_total{", "voip_build_info{"} {
		if !strings.Contains(metrics, "\n"+name) {
			t.Errorf("/metrics lacks %s", name)
		}
	}
	p.drained()
	p = start()
	push() // the claim is still known
	testkit.Eventually(t, "the duplicate", func() bool {
		return strings.Contains(get(t, p.addr(), "/metrics", 200), "\nvoip_duplicates_total 1\n")
	})
	p.drained()
}
