//go:build !production

package main

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/voip-push/worker/internal/testkit"
)

// process is a worker in a process of its own.
type process struct {
	t     *testing.T
	cmd   *exec.Cmd
	log   testkit.Log
	ended chan struct{}
	err   error // of Wait, once ended is closed
}

// startProcess runs `worker run` with these settings and nothing else.
func startProcess(t *testing.T, values map[string]string) *process {
	t.Helper()
	p := &process{t: t, ended: make(chan struct{})}
	p.cmd = exec.CommandContext(context.WithoutCancel(t.Context()), "worker", "run")
	p.cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "TMPDIR=" + t.TempDir(), "GORACE=" + noExitSleep, "HTTP_ADDR=127.0.0.1:0", "LOG_LEVEL=debug"}
	for name, value := range values {
		p.cmd.Env = append(p.cmd.Env, name+"="+value)
	}
	p.cmd.Stdout, p.cmd.Stderr = &p.log, &p.log
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		p.err = p.cmd.Wait()
		close(p.ended)
	}()
	t.Cleanup(func() {
		_ = p.cmd.Process.Kill() // it may have ended
		<-p.ended
		if t.Failed() {
			t.Logf("the log of worker %d:\n%s", p.cmd.Process.Pid, p.log.String())
		}
	})
	return p
}

// addr is where the process serves its probes.
func (p *process) addr() string {
	p.t.Helper()
	p.log.Wait(p.t, "serving /livez")
	return probesOf(p.t, p.log.String())
}

// ready waits until /readyz says so.
func (p *process) ready() {
	p.t.Helper()
	addr := p.addr()
	testkit.Eventually(p.t, "the worker is ready", func() bool {
		status, _, err := ask(p.t.Context(), addr, "/readyz")
		return err == nil && status == 200
	})
}

// unready waits until /readyz says so, with the words.
func (p *process) unready(words string) {
	p.t.Helper()
	addr := p.addr()
	testkit.Eventually(p.t, "the worker is not ready: "+words, func() bool {
		status, body, err := ask(p.t.Context(), addr, "/readyz")
		return err == nil && status == 503 && strings.Contains(body, words)
	})
}

func (p *process) signal(s syscall.Signal) {
	p.t.Helper()
	if err := p.cmd.Process.Signal(s); err != nil {
		p.t.Fatal(err)
	}
}

// toExit is less than the drain timeout by default, and much beside what any
// end takes.
const toExit = 15 * time.Second

// exit waits for the end of the process and returns its code, -1 when a signal
// ended it.
func (p *process) exit() int {
	p.t.Helper()
	timer := time.NewTimer(toExit)
	defer timer.Stop()
	select {
	case <-p.ended:
	case <-timer.C:
		p.t.Fatalf("the worker runs on after %v", toExit)
	}
	if exit, ok := errors.AsType[*exec.ExitError](p.err); ok {
		return exit.ExitCode()
	} else if p.err != nil {
		p.t.Fatal(p.err)
	}
	return 0
}

// drained stops the process as an orchestrator does.
func (p *process) drained() {
	p.t.Helper()
	p.signal(syscall.SIGTERM)
	if code := p.exit(); code != 0 {
		p.t.Errorf("exit code %d after SIGTERM, want 0", code)
	}
}
