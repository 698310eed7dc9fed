package report

import (
	"context"
	"io"
	"net/http"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"

	"github.com/voip-push/worker/internal/callkit"
	"github.com/voip-push/worker/internal/testkit"
	"github.com/voip-push/worker/internal/voip"
)

// TestHangingCalls: 200 calls that the bridge leaves without an answer delay no
// other past REPORT_TIMEOUT, for as long as they live.
func TestHangingCalls(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, 256)
		b.takes = 50 * time.Millisecond
		b.transport = transportFunc(func(ctx context.Context, req *voip.Request) (voip.Answer, error) {
			if strings.HasPrefix(req.Attribute.CallID, "hangs") {
				return hangs(ctx)
			}
			return b.Report(ctx, req)
		})
		for i := range 200 {
			b.call(t, "hangs "+strconv.Itoa(i), time.Minute, alwaysRuns{})
		}
		const fresh = 55 * 40
		made := make([]time.Time, fresh)
		for i := range made {
			made[i] = time.Now()
			b.call(t, strconv.Itoa(i), time.Minute, alwaysRuns{})
			time.Sleep(time.Second / 40)
		}
		b.all.Wait()
		for i, at := range made {
			if e := b.ends[strconv.Itoa(i)]; e.reason != voip.ReasonNone || e.at.Sub(at) > settings().Timeout {
				t.Errorf("call %d: %s after %v", i, e.reason, e.at.Sub(at))
			}
		}
	})
}

// TestSlowReportsAreLight: 200 reports at once whose answers take their time
// hold no more than 32 MiB over idle, both sides counted.
func TestSlowReportsAreLight(t *testing.T) {
	const calls, most = 200, 32 << 20
	arrived, answer := make(chan struct{}, calls), make(chan struct{})
	overHTTP := func(t *testing.T) Transport {
		s := bridge(t, func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body)
			arrived <- struct{}{}
			<-answer
			_, _ = io.WriteString(w, goodAnswer)
		})
		return newHTTP(t, HTTPConfig{URL: s.URL})
	}
	overNATS := func(t *testing.T) Transport {
		s := startNATS(t, &server.Options{})
		responds(t, dial(t, s), "report", func(m *nats.Msg) {
			arrived <- struct{}{}
			go func() {
				<-answer
				_ = m.Respond([]byte(goodAnswer))
			}()
		})
		return NewNATS(dial(t, s), "report", new(testkit.Log).Logger())
	}
	for name, open := range map[string]func(*testing.T) Transport{"http": overHTTP, "nats": overNATS} {
		t.Run(name, func(t *testing.T) {
			stage := newStage(t, open(t), nil2{})
			stage.slots, stage.cfg.Timeout = make(chan struct{}, calls), time.Minute
			answer = make(chan struct{})
			req := request()
			req.Attribute.UserProfile.Data = make([]byte, 16<<10)
			req.Data = []byte(`"` + strings.Repeat("x", 4<<10) + `"`)
			idle := held()
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			var all sync.WaitGroup
			for i := range calls {
				req := req
				req.Attribute.CallID = strconv.Itoa(i)
				all.Go(func() {
					if _, err := stage.Report(ctx, req, voip.Progress{}, alwaysRuns{}); err != nil {
						t.Error(err)
					}
				})
			}
			for range calls {
				testkit.Receive(t, "every report is under way", arrived)
			}
			over := held() - idle
			close(answer)
			all.Wait()
			t.Logf("%d reports hold %.1f MiB", calls, float64(over)/(1<<20))
			if over > most {
				t.Errorf("%d reports hold %d bytes, want at most %d", calls, over, most)
			}
		})
	}
}

// held is the memory in use, stacks included.
func held() int64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapInuse + m.StackInuse)
}

// BenchmarkTransports is what each transport adds to the in-process one: calls
// at a steady rate, and the time of each.
//
//	go test -run '^$' -bench Transports -benchtime 1x ./internal/report
func BenchmarkTransports(b *testing.B) {
	const rate, duration = 500, 5 * time.Second
	for _, transport := range transports {
		b.Run(strings.ReplaceAll(transport.name, " ", "-"), func(b *testing.B) {
			m := callkit.New(callkit.Options{})
			stage := newStage(b, transport.to(b, m), nil2{})
			stage.slots = make(chan struct{}, 256)
			for range b.N {
				took := steady(b, stage, rate, int(duration.Seconds())*rate)
				b.ReportMetric(float64(took[len(took)/2].Microseconds()), "p50-µs")
				b.ReportMetric(float64(took[len(took)*99/100].Microseconds()), "p99-µs")
			}
		})
	}
}

func steady(b *testing.B, stage *Stage, rate, calls int) []time.Duration {
	b.Helper()
	ctx, cancel := context.WithTimeout(b.Context(), time.Minute)
	defer cancel()
	took := make([]time.Duration, calls)
	tick := time.NewTicker(time.Second / time.Duration(rate))
	defer tick.Stop()
	var all sync.WaitGroup
	for i := range took {
		<-tick.C
		all.Go(func() {
			req := request()
			req.Attribute.CallID = strconv.Itoa(i)
			req.Attribute.UserProfile.Data = make([]byte, 9<<10)
			began := time.Now()
			if _, err := stage.Report(ctx, req, voip.Progress{}, alwaysRuns{}); err != nil {
				b.Error(err)
			}
			took[i] = time.Since(began)
		})
	}
	all.Wait()
	slices.Sort(took)
	return took
}
