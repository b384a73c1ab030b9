package engine

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/google/uuid"

	"github.com/stroem/stroem/core"
	"github.com/stroem/stroem/core/api"
	"github.com/stroem/stroem/core/failpoint"
	"github.com/stroem/stroem/core/mask"
)

// Limits of what a worker may report about a step.
const (
	maxOutput       = 1 << 20
	maxErrorMessage = 70 << 10 // an exit code and the last 64 KiB of stderr
)

// Complete takes reports of ended steps: each is accepted once, and answered as a duplicate when it is repeated. What
// follows from them is part of the same transaction. If asked, it then claims the next steps without waiting; a claim
// that fails does not take back the reports.
func (e *Engine) Complete(ctx context.Context, worker uuid.UUID, r api.CompleteRequest) (api.CompleteResponse, error) {
	response := api.CompleteResponse{Results: make([]api.StepResult, len(r.Completions)), Steps: []api.Claim{}, Stop: []api.Stop{}}
	if len(r.Completions) > 0 {
		if err := e.complete(ctx, worker, r.Completions, response.Results); err != nil {
			return api.CompleteResponse{}, err
		}
	}
	if r.Claim == nil {
		return response, nil
	}
	claimed, err := e.claimNow(ctx, worker, *r.Claim)
	if err != nil {
		e.logger.WarnContext(ctx, "claim after completion", "worker", worker, "error", err)
		return response, nil
	}
	response.Steps, response.Stop = claimed.Steps, claimed.Stop
	return response, nil
}

// report is a completion made ready to be stored.
type report struct {
	id      core.StepID
	hash    []byte
	stopped core.StopReason
	outcome outcome
}

func (e *Engine) complete(ctx context.Context, worker uuid.UUID, completions []api.Completion, results []api.StepResult) error {
	ids, reports := make([]core.StepID, len(completions)), make([]report, len(completions))
	for i, c := range completions {
		report, err := e.newReport(ctx, worker, c)
		if err != nil {
			return err
		}
		ids[i], reports[i] = report.id, report
	}
	err := e.change(ctx, ids, func(t *transition) {
		failpoint.Hit("end.locked")
		for i := range reports {
			results[i] = api.StepResult{StepID: int64(ids[i]), Status: t.complete(worker, &reports[i])}
		}
	})
	if err == nil || !errors.As(err, new(unstorable)) {
		return err
	}
	if len(completions) == 1 {
		// The report itself cannot be stored: that is the step's failure, or it would be repeated for ever.
		completions[0] = api.Completion{
			StepID: completions[0].StepID, Lease: completions[0].Lease, ExitCode: completions[0].ExitCode,
			Error: "The step's output cannot be stored: " + err.Error(),
		}
		if completions[0].ExitCode != nil && *completions[0].ExitCode == 0 {
			completions[0].ExitCode = nil
		}
		return e.complete(ctx, worker, completions, results)
	}
	for i := range completions {
		if err := e.complete(ctx, worker, completions[i:i+1], results[i:i+1]); err != nil {
			return err
		}
	}
	return nil
}

// unstorable is satisfied by errors of the database about a value that it cannot hold.
type unstorable interface {
	error
	UnstorableValue()
}

// newReport makes a completion ready: nothing that is secret in the job is shown by it.
func (e *Engine) newReport(ctx context.Context, worker uuid.UUID, c api.Completion) (report, error) {
	r := report{id: core.StepID(c.StepID), hash: hashToken(c.Lease), stopped: core.StopReason(c.Stopped)}
	masker, known, err := e.stepMasker(ctx, worker, c)
	if err != nil {
		return r, err
	}
	r.outcome = outcome{status: core.StepCompleted, exitCode: c.ExitCode, message: clean(masker.String(c.Error))}
	if c.ExitCode != nil && *c.ExitCode != 0 && c.Error == "" {
		r.outcome.message = fmt.Sprintf("Process exited with code %d", *c.ExitCode)
	}
	if r.outcome.message == "" {
		output, err := checkOutput(c.Output)
		if err != nil {
			r.outcome.message = err.Error()
		} else if err := e.hideOutput(masker, known, &r, output); err != nil {
			return r, err
		}
	}
	if r.outcome.message != "" {
		r.outcome.status, r.outcome.output, r.outcome.sealed = core.StepFailed, nil, nil
	}
	return r, nil
}

