package chaos

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"syscall"
	"time"
)

// worker is a place in the fleet: a worker process that is started again when
// it was killed.
type worker struct {
	*process

	rig    *rig
	place  int
	lives  int    // how many processes there were
	life   string // the present one's name, as the bridge knows it
	probes string // where it says whether it is ready
}

// newWorker starts a worker.
func (r *rig) newWorker(settings ...string) *worker {
	r.t.Helper()
	w := &worker{rig: r, place: len(r.workers), probes: address(port(r.t))}
	r.workers = append(r.workers, w)
	w.start(settings...)
	return w
}

// start starts a process in the worker's place.
func (w *worker) start(settings ...string) {
	w.rig.t.Helper()
	w.lives++
	w.life = fmt.Sprintf("w%d-%d", w.place, w.lives)
	env := append(w.rig.settings(), w.rig.bridge.settings(w.life)...)
	if w.rig.proxied {
		env = append(env, "NATS_URL=nats://"+w.link())
	}
	env = append(env, "HTTP_ADDR="+w.probes, "LOG_LEVEL=info")
	w.process = start(w.rig.t, w.life, append(env, settings...), w.rig.worker, "run")
	w.rig.lives = append(w.rig.lives, w.process)
	w.rig.bridge.knows(w.life, w.process)
}

// link is where the worker's proxy to the server listens.
func (w *worker) link() string {
	if name := w.linkName(); w.lives > 1 {
		return w.rig.proxies.get(name).Listen
	}
	return w.rig.proxies.add(w.linkName(), w.rig.servers[0].addr)
}

func (w *worker) linkName() string { return fmt.Sprintf("link-%d", w.place) }

// crash kills the worker and starts it again.
func (w *worker) crash() {
	w.rig.t.Helper()
	w.rig.excuse(w.life)
	w.kill()
	w.start()
}

// freeze stops the worker in its tracks for so long.
func (w *worker) freeze(d time.Duration) {
	w.rig.excuse(w.life)
	w.signal(syscall.SIGSTOP)
	pass(d)
	w.signal(syscall.SIGCONT)
}

// roll replaces the worker as a deploy does.
func (w *worker) roll() {
	w.rig.t.Helper()
	w.drained()
	w.start()
	w.ready(patience)
}

// drained stops the worker as an orchestrator does.
func (w *worker) drained() {
	w.rig.t.Helper()
	w.signal(syscall.SIGTERM)
	if code := w.exit(30 * time.Second); code != 0 {
		w.rig.t.Errorf("%s: exit code %d after SIGTERM, want 0", w.life, code)
	}
}

// readyz is the worker's own word: whether it is ready, and why not.
func (w *worker) readyz() (ready bool, text string) {
	ctx, cancel := context.WithTimeout(w.rig.t.Context(), time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+w.probes+"/readyz", http.NoBody)
	if err != nil {
		return false, err.Error()
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return false, err.Error()
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	return resp.StatusCode == http.StatusOK && err == nil, string(b)
}

// ready waits until the worker says that it is, and returns how long it took.
func (w *worker) ready(within time.Duration) time.Duration {
	w.rig.t.Helper()
	return eventually(w.rig.t, within, w.life+" is ready", func() bool { ready, _ := w.readyz(); return ready })
}

// unready waits until the worker says that it is not, because of these words.
func (w *worker) unready(within time.Duration, words string) time.Duration {
	w.rig.t.Helper()
	return eventually(w.rig.t, within, w.life+" is not ready: "+words, func() bool {
		ready, text := w.readyz()
		return !ready && strings.Contains(text, words)
	})
}
