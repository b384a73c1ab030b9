package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/stroem/stroem/core/api"
	"github.com/stroem/stroem/core/client"
)

// The workspace of W2.
const (
	largeName  = "large"
	largeFiles = 10_000
	largeBytes = 200_000_000
	warmSteps  = 50
)

// writeLarge writes the workspace of W2, at first without its many files.
func writeLarge(dir string) (map[string]string, error) {
	dir = filepath.Join(dir, largeName)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	var tasks strings.Builder
	tasks.WriteString("tasks:\n")
	for _, worker := range []string{"worker", "second"} {
		fmt.Fprintf(&tasks, "  %s: {flow: {a: {action: %s}}}\n", worker, worker)
	}
	tasks.WriteString("actions:\n")
	for _, worker := range []string{"worker", "second"} { // where it runs, and what its directory and one of its files are
		fmt.Fprintf(&tasks, "  %s: {type: shell, tags: [%s], cmd: 'pwd -P; stat -c \"%%d:%%i\" . files/0/0'}\n", worker, worker)
	}
	return map[string]string{largeName: dir}, os.WriteFile(filepath.Join(dir, "flow.yaml"), []byte(tasks.String()), 0o644)
}

// fill writes the many files, as compressible as text is.
func fill(dir string) error {
	line := rand.New(rand.NewPCG(1, 2)) // the same in every run
	for i := range largeFiles {
		var b strings.Builder
		for b.Len() < largeBytes/largeFiles {
			fmt.Fprintf(&b, "%016x some words that come again and again\n", line.Uint64())
		}
		path := filepath.Join(dir, "files", strconv.Itoa(i%100), strconv.Itoa(i))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(path, []byte(b.String()[:largeBytes/largeFiles]), 0o644); err != nil {
			return err
		}
	}
	return nil
}

// largeWorkspace measures W2: how long the workspace takes to load, to reach two workers, and to be there for a step.
func largeWorkspace(ctx context.Context, s *system, r *report) error {
	second, err := s.startWorker(ctx, "second")
	if second != nil {
		s.others = append(s.others, second)
	}
	if err != nil {
		return err
	}
	source := filepath.Join(s.dir, "workspaces", largeName)
	apart := filepath.Join(s.dir, "apart") // or the server would poll half of it
	if err := fill(apart); err != nil {
		return err
	}
	start := time.Now()
	if out, err := exec.CommandContext(ctx, "sh", "-c", `cp -r "$0" "$1" && sync -f "$1"`, apart, filepath.Join(s.dir, "copy")).CombinedOutput(); err != nil {
		return fmt.Errorf("cp: %w: %s", err, out)
	}
	base := time.Since(start)
	if err := os.Rename(filepath.Join(apart, "files"), filepath.Join(source, "files")); err != nil {
		return err
	}
	start = time.Now()
	w, err := s.Refresh(ctx, largeName)
	if err == nil && w.Error != "" {
		err = errors.New(w.Error)
	}
	if err != nil {
		return err
	}
	load := time.Since(start)
	cold, err := s.step(ctx, "worker") // which has the tarball built
	if err != nil {
		return err
	}
	other, err := s.step(ctx, "second")
	if err != nil {
		return err
	}
	if cold.dir == other.dir {
		return errors.New("both workers have one cache")
	}
	var small, warm []time.Duration
	written := bytesWritten(s.worker.Process.Pid)
	for range warmSteps {
		start := time.Now()
		if err := s.complete(ctx, "single"); err != nil {
			return err
		}
		small = append(small, time.Since(start))
		again, err := s.step(ctx, "worker")
		if err != nil {
			return err
		}
		if again.dir != cold.dir || again.inodes != cold.inodes {
			return fmt.Errorf("a step ran in a copy: %+v, and before %+v", again, cold)
		}
		warm = append(warm, again.took)
	}
	written = bytesWritten(s.worker.Process.Pid) - written
	perStep := float64(written) / (2 * warmSteps) / 1000
	tarball := s.tarballSize()
	base50, warm50 := quantile(small, 0.5), quantile(warm, 0.5)
	r.add(result{
		ID: "W2", What: "10,000 files, 200 MB: load, download by two workers, steps from the warm cache",
		Baseline: fmt.Sprintf("cp and flush %.1f s; step of a small workspace p50 %.1f ms", base.Seconds(), base50),
		Measured: fmt.Sprintf("load %.1f s; first step %.1f s with the tarball (%.0f MB), on the second worker %.1f s; warm step p50 %.1f ms (%+.1f), "+
			"in the cache's own directory, %.0f kB written a step", load.Seconds(), cold.took.Seconds(), tarball/1e6, other.took.Seconds(), warm50, warm50-base50, perStep),
		Target: "load ≤ 4 × cp, warm step ≤ +2 ms, ≤ 100 kB", Met: load <= 4*base && warm50 <= base50+2 && perStep <= 100,
		Figures: map[string]float64{
			"baseline_cp_s": base.Seconds(), "baseline_step_ms": base50, "load_s": load.Seconds(), "first_step_s": cold.took.Seconds(),
			"second_worker_s": other.took.Seconds(), "warm_step_ms": warm50, "written_kb_per_step": perStep, "tarball_mb": tarball / 1e6,
		},
	})
	return nil
}

