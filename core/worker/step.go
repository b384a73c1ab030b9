package worker

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/stroem/stroem/core"
	"github.com/stroem/stroem/core/api"
	"github.com/stroem/stroem/core/client"
	"github.com/stroem/stroem/core/joblog"
	"github.com/stroem/stroem/pluginapi"
)

// run executes one step from start to end and returns what is to be reported of it. It never fails itself: whatever goes
// wrong is the step's error.
func (w *Worker) run(work context.Context, step *api.Claim) (completion api.Completion) {
	ctx, stop := context.WithCancelCause(work)
	defer stop(nil)
	w.steps.add(step, stop)
	defer w.steps.remove(step)
	masker := joblog.NewMasker(step.Mask)
	recorder := joblog.NewRecorder(context.WithoutCancel(ctx), joblog.RecorderOptions{
		Step: step.StepName, Attempt: step.Attempt, Masker: masker, MaxBytes: w.MaxStepBytes,
		Send: func(ctx context.Context, first int64, ndjson []byte) error {
			return w.sendLogs(ctx, step, first, ndjson)
		},
	})
	defer func() {
		if r := recover(); r != nil {
			completion = failure(fmt.Errorf("Runner panicked: %v", r)) //nolint:revive,staticcheck // the contract's words
		}
		w.finish(step, &completion, recorder.Close(context.WithoutCancel(work)), masker)
	}()
	if step.TimeoutSecs > 0 {
		var cancel context.CancelFunc
		timeout := time.Duration(step.TimeoutSecs * float64(time.Second))
		ctx, cancel = context.WithTimeoutCause(ctx, timeout, &stopError{core.StopTimedOut})
		defer cancel()
	}
	result, err := w.execute(ctx, step, recorder)
	return conclude(ctx, step, result, err)
}

// execute prepares what the step needs, and hands it to its runner.
func (w *Worker) execute(ctx context.Context, step *api.Claim, recorder *joblog.Recorder) (*pluginapi.Result, error) {
	var action core.Action
	if err := json.Unmarshal(step.ActionSpec, &action); err != nil {
		return nil, fmt.Errorf("decode the action: %w", err)
	}
	variant := step.Runner
	if variant == core.RunnerNone {
		variant = ""
	}
	runner, ok := w.Runners.Runner(step.ActionType, variant)
	if !ok {
		return nil, fmt.Errorf("no runner of this worker offers the action type %s/%s", step.ActionType, step.Runner)
	}
	spec, err := json.Marshal(action.Spec)
	if err != nil {
		return nil, fmt.Errorf("encode the action's spec: %w", err)
	}
	request := &pluginapi.RunRequest{
		RunID: step.JobID + "." + strconv.FormatInt(step.StepID, 10) + "." + strconv.Itoa(step.Attempt),
		Type:  step.ActionType, Runner: variant, Spec: spec, StopGrace: w.StopGrace,
		Labels: map[string]string{
			"workspace": step.Workspace, "task": step.TaskName, "job_id": step.JobID, "step": step.StepName,
		},
	}
	request.ScratchDir = filepath.Join(w.ScratchDir, request.RunID)
	if err := os.Mkdir(request.ScratchDir, 0o700); err != nil {
		return nil, fmt.Errorf("create the scratch directory: %w", err)
	}
	defer func() {
		if err := removeAll(request.ScratchDir); err != nil {
			w.Logger.Warn("a scratch directory could not be removed", "dir", request.ScratchDir, "error", err)
		}
	}()
	typ := w.actionType(step.ActionType, variant)
	release, err := w.workspace(ctx, step, &action, typ, request)
	if err != nil {
		return nil, fmt.Errorf("Failed to download workspace: %w", err) //nolint:revive,staticcheck // the contract's words
	}
	defer release()
	if request.Env, err = environment(step, &action, request.ScratchDir, recorder.Stderr()); err != nil {
		return nil, err
	}
	return runner.Run(ctx, request, &output{w: w, ctx: context.WithoutCancel(ctx), step: step, keep: typ.Attachable, recorder: recorder})
}

func (w *Worker) actionType(name, runner string) pluginapi.ActionType {
	for _, t := range w.Runners.ActionTypes() {
		if t.Name == name && t.Runner == runner {
			return t
		}
	}
	return pluginapi.ActionType{Name: name, Runner: runner}
}

// conclude turns how a run ended into a report. What a stop interrupted is told as stopped, whatever the process made
// of it.
func conclude(ctx context.Context, step *api.Claim, result *pluginapi.Result, err error) api.Completion {
	var completion api.Completion
	if result != nil {
		completion.ExitCode = &result.ExitCode
	}
	if ctx.Err() != nil {
		cause := context.Cause(ctx)
		if stopped, ok := errors.AsType[*stopError](cause); ok {
			completion.Stopped = string(stopped.reason)
			cause = errors.New("Cancelled") //nolint:revive,staticcheck // told to people
			if stopped.reason == core.StopTimedOut {
				timeout := core.Duration(step.TimeoutSecs * float64(time.Second))
				cause = fmt.Errorf("Timed out after %s", timeout) //nolint:revive,staticcheck // told to people
			}
		}
		completion.Error = cause.Error()
		return completion
	}
	if err != nil {
		return failure(err)
	}
	if result == nil {
		return failure(errors.New("the runner gave no result"))
	}
	return completion
}

// failure is the report of a step that could not be run.
func failure(err error) api.Completion {
	code := -1
	return api.Completion{ExitCode: &code, Error: err.Error()}
}

// finish adds what was recorded: the last lines, the output, and the end of stderr to the error of a step that failed.
func (w *Worker) finish(step *api.Claim, c *api.Completion, recording joblog.Recording, masker *joblog.Masker) {
	c.StepID, c.Lease = step.StepID, step.Lease
	if len(recording.Tail) > 0 {
		c.Logs = &api.LogBatch{First: recording.First, Lines: string(recording.Tail)}
	}
	if recording.Err != nil {
		w.Logger.Warn("log lines were lost", "job", step.JobID, "step", step.StepName, "error", recording.Err)
	}
	if c.Error == "" && c.ExitCode != nil && *c.ExitCode != 0 {
		c.Error = fmt.Sprintf("Exit code: %d\nStderr: %s", *c.ExitCode, recording.Stderr)
	}
	if c.Error == "" {
		c.Output, c.Error = recording.Output, recording.OutputError
	}
	c.Error = masker.String(c.Error)
}

// sendLogs hands lines to the server until it has them. Once the attempt is not ours any more, that is an error.
func (w *Worker) sendLogs(ctx context.Context, step *api.Claim, first int64, ndjson []byte) error {
	var delay backoff
	for {
		err := w.server.AppendLogs(ctx, step.JobID, step.StepName, step.Lease, first, ndjson)
		if err == nil {
			w.rejected(nil)
			return nil
		}
		if answer, ok := errors.AsType[*client.Error](err); ok && answer.Status < 500 {
			return err
		}
		if waitErr := delay.wait(ctx, 100*time.Millisecond, 5*time.Second); waitErr != nil {
			return err
		}
	}
}
