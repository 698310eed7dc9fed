package main

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"

	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"

	"github.com/voip-push/worker/cmd/internal/cli"
	"github.com/voip-push/worker/internal/testkit"
	"github.com/voip-push/worker/internal/voip"
)

// Each push is sent in a span of its own, which its header names; without a
// collector there is no header.
func TestTraces(t *testing.T) {
	var mu sync.Mutex
	spans := map[string]*tracepb.Span{} // by the header that names them
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		var batch tracepb.TracesData
		if err == nil {
			err = proto.Unmarshal(body, &batch)
		}
		if err != nil {
			t.Error(err)
		}
		mu.Lock()
		defer mu.Unlock()
		for _, span := range batch.GetResourceSpans()[0].GetScopeSpans()[0].GetSpans() {
			spans[fmt.Sprintf("00-%x-%x-01", span.GetTraceId(), span.GetSpanId())] = span
		}
	}))
	defer server.Close()
	s := testkit.Broker(t, testkit.Provisioned())
	run := func(args ...string) {
		t.Helper()
		if code, _, stderr := publisher(t, s.URL(), "", args...); code != cli.Done {
			t.Fatalf("%v: exit %d: %s", args, code, stderr)
		}
	}
	run("send", "--call-id", "untraced")
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", server.URL)
	run("send", "--count", "2")
	if code, _, stderr := publisher(t, s.URL(), "", "load", "--count", "2", "--timeout", "0s"); code != cli.Failed {
		t.Fatalf("without a worker calls have results: exit %d: %s", code, stderr)
	}
	pushes := testkit.Messages(t, s.JS(t), voip.StreamPush)
	if len(pushes) != 5 || len(spans) != 4 {
		t.Fatalf("%d pushes and %d spans, want 5 and 4", len(pushes), len(spans))
	}
	if h := pushes[0].Header.Get(voip.HeaderTraceparent); h != "" {
		t.Errorf("with traces off a push carries %q", h)
	}
	for _, m := range pushes[1:] {
		span := spans[m.Header.Get(voip.HeaderTraceparent)]
		if span.GetName() != "send voip.push" || span.GetKind() != tracepb.Span_SPAN_KIND_PRODUCER {
			t.Errorf("push %d with %v is of no span: %v", m.Sequence, m.Header, span)
		}
	}
}