// place is where a step ran.
type place struct {
	took   time.Duration
	dir    string
	inodes string // of the directory and of one of its files
}

// step runs the step for a worker, and checks that it ran in that worker's cache.
func (s *system) step(ctx context.Context, worker string) (place, error) {
	start := time.Now()
	created, err := s.Execute(ctx, largeName, worker, api.ExecuteRequest{}, "")
	if err != nil {
		return place{}, err
	}
	job, err := s.Job(ctx, created.JobID, time.Minute)
	took := time.Since(start)
	if err != nil {
		return place{}, err
	}
	if job.Status != "completed" {
		return place{}, fmt.Errorf("job %s is %s: %v", job.JobID, job.Status, job.ErrorMessage)
	}
	logs, err := s.Logs(ctx, created.JobID, client.LogQuery{})
	if err != nil {
		return place{}, err
	}
	var lines []string
	for text := range strings.Lines(logs.Logs) {
		var line struct{ Line string }
		if err := json.Unmarshal([]byte(text), &line); err != nil {
			return place{}, err
		}
		lines = append(lines, line.Line)
	}
	if len(lines) != 3 || !strings.HasPrefix(lines[0], filepath.Join(s.dir, worker, "cache")+string(filepath.Separator)) {
		return place{}, fmt.Errorf("the step did not run in the cache of %s: %q", worker, lines)
	}
	return place{took: took, dir: lines[0], inodes: lines[1] + " " + lines[2]}, nil
}

// bytesWritten is what a program and its plugins have written to files and connections.
func bytesWritten(pid int) (total int64) {
	pids := []int{pid}
	for child := range children(pid) {
		pids = append(pids, child)
	}
	for _, pid := range pids {
		data, _ := os.ReadFile(fmt.Sprintf("/proc/%d/io", pid))
		for line := range strings.Lines(string(data)) {
			if rest, ok := strings.CutPrefix(line, "wchar:"); ok {
				n, _ := strconv.ParseInt(strings.TrimSpace(rest), 10, 64)
				total += n
			}
		}
	}
	return total
}

// tarballSize is the size of the largest tarball that the server has made.
func (s *system) tarballSize() (largest float64) {
	found, _ := filepath.Glob(filepath.Join(s.dir, "server", "workspaces", largeName, ".tarballs", "*.tar.gz"))
	for _, name := range found {
		if info, err := os.Stat(name); err == nil {
			largest = max(largest, float64(info.Size()))
		}
	}
	return largest
}
