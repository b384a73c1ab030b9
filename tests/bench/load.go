package main

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"
	"golang.org/x/sync/errgroup"

	"github.com/stroem/stroem/core/api"
	"github.com/stroem/stroem/core/client"
	"github.com/stroem/stroem/core/worker"
	"github.com/stroem/stroem/pluginapi"
)

// rate triggers a task n times from several clients and returns how many jobs a second were completed, from the first
// trigger to the end of the last job.
func (s *system) rate(ctx context.Context, task string, n, clients int) (float64, error) {
	start := time.Now()
	ids := make([]string, n)
	group, groupCtx := errgroup.WithContext(ctx)
	for from := range clients {
		group.Go(func() error {
			for i := from; i < n; i += clients {
				created, err := s.Execute(groupCtx, "default", task, api.ExecuteRequest{}, "")
				if err != nil {
					return err
				}
				ids[i] = created.JobID
			}
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		return 0, err
	}
	last, err := s.lastEnd(ctx, ids)
	if err != nil {
		return 0, err
	}
	return float64(n) / last.Sub(start).Seconds(), nil
}

// lastEnd waits for jobs, and returns when the last one ended. It looks at the database, so as not to load the server.
func (s *system) lastEnd(ctx context.Context, ids []string) (time.Time, error) {
	conn, err := pgx.Connect(ctx, s.database)
	if err != nil {
		return time.Time{}, err
	}
	defer func() { _ = conn.Close(ctx) }()
	for {
		var open, failed int
		var last *time.Time
		if err := conn.QueryRow(ctx, `select count(*) filter (where completed_at is null),
				count(*) filter (where status in ('failed', 'cancelled')), max(completed_at)
			from job where job_id = any($1::uuid[])`, ids).Scan(&open, &failed, &last); err != nil {
			return time.Time{}, err
		}
		if failed > 0 {
			return time.Time{}, fmt.Errorf("%d jobs failed", failed)
		}
		if open == 0 {
			return *last, nil
		}
		<-time.After(50 * time.Millisecond)
	}
}

// noopRunner is a runner whose steps end at once.
type noopRunner struct{ pluginapi.Runner }

func (noopRunner) Run(_ context.Context, _ *pluginapi.RunRequest, out pluginapi.Output) (*pluginapi.Result, error) {
	return &pluginapi.Result{}, out.Started(nil)
}

// noopRunners offers it for every action type.
type noopRunners struct{}

func (noopRunners) Runner(string, string) (pluginapi.Runner, bool) { return noopRunner{}, true }

func (noopRunners) ActionTypes() []pluginapi.ActionType {
	return []pluginapi.ActionType{{Name: "shell", Runner: "local", Tag: "shell"}}
}

// withNoopWorker runs f beside a worker in this process, whose runner does nothing.
func (s *system) withNoopWorker(ctx context.Context, f func() error) error {
	c, err := client.New(client.Options{Server: "http://" + s.listen, Token: token})
	if err != nil {
		return err
	}
	defer c.Close()
	w := worker.New(worker.Options{
		Name: "noop", Client: c, Runners: noopRunners{}, Labels: []string{"noop"}, Slots: 32,
		CacheDir: filepath.Join(s.dir, "noop-cache"), ScratchDir: filepath.Join(s.dir, "noop-scratch"),
		Logger: slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn})),
	})
	ctx, stop := context.WithCancel(ctx)
	done := make(chan error, 1)
	go func() { done <- w.Run(ctx, context.WithoutCancel(ctx)) }()
	err = f()
	stop()
	if workerErr := <-done; err == nil {
		err = workerErr
	}
	return err
}

// noop measures P4, the triggers inside the clock.
func noop(ctx context.Context, s *system, r *report) error {
	base, err := s.pgbench(ctx)
	if err != nil {
		return err
	}
	var rates []float64
	err = s.withNoopWorker(ctx, func() error {
		if _, err := s.rate(ctx, "noop", 500, 16); err != nil { // warm up
			return err
		}
		for range 3 {
			rate, err := s.rate(ctx, "noop", 10_000, 16)
			if err != nil {
				return err
			}
			rates = append(rates, rate)
		}
		return nil
	})
	if err != nil {
		return err
	}
	rate := median(rates)
	r.add(result{
		ID: "P4", What: "10,000 jobs of one no-op step, triggers inside the clock", Baseline: fmt.Sprintf("pgbench -N: %.0f tps", base),
		Measured: fmt.Sprintf("%.0f steps/s (%.0f %%)", rate, 100*rate/base), Target: "≥ 50 %", Met: rate >= base/2,
		Figures: map[string]float64{"baseline_tps": base, "steps_per_s": rate},
	})
	return nil
}

var tps = regexp.MustCompile(`tps = ([0-9.]+)`)

// pgbench is the rate of simple updates that the database reaches, in a database of its own on the same server.
func (s *system) pgbench(ctx context.Context) (float64, error) {
	program := "pgbench"
	if _, err := exec.LookPath(program); err != nil {
		found, _ := filepath.Glob("/usr/lib/postgresql/*/bin/pgbench")
		if len(found) == 0 {
			return 0, fmt.Errorf("pgbench is not installed: it comes with PostgreSQL's server package")
		}
		program = found[len(found)-1]
	}
	if out, err := exec.CommandContext(ctx, program, "-i", "-q", "-s", "10", s.base).CombinedOutput(); err != nil {
		return 0, fmt.Errorf("pgbench -i: %w: %s", err, out)
	}
	out, err := exec.CommandContext(ctx, program, "-N", "-c", "8", "-j", "2", "-T", "10", s.base).CombinedOutput()
	if err != nil {
		return 0, fmt.Errorf("pgbench: %w: %s", err, out)
	}
	match := tps.FindSubmatch(out)
	if match == nil {
		return 0, fmt.Errorf("pgbench printed no rate: %s", out)
	}
	return strconv.ParseFloat(string(match[1]), 64)
}

// fan measures P5: wide jobs, from the trigger to the end.
func fan(ctx context.Context, s *system, r *report) error {
	times := map[int][]float64{}
	err := s.withNoopWorker(ctx, func() error {
		if err := s.complete(ctx, "fan-1000"); err != nil { // warm up
			return err
		}
		for range 3 {
			for _, n := range []int{1_000, 9_998} {
				start := time.Now()
				if err := s.complete(ctx, fmt.Sprintf("fan-%d", n)); err != nil {
					return err
				}
				times[n] = append(times[n], time.Since(start).Seconds())
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	small, large := median(times[1_000]), median(times[9_998])
	ratio := large / small
	r.add(result{
		ID: "P5", What: "fan-out of 1,000 no-op steps and fan-in; 10,000", Baseline: "P4's rate; linear growth",
		Measured: fmt.Sprintf("1,000: %.0f steps/s; 10,000: %.0f steps/s, %.1f times as long", 1_000/small, 9_998/large, ratio),
		Target:   "≥ P4, ≤ 12 times", Met: ratio <= 12,
		Figures: map[string]float64{"steps_per_s_1000": 1_000 / small, "steps_per_s_10000": 9_998 / large, "ratio": ratio},
	})
	return nil
}
