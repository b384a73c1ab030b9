package worker

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/stroem/stroem/core"
	"github.com/stroem/stroem/core/api"
	"github.com/stroem/stroem/core/client"
	"github.com/stroem/stroem/pluginapi"
)

// errShutDown stops the steps of a worker that ends.
var errShutDown = fmt.Errorf("the worker was shut down: %w", pluginapi.ErrStopped)

// take stops what is to be stopped and runs what was claimed. Every step holds a slot.
func (w *Worker) take(work context.Context, steps []api.Claim, stops []api.Stop) {
	for _, stop := range stops {
		w.Logger.Info("stopping a step", "job", stop.JobID, "step", stop.StepName, "reason", stop.Reason)
		w.steps.stop(stop)
	}
	if len(steps) == 0 {
		return
	}
	w.group.Go(func() { w.begin(work, steps) })
}

// begin reports the start of all steps of a claim in one call, and spawns those that the server accepts.
func (w *Worker) begin(work context.Context, steps []api.Claim) {
	accepted, err := w.start(work, steps)
	if err != nil {
		w.Logger.Warn("the start of steps could not be reported; they go back to the server", "steps", len(steps), "error", err)
	}
	for _, step := range steps {
		if !accepted[step.StepID] {
			w.release(1)
			continue
		}
		w.group.Go(func() {
			completion := w.run(work, &step)
			w.ended <- finished{step: &step, completion: completion}
		})
	}
}

func (w *Worker) start(ctx context.Context, steps []api.Claim) (map[int64]bool, error) {
	var request api.StartRequest
	for _, step := range steps {
		request.Steps = append(request.Steps, api.StepLease{StepID: step.StepID, Lease: step.Lease})
	}
	var delay backoff
	for {
		results, err := w.server.Start(ctx, request)
		if err == nil {
			w.rejected(nil)
			accepted := map[int64]bool{}
			for _, r := range results.Results {
				accepted[r.StepID] = r.Status == api.Accepted
			}
			return accepted, nil
		}
		if answer, ok := errors.AsType[*client.Error](err); ok && answer.Status < 500 {
			return nil, err
		}
		if waitErr := delay.wait(ctx, 50*time.Millisecond, 2*time.Second); waitErr != nil {
			return nil, err
		}
	}
}

// release frees slots, and has work asked for them.
func (w *Worker) release(n int) {
	if w.slots.give(n) > 0 {
		w.want()
	}
}

// running are the steps that run now.
type running struct {
	mu    sync.Mutex
	stops map[attempt]context.CancelCauseFunc
}

type attempt struct {
	step    int64
	attempt int
}

func (r *running) add(step *api.Claim, stop context.CancelCauseFunc) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.stops == nil {
		r.stops = map[attempt]context.CancelCauseFunc{}
	}
	r.stops[attempt{step.StepID, step.Attempt}] = stop
}

func (r *running) remove(step *api.Claim) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.stops, attempt{step.StepID, step.Attempt})
}

func (r *running) stop(s api.Stop) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if stop := r.stops[attempt{s.StepID, s.Attempt}]; stop != nil {
		stop(&stopError{core.StopReason(s.Reason)})
	}
}

func (r *running) count() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.stops)
}

// stopError ends a run for a reason that the server gave.
type stopError struct{ reason core.StopReason }

func (e *stopError) Error() string { return "stopped: " + string(e.reason) }

// Unwrap tells the runner how to stop.
func (e *stopError) Unwrap() error {
	if e.reason == core.StopTimedOut {
		return pluginapi.ErrTimedOut
	}
	return pluginapi.ErrStopped
}
