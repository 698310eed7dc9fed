package chaos

import (
	"os/exec"
	"syscall"
)

// bind lets a process die with this one, be it killed.
func bind(c *exec.Cmd) { c.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL} }
