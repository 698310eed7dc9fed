package main

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// binaries are what the runs start, built once.
type binaries struct{ dir, worker, server, self string }

func build(ctx context.Context) (*binaries, error) {
	dir, err := os.MkdirTemp("", "voip-bench-")
	if err != nil {
		return nil, err
	}
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	b := &binaries{dir: dir, worker: filepath.Join(dir, "worker"), server: filepath.Join(dir, "nats-server"), self: self}
	for _, c := range []struct{ in, out, pkg string }{
		{"..", b.worker, "./cmd/worker"},
		{".", b.server, "github.com/nats-io/nats-server/v2"},
	} {
		cmd := exec.CommandContext(ctx, "go", "build", "-o", c.out, c.pkg)
		cmd.Dir = c.in
		if out, err := cmd.CombinedOutput(); err != nil {
			return nil, fmt.Errorf("build %s (run it in bench/): %w\n%s", c.pkg, err, out)
		}
	}
	return b, nil
}

func (b *binaries) remove() { _ = os.RemoveAll(b.dir) }

// server is a nats-server process with the contract's streams.
type server struct {
	cmd  *exec.Cmd
	url  string
	conn *nats.Conn
	js   jetstream.JetStream
	stop func()
}

// startServer starts an empty server with file storage and provisions it.
// sync is its sync_interval; empty: the server's default.
func startServer(ctx context.Context, bin *binaries, sync string) (*server, error) {
	addr, err := freeAddr()
	if err != nil {
		return nil, err
	}
	store, err := os.MkdirTemp(bin.dir, "js-")
	if err != nil {
		return nil, err
	}
	conf := filepath.Join(store, "nats.conf")
	text := fmt.Sprintf("listen: %q\njetstream { store_dir: %q", addr, store)
	if sync != "" {
		text += ", sync_interval: " + sync
	}
	if err := os.WriteFile(conf, []byte(text+" }\n"), 0o600); err != nil {
		return nil, err
	}
	s := &server{cmd: exec.CommandContext(ctx, bin.server, "-c", conf), url: "nats://" + addr}
	if err := s.cmd.Start(); err != nil {
		return nil, err
	}
	s.stop = func() {
		if s.conn != nil {
			s.conn.Close()
		}
		_ = s.cmd.Process.Kill()
		_ = s.cmd.Wait()
		_ = os.RemoveAll(store)
	}
	if err := s.open(ctx, bin, addr); err != nil {
		s.stop()
		return nil, err
	}
	return s, nil
}

func freeAddr() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer l.Close()
	return l.Addr().String(), nil
}

func (s *server) open(ctx context.Context, bin *binaries, addr string) error {
	for tries := 0; ; tries++ {
		conn, err := net.Dial("tcp", addr)
		if err == nil {
			_ = conn.Close()
			break
		}
		if tries == 200 {
			return fmt.Errorf("nats-server does not listen: %w", err)
		}
		time.Sleep(20 * time.Millisecond)
	}
	provision := exec.CommandContext(ctx, bin.worker, "provision")
	provision.Env = append(os.Environ(), "NATS_URL="+s.url)
	if out, err := provision.CombinedOutput(); err != nil {
		return fmt.Errorf("provision: %w\n%s", err, out)
	}
	var err error
	if s.conn, err = nats.Connect(s.url); err != nil {
		return err
	}
	s.js, err = jetstream.New(s.conn, jetstream.WithPublishAsyncMaxPending(4000))
	return err
}

// start starts a contender on the server; what it prints is in out.
func (s *server) start(ctx context.Context, c contender, out *bytes.Buffer) (*exec.Cmd, error) {
	cmd := exec.CommandContext(ctx, c.args[0], c.args[1:]...)
	cmd.Env = append(append(os.Environ(), "NATS_URL="+s.url), c.env...)
	cmd.Stdout, cmd.Stderr = out, out
	return cmd, cmd.Start()
}

// results are how many results are stored.
func (s *server) results(ctx context.Context) (uint64, error) {
	stream, err := s.js.Stream(ctx, "VOIP_RESULT")
	if err != nil {
		return 0, err
	}
	return stream.CachedInfo().State.Msgs, nil
}

// peak is a process's peak resident size in MiB.
func peak(pid int) float64 {
	b, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/status")
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(b)) {
		if rest, ok := strings.CutPrefix(line, "VmHWM:"); ok {
			kib, _ := strconv.ParseFloat(strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(rest), "kB")), 64)
			return kib / 1024
		}
	}
	return 0
}

// used is the CPU time of a process that runs, in seconds.
func used(pid int) float64 {
	const ticks = 100 // a second, on every Linux
	b, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return 0
	}
	f := strings.Fields(string(b[bytes.LastIndexByte(b, ')')+1:]))
	user, _ := strconv.ParseFloat(f[11], 64)
	system, _ := strconv.ParseFloat(f[12], 64)
	return (user + system) / ticks
}
