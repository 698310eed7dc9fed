//go:build !linux

package chaos

import "os/exec"

// bind: only Linux lets a process die with its parent. Elsewhere a test binary
// that is killed leaves its servers behind.
func bind(*exec.Cmd) {}
