package worker

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/stroem/stroem/core/api"
	"github.com/stroem/stroem/core/joblog"
)

// output is what a runner gets to speak to.
type output struct {
	session    *session
	step       *api.Claim
	attachable bool // the runner could take the step up again after a restart
	recorder   *joblog.Recorder
}

// stateLimit bounds how long a step waits for its state to be stored while the server does not answer.
const stateLimit = 30 * time.Second

// Started stores what the runner says of the step that it has started, if it could be found again by that. A step whose
// state could not be stored runs all the same; one that is not this worker's any more does not.
func (o *output) Started(state []byte) error {
	if !o.attachable || len(state) == 0 {
		return nil
	}
	ctx, cancel := context.WithTimeout(o.session.calls, stateLimit)
	defer cancel()
	request := api.StartRequest{Steps: []api.StepLease{{StepID: o.step.StepID, Lease: o.step.Lease, State: state}}}
	var delay backoff
	for {
		results, err := o.session.server.SaveState(ctx, request)
		if o.session.note(err) == nil {
			if len(results.Results) == 1 && results.Results[0].Status != api.Accepted {
				return fmt.Errorf("the step is not this worker's any more: %s", results.Results[0].Status)
			}
			return nil
		}
		if refused(err) || delay.wait(ctx, 100*time.Millisecond, 5*time.Second) != nil {
			o.session.Logger.Warn("the state of a step could not be stored: it would not survive a restart of this worker",
				"job", o.step.JobID, "step", o.step.StepName, "error", err)
			return nil
		}
	}
}

func (o *output) Stdout() io.Writer { return o.recorder.Stdout() }
func (o *output) Stderr() io.Writer { return o.recorder.Stderr() }
