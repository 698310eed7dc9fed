//go:build !production

package main

import (
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/voip-push/worker/internal/callkit"
	"github.com/voip-push/worker/internal/testkit"
	"github.com/voip-push/worker/internal/voip"
)

// What a worker shows before its first push is what rules and dashboards can
// count on; they are checked against this page.
func TestMetricsPage(t *testing.T) {
	t.Parallel()
	p := startProcess(t, map[string]string{"NATS_URL": "nats://127.0.0.1:1", "REPORT_TRANSPORT": "nats"})
	var page strings.Builder
	for line := range strings.Lines(get(t, p.addr(), "/metrics", 200)) {
		if strings.Contains(line, "voip_") {
			page.WriteString(line)
		}
	}
	build := regexp.MustCompile(`voip_build_info\{.*\}`)
	testkit.Golden(t, "../../../deploy/monitoring/metrics.prom",
		build.ReplaceAll([]byte(page.String()), []byte(`voip_build_info{commit="unknown",go_version="go1.26",version="devel"}`)))
}

// The fleet's queue is shown, and what keeps a worker from pulling.
func TestQueueAndConditionsAreShown(t *testing.T) {
	t.Parallel()
	f := newFleet(t, callkit.Fault{CallID: "c-*", Effect: callkit.Delay, Latency: callkit.Latency{P50: time.Minute}})
	p := f.worker(map[string]string{"CONSUMER_MAX_IN_FLIGHT": "1", "REPORT_TIMEOUT": "60s"})
	shows := func(line string) {
		t.Helper()
		testkit.Eventually(t, line, func() bool { return strings.Contains(get(t, p.addr(), "/metrics", 200), "\n"+line+"\n") })
	}
	for _, condition := range []string{condNATS, condStreams, condPulling} {
		shows(`voip_ready{condition="` + condition + `"} 1`)
	}
	for i := range 3 {
		f.push(fmt.Sprintf("c-%d", i))
	}
	shows(`voip_queue_pushes{state="held"} 1`)
	shows(`voip_queue_pushes{state="waiting"} 2`)
	if err := f.js.DeleteConsumer(t.Context(), voip.StreamPush, voip.ConsumerWorkers); err != nil {
		t.Fatal(err)
	}
	shows(`voip_ready{condition="streams"} 0`)
}
