package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/stroem/stroem/core/pluginhost"
	"github.com/stroem/stroem/pluginapi"
)

// boundary is a runner plugin and its host, with nothing else of Strøm: what a step costs beyond the process that it is.
type boundary struct {
	host *pluginhost.Host
	dir  string // gets the scratch directory of each run
	last atomic.Int64
}

func newBoundary(ctx context.Context, bin, plugin string, config map[string]any) (b *boundary, err error) {
	plugins, err := filepath.Abs(filepath.Join(bin, "plugins"))
	if err != nil {
		return nil, err
	}
	b = &boundary{}
	if b.dir, err = os.MkdirTemp("", "stroem-bench-"); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, b.close(ctx))
		}
	}()
	if b.host, err = pluginhost.New(pluginhost.Config{
		Dir: plugins, Kinds: []pluginapi.Kind{pluginapi.KindRunner}, Only: []string{plugin},
		Plugins: map[string]pluginhost.PluginConfig{plugin: {Config: config}},
		Logger:  slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn})),
	}); err != nil {
		return nil, err
	}
	return b, b.host.Start(ctx)
}

func (b *boundary) close(ctx context.Context) error {
	var err error
	if b.host != nil {
		err = b.host.Close(ctx)
	}
	return errors.Join(err, os.RemoveAll(b.dir))
}

// scratch makes a directory for a run, as every host has to; the bare processes get one as well.
func (b *boundary) scratch() (id, dir string, err error) {
	id = strconv.FormatInt(b.last.Add(1), 10)
	dir = filepath.Join(b.dir, id)
	return id, dir, os.Mkdir(dir, 0o700)
}

// exec runs a command as a process of this program.
func (b *boundary) exec(ctx context.Context, command string, stdout io.Writer) error {
	_, dir, err := b.scratch()
	if err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, "sh", "-c", command)
	cmd.Dir, cmd.Stdout, cmd.Stderr = dir, stdout, &bytes.Buffer{}
	return cmd.Run()
}

// plugin runs a command through the plugin.
func (b *boundary) plugin(ctx context.Context, command string, stdout io.Writer) error {
	id, dir, err := b.scratch()
	if err != nil {
		return err
	}
	spec, err := json.Marshal(map[string]string{"cmd": command})
	if err != nil {
		return err
	}
	runner, ok := b.host.Runner("shell", "local")
	if !ok {
		return fmt.Errorf("the shell plugin does not run: %+v", b.host.Plugins())
	}
	result, err := runner.Run(ctx, &pluginapi.RunRequest{
		RunID: id, Type: "shell", Runner: "local", Spec: spec, Workspace: pluginapi.Workspace{Dir: b.dir}, ScratchDir: dir,
	}, taken{stdout})
	if err == nil && result.ExitCode != 0 {
		err = fmt.Errorf("exit code %d", result.ExitCode)
	}
	return err
}

// taken is an output that takes everything.
type taken struct{ stdout io.Writer }

func (taken) Started([]byte) error { return nil }

func (t taken) Stdout() io.Writer { return t.stdout }

func (taken) Stderr() io.Writer { return io.Discard }

// times runs `true` n times, some at the same time, and returns how long each took and how many there were in a second.
func times(ctx context.Context, n, parallel int, run func(context.Context, string, io.Writer) error) ([]time.Duration, float64, error) {
	all := make([]time.Duration, n)
	start := time.Now()
	group, ctx := errgroup.WithContext(ctx)
	for from := range parallel {
		group.Go(func() error {
			for i := from; i < n; i += parallel {
				start := time.Now()
				if err := run(ctx, "true", io.Discard); err != nil {
					return err
				}
				all[i] = time.Since(start)
			}
			return nil
		})
	}
	err := group.Wait()
	return all, float64(n) / time.Since(start).Seconds(), err
}

// short measures the shortest step, one at a time (B1) and four at a time (B2), bare and through the plugin in turns.
func short(ctx context.Context, b *boundary, r *report) error {
	const n, rounds = 500, 3
	for _, parallel := range []int{1, 4} {
		var bare, through []time.Duration
		var bases, rates []float64
		for round := range rounds + 1 {
			direct, base, err := times(ctx, n, parallel, b.exec)
			if err != nil {
				return err
			}
			plugin, rate, err := times(ctx, n, parallel, b.plugin)
			if err != nil {
				return err
			}
			if round > 0 { // the first one warms up
				bare, through = append(bare, direct...), append(through, plugin...)
				bases, rates = append(bases, base), append(rates, rate)
			}
		}
		base50, base95, p50, p95 := quantile(bare, 0.5), quantile(bare, 0.95), quantile(through, 0.5), quantile(through, 0.95)
		base, rate := median(bases), median(rates)
		line := result{
			ID: "B1", What: "`Run` of `true` through host and shell plugin, one at a time",
			Baseline: fmt.Sprintf("os/exec p50 %.2f ms, p95 %.2f ms, %.0f/s", base50, base95, base),
			Measured: fmt.Sprintf("p50 %.2f ms (%+.2f), p95 %.2f ms (%+.2f), %.0f/s", p50, p50-base50, p95, p95-base95, rate),
			Target:   "p50 ≤ +1.5 ms, p95 ≤ +3 ms", Met: p50 <= base50+1.5 && p95 <= base95+3,
			Figures: map[string]float64{
				"baseline_p50_ms": base50, "baseline_p95_ms": base95, "baseline_per_s": base, "p50_ms": p50, "p95_ms": p95, "per_s": rate,
			},
		}
		if parallel > 1 {
			line.ID, line.What = "B2", fmt.Sprintf("the same, %d at a time", parallel)
			line.Target, line.Met = "≥ 50 % of the rate", rate >= base/2
		}
		r.add(line)
	}
	return nil
}

// large measures a step with much output (B3).
func large(ctx context.Context, b *boundary, r *report) error {
	const size, rounds = 100_000_000, 5
	command := fmt.Sprintf("head -c %d /dev/zero", size)
	speed := func(run func(context.Context, string, io.Writer) error) (float64, error) {
		var got counter
		start := time.Now()
		err := run(ctx, command, &got)
		if err == nil && got != size {
			err = fmt.Errorf("%d bytes came", got)
		}
		return size / 1e6 / time.Since(start).Seconds(), err
	}
	var bases, rates []float64
	for range rounds {
		base, err := speed(b.exec)
		if err != nil {
			return err
		}
		rate, err := speed(b.plugin)
		if err != nil {
			return err
		}
		bases, rates = append(bases, base), append(rates, rate)
	}
	base, rate := median(bases), median(rates)
	r.add(result{
		ID: "B3", What: "100 MB of output through host and shell plugin", Baseline: fmt.Sprintf("os/exec %.0f MB/s", base),
		Measured: fmt.Sprintf("%.0f MB/s (%.0f %%)", rate, 100*rate/base), Target: "≥ 100 MB/s", Met: rate >= 100,
		Figures: map[string]float64{"baseline_mb_per_s": base, "mb_per_s": rate},
	})
	return nil
}

// counter counts bytes.
type counter int

func (c *counter) Write(p []byte) (int, error) {
	*c += counter(len(p))
	return len(p), nil
}
