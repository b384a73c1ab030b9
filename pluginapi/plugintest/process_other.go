//go:build !unix

package plugintest

import (
	"os"
	"syscall"
)

func ownGroup() *syscall.SysProcAttr { return nil }

func killGroup(p *os.Process) { _ = p.Kill() }

const canDie = false

func alive(int) bool { return false }
