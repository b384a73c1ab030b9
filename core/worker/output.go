package worker

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"sync/atomic"
	"time"

	"github.com/stroem/stroem/core/api"
	"github.com/stroem/stroem/core/joblog"
	"github.com/stroem/stroem/pluginapi"
)

// output is what a runner gets to speak to.
type output struct {
	session    *session
	step       *api.Claim
	attachable bool     // the runner could take the step up again after a restart
	secrets    []string // that this worker has found out
	recorder   *joblog.Recorder
	run        api.LostRun // with the state as it was told last

	received received
	started  atomic.Bool // by the call at hand
	stored   atomic.Bool // another worker could take it up
}

// stateLimit bounds how long a step waits for its state to be stored while the server does not answer.
const stateLimit = 30 * time.Second

// Started stores what the runner says of the step that it has started, before anything else of the run is looked at: here,
// where the next worker finds it to remove what is left, and on the server, if the step could be taken up again by that. A
// step whose state could not be stored runs all the same; one that is not this worker's any more does not.
func (o *output) Started(state []byte) error {
	o.started.Store(true)
	if len(state) == 0 {
		return nil
	}
	o.run.State = state
	o.session.record(o.run)
	if !o.attachable {
		return nil
	}
	if bytes.Equal(state, o.step.State) { // the server has it
		return nil
	}
	ctx, cancel := context.WithTimeout(o.session.calls, stateLimit)
	defer cancel()
	request := api.StartRequest{Steps: []api.StepLease{{StepID: o.step.StepID, Lease: o.step.Lease, State: state, Mask: o.secrets}}}
	var delay backoff
	for {
		results, err := o.session.server.SaveState(ctx, request)
		if o.session.note(err) == nil {
			if len(results.Results) == 1 && results.Results[0].Status != api.Accepted {
				return fmt.Errorf("the step is not this worker's any more: %s", results.Results[0].Status)
			}
			o.stored.Store(true)
			return nil
		}
		if refused(err) || delay.wait(ctx, 100*time.Millisecond, 5*time.Second) != nil {
			o.session.Logger.Warn("the state of a step could not be stored: it would not survive a restart of this worker",
				"job", o.step.JobID, "step", o.step.StepName, "error", err)
			return nil
		}
	}
}

func (o *output) Stdout() io.Writer { return o.stream(0, o.recorder.Stdout()) }
func (o *output) Stderr() io.Writer { return o.stream(1, o.recorder.Stderr()) }

func (o *output) stream(n int, to io.Writer) io.Writer {
	if !o.attachable {
		return to
	}
	return &receiving{Writer: to, from: &o.received, stream: n}
}

// errLetGo ends what this worker knows of a run that a newer one has taken up: as if this one had died.
var errLetGo = fmt.Errorf("%w: %w", ErrSuperseded, pluginapi.ErrHostGone)

// letGo tells whether a run goes on without this worker, by the context of the runner's call.
func letGo(call context.Context) bool { return errors.Is(context.Cause(call), errLetGo) }

// until returns the context of the runner's call, which ends with ctx. It takes over no deadline. The caller calls end.
func (o *output) until(ctx context.Context) (call context.Context, end func()) {
	call, cancel := context.WithCancelCause(context.WithoutCancel(ctx))
	unwatch := context.AfterFunc(ctx, func() {
		cause := context.Cause(ctx)
		if errors.Is(cause, ErrSuperseded) && o.stored.Load() {
			cause = errLetGo
		}
		cancel(cause)
	})
	return call, func() {
		unwatch()
		cancel(nil)
	}
}
