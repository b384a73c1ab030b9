package main

import (
	"context"
	"fmt"
	"os/exec"
	"time"

	"github.com/stroem/stroem/core/api"
)

// pauseBetween is how long the system is left idle between two runs of P1, and between two bare spawns.
const pauseBetween = 10 * time.Millisecond

// single measures P1 by the clock of whoever triggers: from the request to the answer that the job has completed.
func single(ctx context.Context, s *system, r *report) error {
	var bare, jobs []time.Duration
	for i := range 220 {
		d, err := spawn(ctx, ":")
		if err != nil {
			return err
		}
		<-time.After(pauseBetween)
		start := time.Now()
		if err := s.complete(ctx, "single"); err != nil {
			return err
		}
		if i >= 20 { // the first ones warm up
			bare, jobs = append(bare, d), append(jobs, time.Since(start))
		}
		<-time.After(pauseBetween)
	}
	base50, base99, p50, p99 := quantile(bare, 0.5), quantile(bare, 0.99), quantile(jobs, 0.5), quantile(jobs, 0.99)
	r.add(result{
		ID: "P1", What: "trigger → completed, one `sh -c :` step, idle, 200 runs",
		Baseline: fmt.Sprintf("spawn p50 %.1f ms, p99 %.1f ms", base50, base99),
		Measured: fmt.Sprintf("p50 %.1f ms (+%.1f), p99 %.1f ms (+%.1f)", p50, p50-base50, p99, p99-base99),
		Target:   "p50 ≤ +6 ms, p99 ≤ +15 ms", Met: p50 <= base50+6 && p99 <= base99+15,
		Figures: map[string]float64{"baseline_p50_ms": base50, "baseline_p99_ms": base99, "p50_ms": p50, "p99_ms": p99},
	})
	return nil
}

// chain measures P2 by the job's own times.
func chain(ctx context.Context, s *system, r *report) error {
	const steps, rounds = 50, 11
	var bare, hops []float64
	for range rounds {
		start := time.Now()
		for range steps {
			if _, err := spawn(ctx, "true"); err != nil {
				return err
			}
		}
		bare = append(bare, float64(time.Since(start).Microseconds())/1000/steps)
		job, err := s.run(ctx, "chain")
		if err != nil {
			return err
		}
		hops = append(hops, float64(job.CompletedAt.Sub(job.CreatedAt).Microseconds())/1000/steps)
	}
	base, hop := median(bare), median(hops)
	r.add(result{
		ID: "P2", What: "a chain of 50 `true` steps, a hop", Baseline: fmt.Sprintf("spawn %.2f ms", base),
		Measured: fmt.Sprintf("%.2f ms (+%.2f)", hop, hop-base), Target: "≤ +3.5 ms", Met: hop <= base+3.5,
		Figures: map[string]float64{"baseline_ms": base, "hop_ms": hop},
	})
	return nil
}

// many measures P3: the time from the first trigger to the last completion.
func many(ctx context.Context, s *system, r *report) error {
	const n = 1_000
	var ratios, rates, bases []float64
	for range 3 {
		start := time.Now()
		if out, err := exec.CommandContext(ctx, "sh", "-c", fmt.Sprintf("seq %d | xargs -P4 -I{} sh -c :", n)).CombinedOutput(); err != nil {
			return fmt.Errorf("xargs: %w: %s", err, out)
		}
		base := n / time.Since(start).Seconds()
		rate, err := s.rate(ctx, "single", n, 8)
		if err != nil {
			return err
		}
		bases, rates, ratios = append(bases, base), append(rates, rate), append(ratios, rate/base)
	}
	ratio := median(ratios)
	r.add(result{
		ID: "P3", What: "1,000 jobs of one `sh -c :` step", Baseline: fmt.Sprintf("xargs -P4: %.0f/s", median(bases)),
		Measured: fmt.Sprintf("%.0f/s (%.0f %%)", median(rates), 100*ratio), Target: "≥ 40 %", Met: ratio >= 0.40,
		Figures: map[string]float64{"baseline_per_s": median(bases), "per_s": median(rates), "ratio": ratio},
	})
	return nil
}

func spawn(ctx context.Context, command string) (time.Duration, error) {
	start := time.Now()
	err := exec.CommandContext(ctx, "sh", "-c", command).Run()
	return time.Since(start), err
}

// run runs a task and returns its job once it has ended.
func (s *system) run(ctx context.Context, task string) (api.JobDetail, error) {
	created, err := s.Execute(ctx, "default", task, api.ExecuteRequest{}, "")
	if err != nil {
		return api.JobDetail{}, err
	}
	return s.ended(ctx, created.JobID)
}

// ended returns a job once it has ended.
func (s *system) ended(ctx context.Context, id string) (api.JobDetail, error) {
	for {
		job, err := s.Job(ctx, id, time.Minute)
		if err != nil {
			return job, err
		}
		if job.CompletedAt != nil {
			if job.Status != "completed" {
				return job, fmt.Errorf("job %s of task %s is %s", job.JobID, job.TaskName, job.Status)
			}
			return job, nil
		}
	}
}

func (s *system) complete(ctx context.Context, task string) error {
	_, err := s.run(ctx, task)
	return err
}
