package main

import (
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"
)

// startTime says when a process started, in microseconds since 1970. It is "" if there is no such process.
func startTime(pid int) string {
	info, err := unix.SysctlKinfoProc("kern.proc.pid", pid)
	if err != nil {
		return ""
	}
	at := info.Proc.P_starttime
	return strconv.FormatInt(at.Sec*1_000_000+int64(at.Usec), 10)
}

// groupLives says whether any process of the group is left.
func groupLives(pgid int) bool { return syscall.Kill(-pgid, 0) == nil }
