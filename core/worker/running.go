package worker

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/stroem/stroem/core"
	"github.com/stroem/stroem/core/api"
	"github.com/stroem/stroem/pluginapi"
)

// run is a claimed step, from the claim to its end.
type run struct {
	step    *api.Claim
	resumed bool            // it was started by a worker before this one
	ctx     context.Context //nolint:containedctx // as long as the run
	stop    context.CancelCauseFunc
}

// running are the runs by attempt. The zero value is empty.
type running struct {
	mu   sync.Mutex
	runs map[attempt]*run
}

type attempt struct {
	step    int64
	attempt int
}

// add makes a run that ends with ctx, or when it is stopped. It is removed when it has ended.
func (r *running) add(ctx context.Context, step *api.Claim) *run {
	ctx, stop := context.WithCancelCause(ctx)
	added := &run{step: step, ctx: ctx, stop: stop}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.runs == nil {
		r.runs = map[attempt]*run{}
	}
	r.runs[attempt{step.StepID, step.Attempt}] = added
	return added
}

func (r *running) remove(ended *run) {
	ended.stop(nil)
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.runs, attempt{ended.step.StepID, ended.step.Attempt})
}

// stop stops a run for the reason that the server gives; a run that has ended is none of its business any more.
func (r *running) stop(s api.Stop) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if run := r.runs[attempt{s.StepID, s.Attempt}]; run != nil {
		run.stop(&stopError{core.StopReason(s.Reason)})
	}
}

func (r *running) count() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.runs)
}

// errShutDown stops the steps of a worker that ends.
var errShutDown = fmt.Errorf("The worker was shut down: %w", pluginapi.ErrStopped) //nolint:staticcheck // told to people

// errTimedOut stops a step whose own time is over.
var errTimedOut = &stopError{core.StopTimedOut}

// stopError ends a run for a reason that the server knows.
type stopError struct{ reason core.StopReason }

func (e *stopError) Error() string { return "stopped: " + string(e.reason) }

// Unwrap tells the runner how to stop.
func (e *stopError) Unwrap() error {
	if e.reason == core.StopTimedOut {
		return pluginapi.ErrTimedOut
	}
	return pluginapi.ErrStopped
}

// stoppedBy returns the report of a run that was stopped for cause.
func stoppedBy(cause error, step *api.Claim) api.Completion {
	stopped, ok := errors.AsType[*stopError](cause)
	switch {
	case !ok:
		return api.Completion{Error: cause.Error()}
	case stopped.reason == core.StopTimedOut && step.TimeoutSecs > 0:
		return api.Completion{Stopped: string(stopped.reason), Error: "Timed out after " + timeout(step).String()}
	case stopped.reason == core.StopTimedOut:
		return api.Completion{Stopped: string(stopped.reason), Error: "Timed out"}
	default:
		return api.Completion{Stopped: string(stopped.reason), Error: "Cancelled"}
	}
}
