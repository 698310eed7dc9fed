package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"syscall"
)

// fleet is a contender's processes on one broker.
type fleet struct {
	peer    bool
	workers []*exec.Cmd
	logs    []*bytes.Buffer // what each prints
}

// start starts a contender, as many of it as it asks for.
func (b *broker) start(ctx context.Context, c contender) (*fleet, error) {
	f := &fleet{peer: c.peer}
	for range c.workers {
		cmd, log := exec.CommandContext(ctx, c.args[0], c.args[1:]...), new(bytes.Buffer)
		cmd.Env = append(append(os.Environ(), "NATS_URL="+b.url), c.env...)
		cmd.Stdout, cmd.Stderr = log, log
		if err := cmd.Start(); err != nil {
			f.kill()
			return nil, err
		}
		f.workers, f.logs = append(f.workers, cmd), append(f.logs, log)
	}
	return f, nil
}

// stop ends them as an orchestrator does. It returns the CPU seconds that they
// have used.
func (f *fleet) stop() (cpu float64, err error) {
	for _, w := range f.workers {
		_ = w.Process.Signal(syscall.SIGTERM)
	}
	for i, w := range f.workers {
		if ended := w.Wait(); ended != nil && !f.peer {
			err = errors.Join(err, fmt.Errorf("%w\n%s", ended, f.logs[i]))
		}
		cpu += (w.ProcessState.UserTime() + w.ProcessState.SystemTime()).Seconds()
	}
	return cpu, err
}

// kill ends them at once, and returns what they have printed.
func (f *fleet) kill() (printed string) {
	var all bytes.Buffer
	for i, w := range f.workers {
		_ = w.Process.Kill()
		_ = w.Wait()
		_, _ = f.logs[i].WriteTo(&all)
	}
	return all.String()
}

// peak is the largest peak resident size of one of them, in MiB.
func (f *fleet) peak() (mib float64) {
	for _, w := range f.workers {
		mib = max(mib, peak(w.Process.Pid))
	}
	return mib
}
