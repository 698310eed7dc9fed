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
	"syscall"
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

// figure is what one drain came to.
type figure struct {
	rate float64 // pushes a second, from the worker's start of consuming
	cpu  float64 // CPU seconds of the worker for 1,000 pushes
	rss  float64 // peak, MiB
}

// drain preloads a fresh broker, lets one worker drain it, and checks that
// every push has exactly one result.
func drain(ctx context.Context, bin *binaries, c contender, o options) (figure, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, drainLimit, errTimeout)
	defer cancel()
	url, stop, err := startServer(ctx, bin)
	if err != nil {
		return figure{}, err
	}
	defer stop()
	env := append(os.Environ(), "NATS_URL="+url)
	provision := exec.CommandContext(ctx, bin.worker, "provision")
	provision.Env = env
	if out, err := provision.CombinedOutput(); err != nil {
		return figure{}, fmt.Errorf("provision: %w\n%s", err, out)
	}
	nc, err := nats.Connect(url)
	if err != nil {
		return figure{}, err
	}
	defer nc.Close()
	js, err := jetstream.New(nc, jetstream.WithPublishAsyncMaxPending(4000))
	if err != nil {
		return figure{}, err
	}
	if err := preload(ctx, js, o); err != nil {
		return figure{}, err
	}
	return watch(ctx, js, c, env, o)
}

func startServer(ctx context.Context, bin *binaries) (url string, stop func(), err error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", nil, err
	}
	addr := l.Addr().String()
	_ = l.Close()
	_, port, _ := net.SplitHostPort(addr)
	store, err := os.MkdirTemp(bin.dir, "js-")
	if err != nil {
		return "", nil, err
	}
	cmd := exec.CommandContext(ctx, bin.server, "-a", "127.0.0.1", "-p", port, "-js", "-sd", store)
	if err := cmd.Start(); err != nil {
		return "", nil, err
	}
	stop = func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		_ = os.RemoveAll(store)
	}
	for range 200 {
		if conn, err := net.Dial("tcp", addr); err == nil {
			_ = conn.Close()
			return "nats://" + addr, stop, nil
		}
		time.Sleep(20 * time.Millisecond)
	}
	stop()
	return "", nil, fmt.Errorf("nats-server does not listen on %s", addr)
}

func preload(ctx context.Context, js jetstream.JetStream, o options) error {
	data := `{"userName":"Li Lei","scene":"voice","ttlSeconds":300`
	if o.avatar != "" {
		data += `,"avatar":"` + o.avatar + `"`
	}
	for i := range o.count {
		id := "call-" + strconv.Itoa(i)
		msg := &nats.Msg{Subject: "voip.push", Header: nats.Header{"Nats-Msg-Id": {id}}, Data: []byte(`{"callId":"` + id + `","data":` + data + `}}`)}
		if _, err := js.PublishMsgAsync(msg, jetstream.WithStallWait(10*time.Second)); err != nil {
			return fmt.Errorf("preload: %w", err)
		}
	}
	select {
	case <-js.PublishAsyncComplete():
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// watch times the drain from the first result to the last, so that a worker's
// start counts for none.
func watch(ctx context.Context, js jetstream.JetStream, c contender, env []string, o options) (figure, error) {
	cmd := exec.CommandContext(ctx, c.args[0], c.args[1:]...)
	cmd.Env = append(env, c.env...)
	var log bytes.Buffer
	cmd.Stdout, cmd.Stderr = &log, &log
	if err := cmd.Start(); err != nil {
		return figure{}, err
	}
	results, err := js.Stream(ctx, "VOIP_RESULT")
	if err != nil {
		return figure{}, err
	}
	var first time.Time
	var had, now uint64
	for now < uint64(o.count) {
		select {
		case <-ctx.Done():
			_ = cmd.Process.Kill()
			_ = cmd.Wait()
			return figure{}, fmt.Errorf("%w: %d of %d results\n%s", context.Cause(ctx), now, o.count, log.String())
		case <-time.After(10 * time.Millisecond):
		}
		info, err := results.Info(ctx)
		if err != nil {
			return figure{}, err
		}
		if now = info.State.Msgs; first.IsZero() && now > 0 {
			first, had = time.Now(), now
		}
	}
	took := time.Since(first)
	rss := peak(cmd.Process.Pid)
	_ = cmd.Process.Signal(syscall.SIGTERM)
	if err := cmd.Wait(); err != nil {
		return figure{}, fmt.Errorf("%w\n%s", err, log.String())
	}
	info, err := results.Info(ctx)
	if err != nil {
		return figure{}, err
	}
	if info.State.Msgs != uint64(o.count) {
		return figure{}, fmt.Errorf("%d results for %d pushes", info.State.Msgs, o.count)
	}
	cpu := cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()
	return figure{
		rate: float64(uint64(o.count)-had) / took.Seconds(), cpu: cpu.Seconds() / float64(o.count) * 1000, rss: rss,
	}, nil
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
