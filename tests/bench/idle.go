package main

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"
)

// idleTime is over how long the processor time of an idle system is taken.
const idleTime = 15 * time.Second

// idle measures P9: memory and processor time of programs that have nothing to do.
func idle(ctx context.Context, s *system, r *report) error {
	<-time.After(2 * time.Second) // until the start is over
	programs := map[string]int{"server": s.server.Process.Pid, "worker": s.worker.Process.Pid}
	for _, parent := range []int{s.server.Process.Pid, s.worker.Process.Pid} {
		for pid, name := range children(parent) {
			programs["plugin "+name] = pid
		}
	}
	before := map[string]float64{}
	for name, pid := range programs {
		before[name] = cpuSeconds(pid)
	}
	select {
	case <-time.After(idleTime):
	case <-ctx.Done():
		return ctx.Err()
	}
	limits := map[string]float64{"server": 60, "worker": 40}
	figures, parts, met := map[string]float64{}, []string{}, true
	for name, pid := range programs {
		limit, ok := limits[name]
		if !ok {
			limit = 40
		}
		memory, cpu := memoryMiB(pid), 100*(cpuSeconds(pid)-before[name])/idleTime.Seconds()
		figures[name+"_mib"], figures[name+"_cpu_percent"] = memory, cpu
		parts = append(parts, fmt.Sprintf("%s %.0f MiB, %.1f %%", name, memory, cpu))
		met = met && memory <= limit && cpu < 1
	}
	r.add(result{
		ID: "P9", What: "idle: memory and processor time", Baseline: "—", Measured: strings.Join(parts, "; "),
		Target: "server ≤ 60 MiB, worker and plugins ≤ 40 MiB, < 1 %", Met: met, Figures: figures,
	})
	return nil
}

func stat(pid int) (name string, fields []string) {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return "", nil
	}
	before, after, _ := strings.Cut(string(data), ") ")
	_, name, _ = strings.Cut(before, "(")
	return name, strings.Fields(after)
}

func children(parent int) map[int]string {
	found := map[int]string{}
	entries, _ := os.ReadDir("/proc")
	for _, entry := range entries {
		pid, err := strconv.Atoi(entry.Name())
		if err != nil {
			continue
		}
		if name, fields := stat(pid); len(fields) > 1 && fields[1] == strconv.Itoa(parent) {
			found[pid] = name
		}
	}
	return found
}

// cpuSeconds is user and system time; the kernel counts in hundredths of a second.
func cpuSeconds(pid int) float64 {
	_, fields := stat(pid)
	if len(fields) < 13 {
		return 0
	}
	user, _ := strconv.ParseFloat(fields[11], 64)
	system, _ := strconv.ParseFloat(fields[12], 64)
	return (user + system) / 100
}

func memoryMiB(pid int) float64 {
	data, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	for line := range strings.Lines(string(data)) {
		if rest, ok := strings.CutPrefix(line, "VmRSS:"); ok {
			kib, _ := strconv.ParseFloat(strings.Fields(rest)[0], 64)
			return kib / 1024
		}
	}
	return 0
}
