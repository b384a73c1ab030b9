//go:build !unix

package pluginhost

import (
	"os"
	"syscall"
)

func ownGroup() *syscall.SysProcAttr { return nil }

// killGroup kills p alone: there are no process groups.
func killGroup(p *os.Process) { _ = p.Kill() }
