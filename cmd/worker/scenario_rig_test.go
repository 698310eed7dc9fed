//go:build !production

package main

import (
	"context"
	"io"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/voip-push/worker/internal/broker"
	"github.com/voip-push/worker/internal/callkit"
	"github.com/voip-push/worker/internal/report"
	"github.com/voip-push/worker/internal/testkit"
	"github.com/voip-push/worker/internal/voip"
)

// rig is one run of a scenario: a broker, a model of Call Kit, and the worker
// between them.
type rig struct {
	t         *testing.T
	s         *scenario
	w         *world
	side      side
	cfg       *config
	broker    *testkit.Server
	js        jetstream.JetStream
	model     *callkit.Model
	requests  inbox
	transport report.Transport
	connects  connections
	log       testkit.Log
	running   *running
	ends      map[string]string // a deadline in a header → how the script writes it
	private   []string          // values that nobody may see
	metrics   string            // as they were when the worker was stopped
}

// running is a started worker.
type running struct {
	stop  context.CancelFunc
	ended chan error
	from  int // where its log begins
}

func newRig(t *testing.T, s *scenario, w *world, side side, cfg *config) *rig {
	t.Helper()
	r := &rig{t: t, s: s, w: w, side: side, cfg: cfg, ends: map[string]string{}}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("the worker's log:\n%s", r.log.String())
		}
	})
	r.broker = testkit.Broker(t, testkit.Provisioned(), testkit.WithConfig(func(b *broker.Config) {
		b.AckWait, b.MaxAckPending = cfg.Consumer.AckWait, cfg.NATS.MaxAckPending
	}))
	r.js = r.broker.JS(t)
	r.cfg.NATS.URL = r.broker.URL()
	r.model = s.model(t)
	r.transport = side.open(t, r.broker, r.model, cfg, &r.requests)
	r.serveConnections()
	return r
}

// start starts a worker, which has to be the only one.
func (r *rig) start() {
	r.t.Helper()
	ctx, cancel := context.WithCancel(r.t.Context())
	run := &running{stop: cancel, ended: make(chan error, 1), from: len(r.log.String())}
	up := make(chan struct{})
	w := &worker{cfg: r.cfg, log: r.cfg.Log.Logger(&r.log), transport: r.transport, up: func(*worker) { close(up) }}
	go func() { run.ended <- w.run(ctx) }()
	r.t.Cleanup(cancel)
	select {
	case <-up:
	case err := <-run.ended:
		r.t.Fatalf("the worker did not start: %v", err)
	}
	r.running = run
}

// stop stops the worker as SIGTERM does.
func (r *rig) stop() {
	r.t.Helper()
	r.metrics += r.scrape()
	r.running.stop()
	if err := testkit.Receive(r.t, "the worker stops", r.running.ended); err != nil {
		r.t.Fatalf("the worker ended with %v", err)
	}
	r.running = nil
}

// settled waits until every push is acked.
func (r *rig) settled() {
	r.t.Helper()
	testkit.Eventually(r.t, "every push is settled", func() bool {
		c, err := r.js.Consumer(r.t.Context(), voip.StreamPush, voip.ConsumerWorkers)
		if err != nil {
			r.t.Fatal(err)
		}
		s, err := r.js.Stream(r.t.Context(), voip.StreamPush)
		if err != nil {
			r.t.Fatal(err)
		}
		// Not the pending ones: a push that was just stored may not count as one yet.
		return c.CachedInfo().AckFloor.Stream == s.CachedInfo().State.LastSeq
	})
}

var addrInLog = regexp.MustCompile(`serving /livez.* addr"?[=:]"?(127\.0\.0\.1:\d+)`)

// scrape is what /metrics of the running worker says.
func (r *rig) scrape() string {
	r.t.Helper()
	return get(r.t, probesOf(r.t, r.log.String()[r.running.from:]), "/metrics", http.StatusOK)
}

// probesOf is where a worker serves its probes, as its log says.
func probesOf(t *testing.T, log string) string {
	t.Helper()
	m := addrInLog.FindStringSubmatch(log)
	if m == nil {
		t.Fatalf("the log does not say where the probes are:\n%s", log)
	}
	return m[1]
}

// get asks a probe and expects a status.
func get(t *testing.T, addr, path string, want int) string {
	t.Helper()
	status, body, err := ask(t.Context(), addr, path)
	if err != nil || status != want {
		t.Fatalf("%s: %d %v, want %d\n%s", path, status, err, want, body)
	}
	return body
}

func ask(ctx context.Context, addr, path string) (status int, body string, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+addr+path, http.NoBody)
	if err != nil {
		return 0, "", err
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, "", err
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	return res.StatusCode, string(b), err
}

