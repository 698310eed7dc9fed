//go:build !production

package main

import (
	"bytes"
	"cmp"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/rogpeppe/go-internal/txtar"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"

	"github.com/voip-push/worker/internal/testkit"
	"github.com/voip-push/worker/internal/voip"
)

// collector is an OTLP/HTTP receiver that keeps what it is sent.
type collector struct {
	mu    sync.Mutex
	raw   bytes.Buffer
	spans []*tracepb.Span
	about string // the resource
}

func newCollector(t *testing.T) (*collector, *httptest.Server) {
	t.Helper()
	c := &collector{}
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		var batch tracepb.TracesData // the same on the wire as an ExportTraceServiceRequest
		if err == nil {
			err = proto.Unmarshal(body, &batch)
		}
		if err != nil || r.URL.Path != "/v1/traces" || r.Header.Get("Authorization") != "Bearer t" {
			t.Errorf("an export to %s with %v: %v", r.URL, r.Header, err)
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		c.keep(body, &batch)
	}))
	t.Cleanup(s.Close)
	return c, s
}

func (c *collector) keep(body []byte, batch *tracepb.TracesData) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.raw.Write(body)
	for _, r := range batch.GetResourceSpans() {
		c.about = r.GetResource().String()
		for _, s := range r.GetScopeSpans() {
			c.spans = append(c.spans, s.GetSpans()...)
		}
	}
}

// tree shows the spans below one, a line each, in the order of their start. (The
// avatar and the connection step start together: the avatar comes first.)
func (c *collector) tree(parent []byte, indent string) string {
	c.mu.Lock()
	below := slices.DeleteFunc(slices.Clone(c.spans), func(s *tracepb.Span) bool { return !bytes.Equal(s.GetParentSpanId(), parent) })
	c.mu.Unlock()
	begin := func(s *tracepb.Span) uint64 {
		if s.GetName() == "avatar" {
			return 0
		}
		return s.GetStartTimeUnixNano()
	}
	slices.SortStableFunc(below, func(a, b *tracepb.Span) int { return cmp.Compare(begin(a), begin(b)) })
	var b strings.Builder
	for _, s := range below {
		kind := strings.ToLower(strings.TrimPrefix(s.GetKind().String(), "SPAN_KIND_"))
		fmt.Fprintf(&b, "%s%s (%s)", indent, s.GetName(), kind)
		for _, a := range s.GetAttributes() {
			if shownInTree[a.GetKey()] {
				v := a.GetValue().GetStringValue()
				if v == "" {
					v = strconv.FormatInt(a.GetValue().GetIntValue(), 10)
				}
				b.WriteString(" " + a.GetKey() + "=" + v)
			}
		}
		if m := s.GetStatus().GetMessage(); m != "" {
			b.WriteString(" error: " + m)
		}
		b.WriteString("\n" + c.tree(s.GetSpanId(), indent+"  "))
	}
	return b.String()
}

var shownInTree = map[string]bool{
	"messaging.destination.name": true, "voip.call_id": true, "voip.outcome": true, "voip.reason": true, "voip.attempt": true,
	"voip.report.transport": true, "voip.push.settlement": true, "voip.avatar.status": true, "voip.callkit.error_reason": true,
}

const tracedPushes = `
-- callkit.json --
{"faults":[{"callId":"c-1","errorReason":2,"attempts":1},{"callId":"c-2","errorReason":3}]}
-- fine.json --
{"callId":"c-1","data":{"userName":"Li Lei","avatar":"https://127.0.0.1/private.png"}}
-- invalid.json --
{"callId":"c-2","data":{"userName":"Li Lei"}}
-- connect --
c-1 {"code":7}
c-1 {"code":0}
c-2 {"code":0}
`

const gateway = "00f067aa0ba902b7"

