package worker

import (
	"context"
	"io"
	"time"

	"github.com/stroem/stroem/core/api"
	"github.com/stroem/stroem/core/joblog"
)

// output is what a runner gets to speak to.
type output struct {
	w        *Worker
	ctx      context.Context
	step     *api.Claim
	keep     bool // the runner could take the step up again after a restart
	recorder *joblog.Recorder
}

// stateTimeout bounds how long a step waits for its state to be stored.
const stateTimeout = 30 * time.Second

// Started stores what the runner says of the step that it has started, if it could be found again by that.
func (o *output) Started(state []byte) error {
	if !o.keep || len(state) == 0 {
		return nil
	}
	ctx, cancel := context.WithTimeout(o.ctx, stateTimeout)
	defer cancel()
	_, err := o.w.server.SaveState(ctx, api.StartRequest{
		Steps: []api.StepLease{{StepID: o.step.StepID, Lease: o.step.Lease, State: state}},
	})
	return err
}

func (o *output) Stdout() io.Writer { return o.recorder.Stdout() }
func (o *output) Stderr() io.Writer { return o.recorder.Stderr() }
