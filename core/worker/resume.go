package worker

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/stroem/stroem/core/api"
	"github.com/stroem/stroem/core/joblog"
	"github.com/stroem/stroem/core/pluginhost"
	"github.com/stroem/stroem/pluginapi"
)

// resume takes up the steps that a worker before this one has started. They take slots, free or not, so no work is asked
// for before enough of them have ended.
func (s *session) resume(claims []api.Claim) {
	for i := range claims {
		step := &claims[i]
		s.Logger.Info("taking up a step again", "job", step.JobID, "step", step.StepName, "type", step.ActionType)
		s.slots.occupy()
		r := s.steps.add(s.work, step)
		r.resumed = true
		release := s.cache.hold(step.Workspace, step.Revision) // the step may use its files
		s.group.Go(func() {
			defer release()
			s.carry(r)
		})
	}
}

// attach takes up a step that runs, as perform runs one. A run that cannot be taken up is removed.
func (s *session) attach(ctx context.Context, step *api.Claim, recorder *joblog.Recorder) (*pluginapi.Result, error) {
	request := &pluginapi.AttachRequest{
		RunID: runID(step.JobID, step.StepID, step.Attempt), Type: step.ActionType, Runner: variant(step.Runner),
		State: step.State, StopGrace: s.StopGrace, Labels: labels(step.Workspace, step.TaskName, step.JobID, step.StepName),
	}
	if step.LogKnown != nil {
		request.Since = step.LogKnown.Since
	}
	request.ScratchDir = filepath.Join(s.ScratchDir, request.RunID)
	if err := os.MkdirAll(request.ScratchDir, 0o700); err != nil { // which is there, unless the disk is another one
		return nil, fmt.Errorf("create the scratch directory: %w", err)
	}
	out := &output{session: s, step: step, attachable: true, recorder: recorder}
	out.stored.Store(true) // or it would not have been handed over
	call, end := out.until(ctx)
	defer func() {
		end()
		if !letGo(call) {
			s.forget(request.RunID)
		}
	}()
	runner, ok := s.Runners.Runner(request.Type, request.Runner)
	if !ok {
		return nil, notTakenUp(fmt.Errorf("no runner of this worker offers the action type %s/%s", step.ActionType, step.Runner))
	}
	result, err := s.attachTo(ctx, call, runner, request, out)
	if err == nil || out.started.Load() || letGo(call) {
		return result, err
	}
	if removeErr := s.remove(api.LostRun{ //nolint:contextcheck // also for a step that is stopped
		StepID: step.StepID, Attempt: step.Attempt, JobID: step.JobID, StepName: step.StepName, Workspace: step.Workspace,
		TaskName: step.TaskName, ActionType: step.ActionType, Runner: step.Runner, State: step.State,
	}); removeErr != nil {
		err = errors.Join(err, removeErr)
	}
	return nil, notTakenUp(err)
}

// attachTo calls Attach. What the plugin needs may come up later than the worker, so a plugin that cannot work yet is asked
// again.
func (s *session) attachTo(
	ctx, call context.Context, runner pluginapi.Runner, request *pluginapi.AttachRequest, out *output,
) (result *pluginapi.Result, err error) {
	attacher, ok := runner.(pluginapi.Attacher)
	if !ok {
		return nil, errors.New("its runner cannot attach to steps")
	}
	err = repeat(ctx, func(err error) bool { return notBegun(err) || unavailable(err) && !out.started.Load() }, func() (err error) {
		result, err = attacher.Attach(call, request, out)
		return err
	})
	return result, err
}

// unavailable tells that what the plugin needs does not answer, while the plugin itself does.
func unavailable(err error) bool {
	return pluginapi.CodeOf(err) == pluginapi.CodeUnavailable && !errors.Is(err, pluginhost.ErrPluginGone)
}

func notTakenUp(err error) error {
	if pluginapi.CodeOf(err) == pluginapi.CodeNotFound {
		return fmt.Errorf("The worker was started anew, and the step is gone: %w", err) //nolint:staticcheck // told to people
	}
	return fmt.Errorf("The worker was started anew, and could not take up the step again: %w", err) //nolint:staticcheck // told to people
}

// known is what the server knows of a step's output.
func known(k *api.LogKnown) joblog.Known {
	if k == nil {
		return joblog.Known{}
	}
	return joblog.Known{Since: k.Since, Until: k.Until, Stdout: k.Stdout, Stderr: k.Stderr}
}