// stepMasker returns what hides the secrets of a step's job, and whether all of them are known.
func (e *Engine) stepMasker(ctx context.Context, worker uuid.UUID, c api.Completion) (masker *mask.Masker, known bool, err error) {
	ref := StepRef{StepID: core.StepID(c.StepID)}
	held, ok := e.leases.get(ref)
	if !ok || len(c.Mask) > 0 {
		lease, err := e.CheckLease(ctx, worker, ref, c.Lease)
		switch core.ErrorCode(err) {
		case core.CodeForbidden, core.CodeConflict:
			return nil, true, nil // the report will be refused
		}
		if err != nil {
			return nil, false, err
		}
		held.Lease = lease
	}
	secrets := e.leases.secretsOf(held.JobID)
	if secrets == nil { // it has ended in this moment: so has the step
		return nil, true, nil
	}
	if err := e.learn(ctx, held.JobID, secrets, c.Mask); err != nil {
		return nil, false, err
	}
	_, masker, err = e.forJob(secrets)
	if e.premature(err) {
		return nil, false, err
	}
	return masker, err == nil, nil
}

// hideOutput takes an output into a report. If it is not known what is secret, nothing of it is shown.
func (e *Engine) hideOutput(masker *mask.Masker, known bool, r *report, output json.RawMessage) (err error) {
	switch {
	case output == nil:
	case known:
		r.outcome.output, r.outcome.sealed, err = e.hide(masker, output, nil, placeStepOutput, rowOf(r.id))
	default:
		r.outcome.output = json.RawMessage(`"` + mask.Mark + `"`)
		r.outcome.sealed, err = e.config.Seal.Seal(output, placeStepOutput, rowOf(r.id))
	}
	return err
}

// checkOutput returns the output in a form that the database can hold: no NUL characters, nothing for null.
func checkOutput(output json.RawMessage) (json.RawMessage, error) {
	if len(output) == 0 || string(output) == "null" {
		return nil, nil
	}
	if len(output) > maxOutput {
		return nil, fmt.Errorf("The step's output has %d bytes, and at most %d are kept: write large results to a file or a store, and put out where they are", len(output), maxOutput) //nolint:staticcheck // told to people
	}
	output, err := cleanJSON(output)
	if err != nil {
		return nil, fmt.Errorf("The step's output is not JSON: %w", err) //nolint:staticcheck // told to people
	}
	return output, nil
}

func (t *transition) complete(worker uuid.UUID, r *report) string {
	step := t.state.Steps[r.id]
	if step == nil {
		return api.Invalid
	}
	if err := checkLease(step, worker, r.hash); err != nil {
		return leaseStatus(err)
	}
	if step.Status.Terminal() {
		t.settled(step)
		return api.Duplicate
	}
	if step.Status != core.StepRunning {
		return api.Stale
	}
	t.end(step, t.stopped(step, r))
	return api.Accepted
}

// settled notes that the worker of a step that was ended without a word of it has spoken now: it knows.
func (t *transition) settled(step *core.Step) {
	if step.StopReason == core.StopSuperseded {
		t.changes.Settled = append(t.changes.Settled, step.ID)
	}
}

// stopped is the outcome of a step that may have been told to stop: a success that was under way stands, anything else
// is the stop's doing.
func (t *transition) stopped(step *core.Step, r *report) outcome {
	o := r.outcome
	if o.status == core.StepCompleted {
		return o
	}
	job := t.job(step.JobID)
	switch {
	case job.Progress.CancelRequested && (step.StopReason == core.StopCancelled || r.stopped == core.StopCancelled):
		o.status = core.StepCancelled
	case step.StopReason == core.StopTimedOut && job.Progress.TimedOut:
		o.message = "Stopped: the task timed out after " + t.state.Jobs[step.JobID].Timeout.String()
	case r.stopped == core.StopTimedOut && step.Timeout > 0:
		o.message = timedOut(step.Timeout)
	}
	return o
}

func timedOut(after core.Duration) string { return "Timed out after " + after.String() }
