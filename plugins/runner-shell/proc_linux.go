package main

import (
	"bytes"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
)

// startTime says when a process started, in a form that no other process of that number has: the boot, and the clock ticks
// since then. It is "" if there is no such process.
func startTime(pid int) string {
	const starttime = 22
	fields := procStat(strconv.Itoa(pid))
	if len(fields) < starttime {
		return ""
	}
	return boot() + "/" + string(fields[starttime-1])
}

// procStat returns the fields of /proc/pid/stat; see proc(5). The name of the program, the second, is left empty, because
// it may hold anything.
func procStat(pid string) [][]byte {
	stat, err := os.ReadFile("/proc/" + pid + "/stat") //nolint:gosec // a number, or a name found in /proc
	if err != nil {
		return nil
	}
	end := bytes.LastIndexByte(stat, ')')
	return append([][]byte{[]byte(pid), nil}, bytes.Fields(stat[end+1:])...)
}

// groupLives says whether any process of the group is still running. The kernel counts those as well that have ended but that
// their new parent does not collect, as in a container whose first process is not an init.
func groupLives(pgid int) bool {
	if syscall.Kill(-pgid, 0) != nil {
		return false
	}
	proc, err := os.Open("/proc")
	if err != nil {
		return true
	}
	defer discard(proc)
	names, err := proc.Readdirnames(-1)
	if err != nil {
		return true
	}
	const state, pgrp = 3, 5
	group := []byte(strconv.Itoa(pgid))
	return slices.ContainsFunc(names, func(name string) bool {
		if name[0] < '1' || name[0] > '9' {
			return false
		}
		fields := procStat(name)
		return len(fields) >= pgrp && bytes.Equal(fields[pgrp-1], group) && !bytes.ContainsAny(fields[state-1], "ZX")
	})
}

var boot = sync.OnceValue(func() string {
	id, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return "boot"
	}
	return strings.TrimSpace(string(id))
})
