package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// What W1 polls: workspaces as people have them, at the pace that is usual for folders.
const (
	fleetSize   = 200
	fleetFiles  = 30 // in each
	fleetDirs   = 5
	fleetPacing = 30 * time.Second // over which the processor time is taken
)

// writeFleet writes the workspaces of W1.
func writeFleet(dir string) (map[string]string, error) {
	old := time.Now().Add(-time.Hour) // nobody has just written to them
	dirs := map[string]string{}
	for n := range fleetSize {
		name := fmt.Sprintf("ws-%03d", n)
		dirs[name] = filepath.Join(dir, name)
		files := map[string]string{".workflows/flow.yaml": "actions: {ok: {type: shell, cmd: 'true'}}\ntasks: {t: {flow: {a: {action: ok}}}}\n"}
		for i := range fleetFiles - 1 {
			files[fmt.Sprintf("d%d/script-%d.sh", i%fleetDirs, i)] = strings.Repeat(fmt.Sprintf("echo %d %d\n", n, i), 200)
		}
		for file, content := range files {
			path := filepath.Join(dirs[name], file)
			if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
				return nil, err
			}
			if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
				return nil, err
			}
			if err := os.Chtimes(path, old, old); err != nil {
				return nil, err
			}
		}
	}
	return dirs, nil
}

// polling measures W1: the processor time of the server and its source plugin while nothing changes.
func polling(ctx context.Context, s *system, r *report) error {
	list, err := s.Workspaces(ctx)
	if err != nil {
		return err
	}
	for _, w := range list {
		if w.Revision == nil {
			return fmt.Errorf("workspace %s is not loaded: %s", w.Name, w.Error)
		}
	}
	<-time.After(5 * time.Second) // until the start is over
	programs := map[string]int{"server": s.server.Process.Pid}
	for pid, name := range children(s.server.Process.Pid) {
		programs[name] = pid
	}
	before := map[string]float64{}
	for name, pid := range programs {
		before[name] = cpuSeconds(pid)
	}
	select {
	case <-time.After(fleetPacing):
	case <-ctx.Done():
		return ctx.Err()
	}
	figures, parts, total := map[string]float64{}, []string{}, 0.0
	for name, pid := range programs {
		cpu := 100 * (cpuSeconds(pid) - before[name]) / fleetPacing.Seconds()
		figures[name+"_cpu_percent"], figures[name+"_mib"] = cpu, memoryMiB(pid)
		parts = append(parts, fmt.Sprintf("%s %.1f %% (%.0f MiB)", name, cpu, memoryMiB(pid)))
		total += cpu
	}
	figures["cpu_percent"] = total
	checked, err := s.Workspaces(ctx)
	if err != nil {
		return err
	}
	for _, w := range checked {
		if w.Error != "" || time.Since(*w.Sync.CheckedAt) > 10*time.Second {
			return fmt.Errorf("workspace %s is not polled: checked %s, %s", w.Name, w.Sync.CheckedAt, w.Error)
		}
	}
	r.add(result{
		ID: "W1", What: fmt.Sprintf("%d folders of %d files polled every 2 s, nothing changes: processor time", fleetSize, fleetFiles), Baseline: "—",
		Measured: fmt.Sprintf("%.1f %% of one core: %s", total, strings.Join(parts, ", ")), Target: "< 5 % of one core", Met: total < 5, Figures: figures,
	})
	return nil
}
