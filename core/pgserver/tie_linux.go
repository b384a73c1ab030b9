package pgserver

import "syscall"

// processAttributes put the server into a process group of its own, so that a Ctrl-C meant for us does not reach it
// before we are done with it, and have the kernel end it when we die.
func processAttributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGINT}
}
