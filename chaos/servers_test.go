package chaos

import (
	"syscall"
	"testing"
	"time"
)

// TestServer: the only server is killed, ended, and stands still, under load.
// The workers say so in time, and are ready in time when it is back.
func TestServer(t *testing.T) {
	t.Parallel()
	for name, fault := range map[string]func(*server){
		"killed":  func(s *server) { s.signal(syscall.SIGKILL) },
		"stopped": func(s *server) { s.signal(syscall.SIGTERM) },
		"frozen":  func(s *server) { s.signal(syscall.SIGSTOP) },
	} {
		t.Run(name, func(t *testing.T) {
			r := alone(t, 2)
			s := r.servers[0]
			stored := r.gateway.load("c", form(300, 8000), form(80, 300))
			for range form(1, 4) {
				pass(time.Second + time.Duration(r.dice.Int64N(int64(time.Second))))
				began := time.Now()
				fault(s)
				down := r.workers[0].unready(truth, "")
				pass(time.Duration(r.dice.Int64N(int64(time.Second))))
				if s.signal(syscall.SIGCONT); name != "frozen" {
					s.exit(patience)
					s.start()
				}
				s.up()
				t.Logf("unready after %v, ready after %v", down, r.workers[0].ready(truth))
				if time.Since(began) > ackWait/2 { // a third of it may have gone before
					r.outages = append(r.outages, began, time.Now())
				}
			}
			stored()
			r.verdict()
		})
	}
}

// truth is how long /readyz may be wrong.
const truth = 10 * time.Second

// TestLeader: the server that leads the workers' consumer, of three, is killed,
// ended, stands still, is told to go, and is cut off from the others.
func TestLeader(t *testing.T) {
	t.Parallel()
	for name, fault := range map[string]func(r *rig, s *server){
		"killed":      func(_ *rig, s *server) { s.restart(syscall.SIGKILL, 3*time.Second) },
		"stopped":     func(_ *rig, s *server) { s.restart(syscall.SIGTERM, 3*time.Second) },
		"frozen":      func(_ *rig, s *server) { s.freeze(8 * time.Second) },
		"lame duck":   lameDuck,
		"partitioned": partition,
	} {
		t.Run(name, func(t *testing.T) {
			r := clustered(t, 2)
			stored := r.gateway.load("c", form(400, 8000), form(60, 150))
			for range form(1, 4) {
				pass(time.Second + time.Duration(r.dice.Int64N(int64(time.Second))))
				leader := r.leader()
				r.outage(func() { fault(r, leader) })
			}
			stored()
			for _, w := range r.workers {
				w.ready(patience)
			}
			r.verdict()
		})
	}
}

// lameDuck tells the server to go: its clients move before it ends.
func lameDuck(_ *rig, s *server) {
	s.signal(syscall.SIGUSR2)
	pass(6 * time.Second)
	s.restart(syscall.SIGTERM, time.Second)
}

// partition cuts the server off from the others, with its clients.
func partition(r *rig, s *server) {
	var routes []string
	for i := range r.servers {
		for j := range r.servers {
			if i != j && (r.servers[i] == s || r.servers[j] == s) {
				routes = append(routes, route(i, j))
			}
		}
	}
	r.proxies.cut(routes...)
	pass(6 * time.Second)
	r.proxies.mend(routes...)
}

// TestLink: what lies between a worker and the server is slow, resets
// connections, and is cut.
func TestLink(t *testing.T) {
	r := remote(t, 2)
	stored := r.gateway.load("c", form(600, 8000), form(60, 150))
	for _, w := range r.workers {
		pass(500 * time.Millisecond)
		link := w.linkName()
		slowUp := r.proxies.poison(link, "latency", "upstream", `{"latency":80,"jitter":60}`)
		slowDown := r.proxies.poison(link, "latency", "downstream", `{"latency":80,"jitter":60}`)
		pass(2 * time.Second)
		slowUp()
		slowDown()
		for range form(3, 10) {
			r.excuse(w.life) // what it attempts while it is away for an ack wait is another's by then
			heal := r.proxies.poison(link, "reset_peer", "downstream", `{"timeout":0}`)
			pass(time.Duration(r.dice.Int64N(int64(400 * time.Millisecond))))
			heal()
			pass(time.Duration(r.dice.Int64N(int64(400 * time.Millisecond))))
		}
		r.proxies.cut(link)
		down := w.unready(truth, "not connected")
		pass(time.Duration(r.dice.Int64N(int64(7 * time.Second))))
		r.proxies.mend(link)
		t.Logf("cut off: unready after %v, ready after %v", down, w.ready(truth))
	}
	stored()
	r.verdict()
}