// The whole of a trace, over each way to Call Kit's side: gateway, worker, its
// attempts, what it publishes; with the contexts that others go on with.
func TestTraces(t *testing.T) {
	for _, side := range sides() {
		t.Run(side.name, func(t *testing.T) {
			c, server := newCollector(t)
			s := &scenario{path: "tracedPushes", archive: txtar.Parse([]byte("-- settings --\nOTEL_SERVICE_NAME=ours\nCONNECT_SUBJECT=calls.connect\n" +
				"OTEL_EXPORTER_OTLP_HEADERS=Authorization=Bearer%20t\nOTEL_EXPORTER_OTLP_ENDPOINT=" + server.URL + tracedPushes))}
			w := newWorld(t)
			r := newRig(t, s, w, side, s.config(t, w, side))
			for i, file := range []string{"fine.json", "invalid.json"} {
				r.step(fmt.Sprintf("push %s traceparent=00-4bf92f3577b34da6a3ce929d0e0e4736-%s-01 tracestate=gw=%d", file, gateway, i))
				r.step(fmt.Sprintf("result c-%d", i+1))
			}
			r.settled()
			r.stop()

			parent, err := hex.DecodeString(gateway)
			if err != nil {
				t.Fatal(err)
			}
			to := map[string]string{transportNATS: " messaging.destination.name=voip.callkit.report"}[side.transport]
			want := strings.NewReplacer("TRANSPORT", side.transport, "TO", to).Replace(`process voip.push (consumer) messaging.destination.name=voip.push voip.outcome=reported voip.reason=ERROR_NONE voip.call_id=c-1 voip.push.settlement=+ACK
  avatar (internal) voip.avatar.status=fallback
  connect (client) messaging.destination.name=calls.connect
  reportOutgoingCall (client) voip.report.transport=TRANSPORTTO voip.attempt=1 voip.reason=VOIP_CALL_EXISTS voip.callkit.error_reason=2
  reportOutgoingCall (client) voip.report.transport=TRANSPORTTO voip.attempt=2 voip.reason=ERROR_NONE voip.callkit.error_reason=0
  send voip.report.result (producer) messaging.destination.name=voip.report.result voip.outcome=reported voip.reason=ERROR_NONE
process voip.push (consumer) messaging.destination.name=voip.push voip.outcome=failed voip.reason=INVALID_CALL voip.call_id=c-2 voip.push.settlement=+ACK
  avatar (internal) voip.avatar.status=none
  connect (client) messaging.destination.name=calls.connect
  reportOutgoingCall (client) voip.report.transport=TRANSPORTTO voip.attempt=1 voip.reason=INVALID_CALL voip.callkit.error_reason=3
  send voip.dlq.{reason}.{token} (producer) messaging.destination.name=voip.dlq.INVALID_CALL.c-2 voip.reason=INVALID_CALL
  send voip.report.result (producer) messaging.destination.name=voip.report.result voip.outcome=failed voip.reason=INVALID_CALL
`)
			if got := c.tree(parent, ""); got != want {
				t.Errorf("the traces are\n%s\nwant\n%s", got, want)
			}
			if !strings.Contains(c.about, `"ours"`) {
				t.Errorf("the resource is %s", c.about)
			}
			checkContexts(t, r, c)
		})
	}
}

// checkContexts: requests and results carry the span that sent them, dead
// letters what the push had, log lines the ids; none a private value.
func checkContexts(t *testing.T, r *rig, c *collector) {
	t.Helper()
	var attempts, results, connects []string
	for _, s := range c.spans {
		header := fmt.Sprintf("00-%x-%x-01", s.GetTraceId(), s.GetSpanId())
		switch s.GetName() {
		case "reportOutgoingCall":
			attempts = append(attempts, header)
		case "connect":
			connects = append(connects, header)
		case "send " + voip.SubjectResult:
			results = append(results, header)
		case "process " + voip.SubjectPush:
			if !strings.Contains(r.log.String(), fmt.Sprintf("trace_id=%x span_id=%x", s.GetTraceId(), s.GetSpanId())) {
				t.Errorf("no line of the log has the ids of %v", s)
			}
			if s.GetTraceState() == "" {
				t.Error("the gateway's tracestate is lost")
			}
		}
	}
	for i, a := range r.requests.all() {
		if a.trace != "" && !slices.Contains(attempts, a.trace) || a.trace == "" && r.side.transport != transportCallKit {
			t.Errorf("request %d carries %q, want one of %q", i, a.trace, attempts)
		}
	}
	for i, q := range r.connects.asked {
		if !slices.Contains(connects, q.trace) {
			t.Errorf("question %d carries %q, want one of %q", i, q.trace, connects)
		}
	}
	for _, m := range testkit.Messages(t, r.js, voip.StreamResult) {
		if got := m.Header.Get(voip.HeaderTraceparent); !slices.Contains(results, got) {
			t.Errorf("a result carries %q, want one of %q", got, results)
		}
	}
	for _, m := range testkit.Messages(t, r.js, voip.StreamDLQ) {
		if got := m.Header.Get(voip.HeaderTraceparent); !strings.Contains(got, gateway) {
			t.Errorf("a dead letter carries %q, want the push's", got)
		}
	}
	for _, secret := range r.private {
		if bytes.Contains(c.raw.Bytes(), []byte(secret)) {
			t.Errorf("a span shows %q", secret)
		}
	}
	if len(r.private) == 0 {
		t.Error("nothing was private")
	}
}
