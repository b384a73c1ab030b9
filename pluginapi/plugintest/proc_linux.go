package plugintest

import (
	"bytes"
	"os"
	"strconv"
)

// isZombie tells whether a process has ended and nobody has collected it yet, as in a container whose first process is not
// an init.
func isZombie(pid int) bool {
	stat, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return false
	}
	fields := bytes.Fields(stat[bytes.LastIndexByte(stat, ')')+1:])
	return len(fields) > 0 && bytes.ContainsAny(fields[0], "ZX")
}

// withEnv returns the processes that have the variable in their environment, as runs of local processes have.
func withEnv(variable string) []int {
	names, err := os.ReadDir("/proc")
	if err != nil {
		return nil
	}
	var pids []int
	for _, name := range names {
		pid, err := strconv.Atoi(name.Name())
		if err != nil {
			continue
		}
		environ, err := os.ReadFile("/proc/" + name.Name() + "/environ")
		if err == nil && bytes.Contains(append([]byte{0}, environ...), []byte("\x00"+variable+"\x00")) && !isZombie(pid) {
			pids = append(pids, pid)
		}
	}
	return pids
}

// memory returns how much memory of its own a process has, in bytes; 0 when that cannot be told.
func memory(pid int) int64 {
	status, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/status")
	if err != nil {
		return 0
	}
	_, rest, found := bytes.Cut(status, []byte("\nRssAnon:"))
	fields := bytes.Fields(rest)
	if !found || len(fields) == 0 {
		return 0
	}
	kib, err := strconv.ParseInt(string(fields[0]), 10, 64)
	if err != nil {
		return 0
	}
	return kib << 10
}
