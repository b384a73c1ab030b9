package worker

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/stroem/stroem/core"
	"github.com/stroem/stroem/core/api"
	"github.com/stroem/stroem/core/joblog"
	"github.com/stroem/stroem/core/mask"
	"github.com/stroem/stroem/core/pluginhost"
	"github.com/stroem/stroem/pluginapi"
)

// execute runs a step from start to end and returns what is to be reported of it. Whatever goes wrong is the step's
// error.
func (s *session) execute(r *run) (completion api.Completion) {
	var result *pluginapi.Result
	ctx := r.ctx
	if limit := timeout(r.step); limit > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeoutCause(ctx, time.Duration(limit)-ran(r.step), errTimedOut)
		defer cancel()
	}
	action, secrets, err := actionOf(ctx, r.step.ActionSpec)
	masker := mask.New(slices.Concat(r.step.Mask, secrets))
	recorder := joblog.NewRecorder(s.calls, joblog.RecorderOptions{
		Step: r.step.StepName, Attempt: r.step.Attempt, First: r.step.LogPosition + 1, Known: known(r.step.LogKnown),
		Masker: masker, MaxBytes: s.maxBytes,
		Send: func(ctx context.Context, first int64, ndjson []byte) error {
			return s.sendLogs(ctx, r.step, first, ndjson)
		},
	})
	defer func() {
		if reason := recover(); reason != nil {
			completion = failure(fmt.Errorf("Runner panicked: %v", reason)) //nolint:staticcheck // the contract's words
		}
		finish(r.step, &completion, result, recorder.Close(s.calls), masker)
		completion.Mask = secrets
	}()
	switch {
	case err != nil:
	case r.resumed:
		result, err = s.attach(ctx, r.step, recorder)
	default:
		result, err = s.perform(ctx, r.step, &action, secrets, recorder)
	}
	switch {
	case ctx.Err() != nil: // what a stop interrupted is told as stopped, whatever the process made of it
		completion = stoppedBy(context.Cause(ctx), r.step)
	case err != nil:
		return failure(err)
	case result == nil:
		return failure(errors.New("the runner gave no result"))
	}
	if result != nil {
		completion.ExitCode = &result.ExitCode
	}
	return completion
}

func timeout(step *api.Claim) core.Duration {
	return core.Duration(step.TimeoutSecs * float64(time.Second))
}

// ran is how long a step has run under workers before this one.
func ran(step *api.Claim) time.Duration { return time.Duration(step.RanSecs * float64(time.Second)) }

// runID names an attempt of a step to its runner. It names directories, too, whatever the server calls the job.
func runID(job string, step int64, attempt int) string {
	job = strings.Map(func(r rune) rune {
		if r == '-' || r >= '0' && r <= '9' || r >= 'A' && r <= 'Z' || r >= 'a' && r <= 'z' {
			return r
		}
		return '_'
	}, job)
	return job + "." + strconv.FormatInt(step, 10) + "." + strconv.Itoa(attempt)
}

func labels(workspace, task, job, step string) map[string]string {
	return map[string]string{"workspace": workspace, "task": task, "job_id": job, "step": step}
}

// perform prepares what the step needs, and hands it to its runner.
func (s *session) perform(
	ctx context.Context, step *api.Claim, action *core.Action, secrets []string, recorder *joblog.Recorder,
) (*pluginapi.Result, error) {
	if ctx.Err() != nil {
		return nil, context.Cause(ctx) // stopped before it began
	}
	request := &pluginapi.RunRequest{
		RunID: runID(step.JobID, step.StepID, step.Attempt), Type: step.ActionType, Runner: variant(step.Runner), StopGrace: s.StopGrace,
		Labels: labels(step.Workspace, step.TaskName, step.JobID, step.StepName),
	}
	runner, ok := s.Runners.Runner(request.Type, request.Runner)
	if !ok {
		return nil, fmt.Errorf("no runner of this worker offers the action type %s/%s", step.ActionType, step.Runner)
	}
	var err error
	if request.Spec, err = json.Marshal(action.Spec); err != nil {
		return nil, fmt.Errorf("encode the action's spec: %w", err)
	}
	request.ScratchDir = filepath.Join(s.ScratchDir, request.RunID)
	if err := os.Mkdir(request.ScratchDir, 0o700); err != nil {
		return nil, fmt.Errorf("create the scratch directory: %w", err)
	}
	typ := s.actionType(request.Type, request.Runner)
	release, err := s.workspace(ctx, step, action, typ, request)
	if err != nil {
		s.forget(request.RunID)
		return nil, fmt.Errorf("Failed to download workspace: %w", err) //nolint:staticcheck // the contract's words
	}
	defer release()
	if request.Env, err = environment(step, action, request.ScratchDir, recorder.Stderr()); err != nil {
		s.forget(request.RunID)
		return nil, err
	}
	return s.run(ctx, runner, request, &output{
		session: s, step: step, attachable: typ.Attachable, secrets: secrets, recorder: recorder, run: lostRun(step, nil),
	})
}