// step plays one line of a script:
//
//	push FILE [Header=value …]      a gateway sends FILE; ${NOW+1m} is a time, ${PAD:10} ten letters
//	swallowed FILE [Header=value …] the same, and the broker says that it has it already
//	cancel CALLID                   somebody cancels a call
//	start, stop                     a worker starts (whatever waits, and the script's end, start one, too), or is told to stop
//	attempted CALLID N              waits until Call Kit's side was asked N times
//	asked CALLID N                  waits until the connection step has asked N times
//	result CALLID                   waits until the call has a result
//	up, free DEVICE                 the system's service is back, the carrier call has ended
//	record KEY                      waits until the bucket of the calls has it
//	metric LINE                     waits until /metrics has the line
func (r *rig) step(line string) {
	r.t.Helper()
	verb, rest, _ := strings.Cut(line, " ")
	if r.running == nil && slices.Contains([]string{"attempted", "asked", "result", "record", "metric"}, verb) {
		r.start() // or there would be nothing to wait for
	}
	switch verb {
	case "push", "swallowed":
		r.push(rest, verb == "swallowed")
	case "cancel":
		r.publish(&nats.Msg{Subject: voip.SubjectCancel, Data: []byte(`{"callId":` + strconv.Quote(rest) + `}`)}, false)
	case "start":
		r.start()
	case "stop":
		r.stop()
	case "attempted":
		r.until(line, rest, r.requests.count)
	case "asked":
		r.until(line, rest, r.connects.count)
	case "result":
		testkit.Eventually(r.t, line, func() bool {
			for _, m := range testkit.Messages(r.t, r.js, voip.StreamResult) {
				if m.Header.Get(voip.HeaderCallID) == rest {
					return true
				}
			}
			return false
		})
	case "up":
		r.model.SetDown(false)
	case "free":
		r.model.EndCellular(rest)
	case "record":
		kv, err := r.js.KeyValue(r.t.Context(), voip.BucketCalls)
		if err != nil {
			r.t.Fatal(err)
		}
		testkit.Eventually(r.t, line, func() bool {
			_, err := kv.Get(r.t.Context(), rest)
			return err == nil
		})
	case "metric":
		testkit.Eventually(r.t, line, func() bool { return strings.Contains("\n"+r.scrape(), "\n"+rest+"\n") })
	default:
		r.t.Fatalf("there is no step %q", line)
	}
}

// until waits until the count of a call is the one behind it.
func (r *rig) until(line, idAndCount string, count func(callID string) int) {
	r.t.Helper()
	id, text, _ := strings.Cut(idAndCount, " ")
	n, err := strconv.Atoi(text)
	if err != nil {
		r.t.Fatalf("%s: %v", line, err)
	}
	testkit.Eventually(r.t, line, func() bool { return count(id) >= n })
}

var placeholder = regexp.MustCompile(`\$\{(NOW|PAD):?([^}]*)\}`)

// expand fills in what only the run knows.
func (r *rig) expand(s string) string {
	return placeholder.ReplaceAllStringFunc(r.w.expand(s), func(p string) string {
		m := placeholder.FindStringSubmatch(p)
		if m[1] == "PAD" {
			n, err := strconv.Atoi(m[2])
			if err != nil {
				r.t.Fatalf("%s: %v", p, err)
			}
			return strings.Repeat("x", n)
		}
		d, err := time.ParseDuration(m[2])
		if err != nil {
			r.t.Fatalf("%s: %v", p, err)
		}
		end := time.Now().Add(d).UTC().Format(time.RFC3339Nano)
		r.ends[end] = p
		return end
	})
}

func (r *rig) push(args string, swallowed bool) {
	r.t.Helper()
	words := strings.Fields(args)
	body, ok := r.s.file(words[0])
	if !ok {
		r.t.Fatalf("%s has no file %q", r.s.path, words[0])
	}
	msg := &nats.Msg{Subject: voip.SubjectPush, Data: []byte(r.expand(body)), Header: nats.Header{}}
	for _, h := range words[1:] {
		name, value, _ := strings.Cut(h, "=")
		msg.Header[name] = append(msg.Header[name], r.expand(value))
	}
	r.secret(msg.Data)
	r.publish(msg, swallowed)
}

func (r *rig) publish(msg *nats.Msg, swallowed bool) {
	r.t.Helper()
	ack, err := r.js.PublishMsg(r.t.Context(), msg)
	if err != nil {
		r.t.Fatal(err)
	}
	if ack.Duplicate != swallowed {
		r.t.Fatalf("the broker swallowed the push: %t, want %t", ack.Duplicate, swallowed)
	}
}

// secret notes what of a push nobody may see but Call Kit's side.
func (r *rig) secret(body []byte) {
	p, _ := voip.DecodePush(body, voip.Defaults{}) // what could be read of it
	for _, s := range []string{p.UserName, p.Avatar.Source} {
		if len(s) >= shortestSecret {
			r.private = append(r.private, s)
		}
	}
	// Those that are no values are private all the same.
	for _, m := range privateInBody.FindAllStringSubmatch(strings.ReplaceAll(string(body), `\`, ""), -1) {
		r.private = append(r.private, m[1])
	}
}

// shortestSecret: what is shorter is found everywhere by chance.
const shortestSecret = 3

var privateInBody = regexp.MustCompile(`"(?:userName|avatar)": ?"([^"]{3,})"`)
