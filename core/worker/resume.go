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
		release := s.cache.hold(step.Workspace, filesOf(step)) // the step may use its files
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
		s.Logger.WarnContext(ctx, "create the scratch directory of a step that is taken up", "path", request.ScratchDir, "error", err)
	}
	out := &output{session: s, step: step, attachable: true, recorder: recorder, run: lostRun(step, step.State)}
	out.stored.Store(true) // or it would not have been handed over
	s.record(out.run)
	call, end := out.until(ctx)
	defer end()
	result, err := s.attachTo(ctx, call, request, out)
	return s.follow(ctx, call, request, out, "The worker was started anew", result, err)
}

// follow takes what the call of a run's runner has returned. As often as the plugin has died and left the run alone, it is
// taken up again; in the end it is settled. anew is why the run was taken up, "" if it was not.
func (s *session) follow(
	ctx, call context.Context, request *pluginapi.AttachRequest, out *output, anew string, result *pluginapi.Result, err error,
) (*pluginapi.Result, error) {
	for errors.Is(err, pluginhost.ErrRunLeft) && ctx.Err() == nil {
		s.Logger.WarnContext(ctx, "a plugin has ended, and its step goes on: taking it up again",
			"job", out.step.JobID, "step", out.step.StepName, "error", err)
		anew = "The runner plugin was started anew"
		out.started.Store(false)
		out.received.resume()
		request.State = out.run.State
		if since := out.received.since(); !since.IsZero() {
			request.Since = since
		}
		result, err = s.attachTo(ctx, call, request, out)
	}
	removeErr := s.settle(call, out.run, err) // is logged
	if err == nil || anew == "" || out.started.Load() || letGo(call) {
		return result, err
	}
	return nil, notTakenUp(anew, errors.Join(err, removeErr))
}

// attachTo calls Attach. What the plugin needs may come up later than the worker, so a plugin that cannot work yet is asked
// again.
func (s *session) attachTo(
	ctx, call context.Context, request *pluginapi.AttachRequest, out *output,
) (result *pluginapi.Result, err error) {
	runner, ok := s.Runners.Runner(request.Type, request.Runner)
	if !ok {
		return nil, fmt.Errorf("no runner of this worker offers the action type %s/%s", request.Type, out.step.Runner)
	}
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

func notTakenUp(anew string, err error) error {
	if pluginapi.CodeOf(err) == pluginapi.CodeNotFound {
		return fmt.Errorf("%s, and the step is gone: %w", anew, err)
	}
	return fmt.Errorf("%s, and could not take up the step again: %w", anew, err)
}

// known is what the server knows of a step's output.
func known(k *api.LogKnown) joblog.Known {
	if k == nil {
		return joblog.Known{}
	}
	return joblog.Known{Since: k.Since, Until: k.Until, Stdout: k.Stdout, Stderr: k.Stderr}
}
