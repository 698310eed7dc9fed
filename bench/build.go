package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
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
