package chaos

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// server is a nats-server process that can be ended and started again with the
// same address and data.
type server struct {
	*process

	t      *testing.T
	name   string
	addr   string // where clients reach it, past every proxy
	config string
}

// newServer starts a server; cluster is that part of its configuration.
func newServer(t *testing.T, name, cluster string) *server {
	t.Helper()
	dir := t.TempDir()
	s := &server{t: t, name: name, addr: address(port(t)), config: filepath.Join(dir, "nats.conf")}
	text := fmt.Sprintf("server_name: %s\nlisten: %q\njetstream { store_dir: %q, max_file: 4GB }\nlame_duck_grace_period: 3s\n%s",
		name, s.addr, dir, cluster)
	if err := os.WriteFile(s.config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	s.start()
	return s
}

func (s *server) start() {
	s.t.Helper()
	s.process = start(s.t, s.name, nil, command("nats-server"), "-c", s.config)
}

func (s *server) url() string { return "nats://" + s.addr }

// up waits until the server accepts connections.
func (s *server) up() {
	s.t.Helper()
	eventually(s.t, patience, s.name+" listens", func() bool {
		c, err := new(net.Dialer).DialContext(s.t.Context(), "tcp", s.addr)
		if err != nil {
			return false
		}
		_ = c.Close() // it was only to see
		return true
	})
}

// restart ends the server with a signal, leaves it down for so long, and starts
// it again.
func (s *server) restart(how syscall.Signal, down time.Duration) {
	s.t.Helper()
	s.signal(how)
	s.exit(patience)
	pass(down)
	s.start()
	s.up()
}

// freeze stops the server in its tracks for so long.
func (s *server) freeze(d time.Duration) {
	s.signal(syscall.SIGSTOP)
	pass(d)
	s.signal(syscall.SIGCONT)
}

// newCluster starts three servers whose routes run through proxies, one for
// each direction, so that any of them can be cut off from the others. What they
// would tell one another of themselves leads nowhere: no route goes past the
// proxies.
func newCluster(t *testing.T, p *proxies) []*server {
	t.Helper()
	const size = 3
	var listen [size]int
	for i := range listen {
		listen[i] = port(t)
	}
	servers := make([]*server, size)
	for i := range servers {
		var routes []string
		for j := range servers {
			if i != j {
				routes = append(routes, fmt.Sprintf("%q", "nats://"+p.add(route(i, j), address(listen[j]))))
			}
		}
		servers[i] = newServer(t, fmt.Sprintf("n%d", i), fmt.Sprintf(
			"cluster { name: chaos, listen: %q, advertise: \"127.0.0.1:1\", routes: [%s] }\n", address(listen[i]), strings.Join(routes, ", ")))
	}
	for _, s := range servers {
		s.up()
	}
	return servers
}

func route(from, to int) string { return fmt.Sprintf("route-%d-%d", from, to) }
