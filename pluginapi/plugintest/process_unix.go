//go:build unix

package plugintest

import (
	"os"
	"syscall"
)

func ownGroup() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }

// killGroup kills the process and all others of the group that it leads. One that has ended is no error.
func killGroup(p *os.Process) {
	_ = syscall.Kill(-p.Pid, syscall.SIGKILL)
	_ = p.Kill()
}

// canDie tells whether this system lets the suite see what becomes of the children of a process that dies.
const canDie = true

// alive tells whether a process runs. One that has ended and was not collected yet does not.
func alive(pid int) bool { return syscall.Kill(pid, 0) == nil && !isZombie(pid) }