// run has a runner run a step. The run is written down before the runner hears of it.
func (s *session) run(ctx context.Context, runner pluginapi.Runner, request *pluginapi.RunRequest, out *output) (*pluginapi.Result, error) {
	s.record(out.run)
	call, end := out.until(ctx)
	defer end()
	var result *pluginapi.Result
	err := repeat(ctx, notBegun, func() (err error) {
		result, err = runner.Run(call, request, out)
		return err
	})
	if notBegun(err) {
		s.forget(request.RunID)
		return nil, err
	}
	return s.follow(ctx, call, &pluginapi.AttachRequest{
		RunID: request.RunID, Type: request.Type, Runner: request.Runner, ScratchDir: request.ScratchDir,
		StopGrace: request.StopGrace, Labels: request.Labels,
	}, out, "", result, err)
}

// pluginLimit is how long a step that is started waits for a plugin that is away.
const pluginLimit = 30 * time.Second

// repeat makes a call to a plugin, and makes it again as long as its error is one of those.
func repeat(ctx context.Context, those func(error) bool, call func() error) error {
	patience, cancel := context.WithTimeout(ctx, pluginLimit)
	defer cancel()
	var delay backoff
	for {
		err := call()
		if err == nil || !those(err) || delay.wait(patience, 50*time.Millisecond, 2*time.Second) != nil {
			return err
		}
	}
}

// notBegun tells that no plugin has heard of the call.
func notBegun(err error) bool { return errors.Is(err, pluginhost.ErrNotBegun) }

func (w *Worker) actionType(name, runner string) pluginapi.ActionType {
	for _, t := range w.Runners.ActionTypes() {
		if t.Name == name && t.Runner == runner {
			return t
		}
	}
	return pluginapi.ActionType{Name: name, Runner: runner}
}

// failure is the report of a step that could not be run.
func failure(err error) api.Completion {
	code := -1
	return api.Completion{ExitCode: &code, Error: err.Error()}
}

// exitText says how a step failed on its own.
func exitText(result *pluginapi.Result, stderr string) string {
	text := fmt.Sprintf("Exit code: %d\n", result.ExitCode)
	switch {
	case result.OOMKilled:
		text += "Out of memory\n"
	case result.Signal != "":
		text += "Killed by " + result.Signal + "\n"
	}
	if result.Message != "" {
		text += strings.TrimSuffix(result.Message, "\n") + "\n"
		if stderr == "" {
			return text
		}
	}
	return text + "Stderr: " + stderr
}

// withoutNotes leaves out of the end of stderr what the runner and the worker have said of the step.
func withoutNotes(stderr string) string {
	var b strings.Builder
	for line := range strings.Lines(stderr) {
		if !strings.HasPrefix(line, pluginapi.NotePrefix) {
			b.WriteString(line)
		}
	}
	return b.String()
}

// finish adds what was recorded: the last lines, the output, and the end of stderr.
func finish(step *api.Claim, c *api.Completion, result *pluginapi.Result, recording joblog.Recording, masker *mask.Masker) {
	c.StepID, c.Lease = step.StepID, step.Lease
	if len(recording.Tail) > 0 {
		c.Logs = &api.LogBatch{First: recording.First, Lines: string(recording.Tail)}
	}
	if c.Error == "" && result.ExitCode != 0 {
		c.Error = exitText(result, withoutNotes(recording.Stderr))
	}
	if c.Error == "" {
		c.Output, c.Error = recording.Output, recording.OutputError
	}
	c.Error = masker.String(c.Error)
}

// sendLogs hands lines to the server until it has them. Once the attempt is not ours any more, that is an error.
func (s *session) sendLogs(ctx context.Context, step *api.Claim, first int64, ndjson []byte) error {
	var delay backoff
	begun, told := time.Now(), false
	for {
		err := s.server.AppendLogs(ctx, step.JobID, step.StepName, step.Lease, first, ndjson)
		if s.note(err) == nil {
			return nil
		}
		if refused(err) {
			s.Logger.WarnContext(ctx, "the server refuses log lines", "job", step.JobID, "step", step.StepName, "error", err)
			return err
		}
		if !told && time.Since(begun) > sendPatience {
			told = true
			s.Logger.WarnContext(ctx, "the server takes no log lines: the step waits with what it has to say", "job", step.JobID, "step", step.StepName, "error", err)
		}
		if delay.wait(ctx, 100*time.Millisecond, 5*time.Second) != nil {
			return err
		}
	}
}

// sendPatience is how long lines are offered in vain before that is told.
const sendPatience = 10 * time.Second
