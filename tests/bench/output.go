package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/stroem/stroem/core/api"
	"github.com/stroem/stroem/core/client"
)

const (
	millionLines = 1_000_000
	manyViewers  = 500
)

// million measures P7: a step that prints 100 MB as fast as it is taken from it.
func million(ctx context.Context, s *system, r *report) error {
	var bare, steps []float64
	grown := s.watchMemory()
	for i := range 4 {
		start := time.Now()
		out := filepath.Join(s.dir, "million")
		if err := exec.CommandContext(ctx, "sh", "-c", "seq -f '%099.0f' 1000000 | cat >"+out).Run(); err != nil {
			return fmt.Errorf("the baseline: %w", err)
		}
		base := time.Since(start).Seconds()
		seconds, err := s.printMillion(ctx, nil)
		if err != nil {
			return err
		}
		if i > 0 { // the first one warms up
			bare, steps = append(bare, base), append(steps, seconds)
		}
	}
	base, rate, growth := millionLines/median(bare), millionLines/median(steps), grown()
	r.add(result{
		ID: "P7", What: "one step prints 1,000,000 lines (100 MB)", Baseline: fmt.Sprintf("through cat into a file: %.0f lines/s", base),
		Measured: fmt.Sprintf("%.0f lines/s (%.0f %%), server and worker grow by %.0f MiB at most", rate, 100*rate/base, growth),
		Target:   "≥ 25 % and ≥ 200,000 lines/s, memory ± 64 MiB", Met: rate >= base/4 && rate >= 200_000 && growth <= 64,
		Figures: map[string]float64{"baseline_lines_per_s": base, "lines_per_s": rate, "growth_mib": growth},
	})
	return nil
}

// viewers measures P8: how much longer P7's step takes while many follow it, beside one.
func viewers(ctx context.Context, s *system, r *report) error {
	times := map[int][]float64{}
	for range 3 {
		for _, n := range []int{1, manyViewers} {
			seconds, err := s.printMillion(ctx, func(ctx context.Context, job string) (func(), error) { return s.follow(ctx, job, n) })
			if err != nil {
				return err
			}
			times[n] = append(times[n], seconds)
		}
	}
	one, many := median(times[1]), median(times[manyViewers])
	r.add(result{
		ID: "P8", What: fmt.Sprintf("%d viewers of a step that prints 1,000,000 lines", manyViewers), Baseline: fmt.Sprintf("1 viewer: %.2f s", one),
		Measured: fmt.Sprintf("%.2f s (%+.0f %%)", many, 100*(many/one-1)), Target: "≤ +20 %", Met: many <= 1.2*one,
		Figures: map[string]float64{"one_s": one, "many_s": many},
	})
	return nil
}

// printMillion runs the job that prints, and returns how long the step took that does. It begins when watch, if there is one, has
// returned; what that returns is called at the end of the job.
func (s *system) printMillion(ctx context.Context, watch func(ctx context.Context, job string) (func(), error)) (float64, error) {
	file := filepath.Join(s.dir, "go-"+rand.Text())
	created, err := s.Execute(ctx, "default", "million", api.ExecuteRequest{Input: map[string]any{"file": file}}, "")
	if err != nil {
		return 0, err
	}
	if watch != nil {
		end, err := watch(ctx, created.JobID)
		if err != nil {
			return 0, err
		}
		defer end()
	}
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		return 0, err
	}
	job, err := s.ended(ctx, created.JobID)
	if err != nil {
		return 0, err
	}
	page, err := s.Logs(ctx, created.JobID, client.LogQuery{Tail: 1})
	if err != nil {
		return 0, err
	}
	if page.Total != millionLines {
		return 0, fmt.Errorf("the log has %d lines", page.Total)
	}
	step := job.Steps[slices.IndexFunc(job.Steps, func(s api.Step) bool { return s.StepName == "print" })]
	return step.CompletedAt.Sub(*step.StartedAt).Seconds(), nil
}

// follow opens so many log streams of a job, and throws away what comes. They are as light as can be, because they share the
// processors with what is measured.
func (s *system) follow(ctx context.Context, job string, n int) (end func(), err error) {
	var open []net.Conn
	var reading sync.WaitGroup
	end = func() {
		for _, conn := range open {
			_ = conn.Close()
		}
		reading.Wait()
	}
	defer func() {
		if err != nil {
			end()
		}
	}()
	for range n {
		conn, err := new(net.Dialer).DialContext(ctx, "tcp", s.listen)
		if err != nil {
			return nil, err
		}
		open = append(open, conn)
		request := "GET /api/jobs/" + job + "/logs/stream HTTP/1.1\r\nHost: " + s.listen + "\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n" +
			"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
		if _, err := io.WriteString(conn, request); err != nil {
			return nil, err
		}
		answer := make([]byte, 12)
		if _, err := io.ReadFull(conn, answer); err != nil || !bytes.HasSuffix(answer, []byte("101")) {
			return nil, fmt.Errorf("a log stream cannot be opened: %q, %w", answer, err)
		}
		reading.Go(func() { _, _ = io.Copy(io.Discard, conn) })
	}
	return end, nil
}

// watchMemory returns a function that tells by how many MiB the server or the worker has grown at most until it is called.
func (s *system) watchMemory() (most func() float64) {
	pids := []int{s.server.Process.Pid, s.worker.Process.Pid}
	before := []float64{memoryMiB(pids[0]), memoryMiB(pids[1])}
	stop, done := make(chan struct{}), make(chan float64)
	go func() {
		grown := 0.0
		for {
			for i, pid := range pids {
				grown = max(grown, memoryMiB(pid)-before[i])
			}
			select {
			case <-time.After(20 * time.Millisecond):
			case <-stop:
				done <- grown
				return
			}
		}
	}()
	return func() float64 {
		close(stop)
		return <-done
	}
}
