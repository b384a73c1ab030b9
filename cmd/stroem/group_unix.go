//go:build unix

package main

import (
	"os/exec"
	"syscall"
)

// inOwnGroup makes the end of a command that of everything that it started.
func inOwnGroup(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
}
