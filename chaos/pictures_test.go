package chaos

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/voip-push/worker/internal/voip"
)

// TestHostilePictures: each second 64 calls come at once whose pictures cost
// what the guards let through at most, or drip, among a steady stream of others
// with pictures of their own. Every one rings; the others do not feel it, and
// the worker stays small.
func TestHostilePictures(t *testing.T) {
	const hostile, rate, mostMiB = 64, 40, 192
	r := alone(t, 1, "AVATAR_ALLOW_PRIVATE=true", "AVATAR_ALLOW_HTTP=true")
	pictures, files := newPictures(t), costly(t)
	seconds := form(2, 10)
	innocent := func(id string) { r.gateway.shown(id, pictures.URL+"/normal/jpeg_base420_512.jpg?"+id) }
	for _, name := range []string{"warm", "quiet"} {
		r.gateway.each(name, rate*seconds, rate, innocent)()
		r.settled(patience)
	}

	stored := r.gateway.each("beside", rate*seconds, rate, innocent)
	for second := range seconds {
		r.gateway.each(fmt.Sprint("hostile-", second), hostile, 1000*hostile, func(id string) { // at once
			i, _ := strconv.Atoi(id[strings.LastIndexByte(id, '-')+1:])
			r.gateway.shown(id, pictures.URL+files[i%len(files)]+"?"+id)
		})()
		pass(time.Second)
	}
	stored()
	r.verdict()

	o := r.outcomes()
	quiet, beside, rss := o.latencies("quiet"), o.latencies("beside"), r.workers[0].peak()
	t.Logf("peak RSS %d MiB; push to result of the others: quiet p50 %.1f ms, p99 %.1f ms; beside p50 %.1f ms, p99 %.1f ms; of the hostile p50 %.0f ms",
		rss, at(quiet, 0.5), at(quiet, 0.99), at(beside, 0.5), at(beside, 0.99), at(o.latencies("hostile"), 0.5))
	if !raced() && rss > mostMiB { // the race detector has memory of its own
		t.Errorf("the worker took %d MiB, want at most %d", rss, mostMiB)
	}
	if !*long { // beside other tests nobody is quiet
		return
	}
	if at(beside, 0.5) > 2*at(quiet, 0.5) {
		t.Errorf("the others took %.1f ms, %.1f ms when it is quiet", at(beside, 0.5), at(quiet, 0.5))
	}
	for name, results := range o.results {
		if a := results[0].Avatar; !strings.HasPrefix(name, "hostile") && (a == nil || a.Status != voip.AvatarOK) {
			t.Errorf("%s: its picture is %+v", name, a)
		}
	}
}

// shown publishes a call with a picture.
func (g *gateway) shown(id, avatar string) {
	g.expect(id, voip.Reported)
	m := push(id)
	m.Data = fmt.Appendf(nil, `{"callId":%q,"data":{"userName":"Li Lei","avatar":%q,"ttlSeconds":%d}}`, id, avatar, int(life.Seconds()))
	g.publish(&nats.Msg{Subject: m.Subject, Header: m.Header, Data: m.Data})
}

const testPictures = "../internal/avatar/testdata"

// newPictures serves the test pictures, and under /drip one that never ends.
func newPictures(t *testing.T) *httptest.Server {
	t.Helper()
	files := http.FileServer(http.Dir(testPictures))
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		if !strings.HasPrefix(req.URL.Path, "/drip") {
			files.ServeHTTP(w, req)
			return
		}
		for req.Context().Err() == nil {
			_, _ = w.Write([]byte{0xff}) // to whoever still listens
			_ = http.NewResponseController(w).Flush()
			pass(10 * time.Millisecond)
		}
	}))
	t.Cleanup(s.Close)
	return s
}

// costly are the paths of the pictures that are refused, those at the limits,
// the large ones, and one that drips.
func costly(t *testing.T) []string {
	t.Helper()
	paths := []string{"/drip", "/normal/big_jpeg_base420_2048.jpg", "/normal/jpeg_prog420_2048.jpg", "/normal/webp_lossy_1024.webp"}
	for _, folder := range []string{"limit", "limit", "hostile"} {
		found, err := os.ReadDir(filepath.Join(testPictures, folder))
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range found {
			paths = append(paths, "/"+folder+"/"+f.Name())
		}
	}
	return paths
}

// peak is the most memory that the process had, in MiB; 0 where there is no /proc.
func (p *process) peak() (mib int) {
	p.t.Helper()
	status, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.cmd.Process.Pid)) // nothing is as good as 0
	_, line, _ := strings.Cut(string(status), "VmHWM:")
	var kib int
	_, _ = fmt.Sscan(line, &kib)
	return kib >> 10
}
