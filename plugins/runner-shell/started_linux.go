package main

import (
	"bytes"
	"fmt"
	"os"
	"strings"
	"sync"
)

// startTime says when a process started, in a form that no other process of that number has: the boot, and the clock ticks
// since then. It is "" if there is no such process.
func startTime(pid int) string {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return ""
	}
	// The name, in parentheses, may hold anything; after it come the fields from the third on.
	_, rest, ok := bytes.Cut(stat[max(bytes.LastIndexByte(stat, ')'), 0):], []byte(" "))
	fields := bytes.Fields(rest)
	const starttime = 22 - 3
	if !ok || len(fields) <= starttime {
		return ""
	}
	return boot() + "/" + string(fields[starttime])
}

var boot = sync.OnceValue(func() string {
	id, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return "boot"
	}
	return strings.TrimSpace(string(id))
})
