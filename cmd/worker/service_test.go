//go:build !production

package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/micro"

	"github.com/voip-push/worker/internal/callkit"
	"github.com/voip-push/worker/internal/telemetry"
	"github.com/voip-push/worker/internal/testkit"
	"github.com/voip-push/worker/internal/voip"
)

// leastPrivilege is a server's option: whoever has no name may do all,
// "worker" what a worker needs, and nothing of $SRV.
func leastPrivilege(o *server.Options) {
	o.NoAuthUser = "all"
	o.Users = []*server.User{{Username: "all"}, {Username: "worker", Password: "secret", Permissions: &server.Permissions{
		Publish: &server.SubjectPermission{Allow: []string{
			"$JS.API.STREAM.INFO.*", "$JS.API.CONSUMER.INFO.VOIP_PUSH.voip-workers", "$JS.API.CONSUMER.MSG.NEXT.VOIP_PUSH.voip-workers",
			"$JS.ACK.VOIP_PUSH.voip-workers.>", "$JS.API.STREAM.MSG.GET.KV_VOIP_CALLS", "$KV.VOIP_CALLS.>",
			"$JS.API.CONSUMER.*.VOIP_CANCEL.>", "$JS.API.CONSUMER.MSG.NEXT.VOIP_CANCEL.>",
			voip.SubjectResult, voip.DLQPrefix + ">", voip.SubjectReport,
		}},
		Subscribe: &server.SubjectPermission{Allow: []string{inboxPrefix + ".>"}},
	}}}
}

// TestService: a worker shows among the micro services with what it has done;
// one that may not do that works all the same, and says so.
func TestService(t *testing.T) {
	t.Parallel()
	f := newFleet(t, callkit.Fault{CallID: "bad", Effect: callkit.AnswerWith, ErrorReason: voip.InvalidCall})
	p := f.worker(nil)
	p.ready()
	f.push("good")
	f.push("bad")
	f.results(2)
	nc := f.broker.Conn(t)
	var info micro.Info
	askService(t, nc, "$SRV.INFO.voip-worker", &info)
	if info.Name != "voip-worker" || !strings.HasSuffix(info.Metadata["worker"], "/"+info.ID) || info.Metadata["transport"] != "nats" || len(info.Endpoints) != 1 || info.Endpoints[0].Subject != "voip.push" {
		t.Errorf("%+v", info)
	}
	var stats micro.Stats
	testkit.Eventually(t, "both calls are counted", func() bool { // a moment after their results are stored
		stats = micro.Stats{}
		askService(t, nc, "$SRV.STATS.voip-worker."+info.ID, &stats)
		return len(stats.Endpoints) == 1 && stats.Endpoints[0].NumRequests == 2
	})
	e := stats.Endpoints[0]
	var totals telemetry.Totals
	if err := json.Unmarshal(e.Data, &totals); err != nil || e.NumErrors != 1 || e.AverageProcessingTime <= 0 || e.LastError != "" || totals.Reasons["INVALID_CALL"] != 1 {
		t.Errorf("%v: %+v %s", err, e, e.Data)
	}
	p.drained()
	if _, err := nc.Request("$SRV.PING.voip-worker", nil, time.Second); err == nil {
		t.Error("a stopped worker answers")
	}
}

func TestServiceRefused(t *testing.T) {
	t.Parallel()
	s := testkit.Broker(t, testkit.Provisioned(), testkit.WithServer(leastPrivilege))
	f := &fleet{t: t, broker: s, js: s.JS(t), model: callkit.New(callkit.Options{})}
	serveCallKit(t, s.Conn(t), voip.SubjectReport, f.model)
	password := filepath.Join(t.TempDir(), "password")
	if err := os.WriteFile(password, []byte("secret"), 0o600); err != nil {
		t.Fatal(err)
	}
	p := f.worker(map[string]string{"NATS_USER": "worker", "NATS_PASSWORD_FILE": password, "CONSUMER_ACK_WAIT": "5s"})
	p.ready()
	f.push("c-1")
	f.results(1)
	p.log.Wait(t, `level=INFO msg="no permission to show as a NATS micro service"`)
	if log := p.log.String(); strings.Contains(log, "level=ERROR") || strings.Contains(log, "level=WARN") {
		t.Error("it complains")
	}
	p.drained()
}

func askService(t *testing.T, nc *nats.Conn, subject string, into any) {
	t.Helper()
	m, err := nc.Request(subject, nil, 10*time.Second)
	if err == nil {
		err = json.Unmarshal(m.Data, into)
	}
	if err != nil {
		t.Fatalf("%s: %v", subject, err)
	}
}

func TestSemantic(t *testing.T) {
	t.Parallel()
	for version, want := range map[string]string{"v1.2.3": "1.2.3", "1.0.0-rc.1": "1.0.0-rc.1", "dev": "0.0.0-dev", "v0.0.0-20261125150405-abcdef": "0.0.0-20261125150405-abcdef"} {
		if got := semantic(version); got != want {
			t.Errorf("%s is %s, want %s", version, got, want)
		}
	}
}
