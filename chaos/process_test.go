package chaos

import (
	"context"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/voip-push/worker/internal/testkit"
)

// process is a command that the test started, and ends.
type process struct {
	t     *testing.T
	name  string
	cmd   *exec.Cmd
	log   testkit.Log
	ended chan struct{}
}

func start(t *testing.T, name string, env []string, args ...string) *process {
	t.Helper()
	p := &process{t: t, name: name, ended: make(chan struct{})}
	p.cmd = exec.CommandContext(context.WithoutCancel(t.Context()), args[0], args[1:]...)
	p.cmd.Env = append([]string{"PATH=" + os.Getenv("PATH"), "HOME=" + os.Getenv("HOME"), "GORACE=atexit_sleep_ms=0"}, env...)
	p.cmd.Stdout, p.cmd.Stderr = &p.log, &p.log
	bind(p.cmd)
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		_ = p.cmd.Wait() // how it ended is in ProcessState
		close(p.ended)
	}()
	t.Cleanup(func() {
		p.signal(syscall.SIGKILL)
		<-p.ended
		if t.Failed() {
			p.keepLog()
		}
	})
	return p
}

// keepLog leaves the log of a failed test in the folder that -artifacts keeps.
func (p *process) keepLog() {
	path := filepath.Join(p.t.ArtifactDir(), p.name+".log")
	if err := os.WriteFile(path, []byte(p.log.String()), 0o600); err != nil {
		p.t.Error(err)
	}
}

// signal sends a signal; a process that has ended does not mind.
func (p *process) signal(s syscall.Signal) { _ = p.cmd.Process.Signal(s) }

// exit waits for the end of the process, and returns its code, -1 when a signal
// ended it.
func (p *process) exit(within time.Duration) int {
	p.t.Helper()
	if !receive(p.ended, within) {
		p.t.Fatalf("%s runs on after %v", p.name, within)
	}
	return p.cmd.ProcessState.ExitCode()
}

// kill ends the process as a crash does.
func (p *process) kill() {
	p.t.Helper()
	p.signal(syscall.SIGKILL)
	p.exit(patience)
}

// patience is far beyond what anything takes on a busy machine.
const patience = time.Minute

func receive[T any](c <-chan T, within time.Duration) bool {
	timer := time.NewTimer(within)
	defer timer.Stop()
	select {
	case <-c:
		return true
	case <-timer.C:
		return false
	}
}

// pass lets time pass.
func pass(d time.Duration) { receive[struct{}](nil, d) }

// eventually waits until the condition holds, and returns how long it took.
func eventually(t *testing.T, within time.Duration, what string, condition func() bool) time.Duration {
	t.Helper()
	began := time.Now()
	for !condition() {
		if time.Since(began) > within {
			t.Fatalf("%s: not after %v", what, within)
		}
		pass(10 * time.Millisecond)
	}
	return time.Since(began)
}

// ports are a block of this process's own, below those that the system gives to
// connections: each stays free while its owner is down, whoever else runs the
// same tests on this machine. The first of the block is listened on for as long
// as the process lives, and so marks it as taken.
var ports struct {
	sync.Mutex
	base, given int
	mark        net.Listener
}

const (
	lowestPort = 12000
	blocks     = 20
	blockSize  = 1000
)

func port(t *testing.T) int {
	t.Helper()
	ports.Lock()
	defer ports.Unlock()
	for i := 0; ports.mark == nil && i < blocks; i++ {
		ports.base = lowestPort + blockSize*i
		ports.mark, _ = listen(t, ports.base) // another process has the block
	}
	for range blockSize {
		ports.given++
		p := ports.base + 1 + ports.given%(blockSize-1)
		// Asked and not tried: a listener that was open for a moment may be held
		// on to by a process that is just being started.
		c, err := new(net.Dialer).DialContext(context.WithoutCancel(t.Context()), "tcp", address(p))
		if err != nil {
			return p
		}
		_ = c.Close() // it is somebody's
	}
	t.Fatal("no free port")
	return 0
}

func listen(t *testing.T, port int) (net.Listener, error) {
	return new(net.ListenConfig).Listen(context.WithoutCancel(t.Context()), "tcp", address(port))
}

func address(port int) string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(port)) }
