package worker

import (
	"context"
	"errors"
	"time"

	"github.com/google/uuid"

	"github.com/stroem/stroem/core/api"
	"github.com/stroem/stroem/core/client"
)

// finished is a step that has ended and whose result the server does not have yet. It keeps its slot until then.
type finished struct {
	step       *api.Claim
	completion api.Completion
}

// completeLoop reports results, all that have come together while the last report was on its way in one request, and
// asks for new steps in their place in the same request.
func (w *Worker) completeLoop(ctx, work context.Context, stopClaims context.CancelCauseFunc) {
	for {
		select {
		case <-ctx.Done():
			return
		case first := <-w.ended:
			batch := []finished{first}
			for more := true; more && len(batch) < cap(w.ended); {
				select {
				case next := <-w.ended:
					batch = append(batch, next)
				default:
					more = false
				}
			}
			if !w.complete(ctx, work, batch) {
				stopClaims(ErrSuperseded)
				return
			}
		}
	}
}

// complete reports a batch. It returns false when the server has given up this worker.
func (w *Worker) complete(ctx, work context.Context, batch []finished) bool {
	request := api.CompleteRequest{}
	for _, f := range batch {
		request.Completions = append(request.Completions, f.completion)
	}
	n := len(batch) // the slots of the batch stay taken: for the steps that the answer brings
	if !w.draining.Load() {
		wait := 0
		request.Claim = &api.ClaimRequest{ClaimID: uuid.NewString(), MaxSteps: &n, WaitSecs: &wait, Tags: w.tags()}
	}
	answer, err := w.report(ctx, request)
	if err != nil {
		if w.rejected(err) {
			return false
		}
		if ctx.Err() == nil {
			w.reportApart(ctx, batch, err)
		}
		w.release(n)
		return true
	}
	for i, result := range answer.Results {
		if result.Status != api.Accepted && result.Status != api.Duplicate {
			w.Logger.Warn("the server did not take a result", "job", batch[i].step.JobID, "step", batch[i].step.StepName, "answer", result.Status)
		}
	}
	w.take(work, answer.Steps, answer.Stop)
	w.release(n - len(answer.Steps))
	return true
}

// report sends a request until it is answered; a repeated claim is marked as one.
func (w *Worker) report(ctx context.Context, request api.CompleteRequest) (api.CompleteResponse, error) {
	var delay backoff
	for {
		answer, err := w.server.Complete(ctx, request)
		if err == nil {
			w.rejected(nil)
			return answer, nil
		}
		if failure, ok := errors.AsType[*client.Error](err); ok && failure.Status < 500 {
			return answer, err
		}
		if ctx.Err() != nil {
			return answer, err
		}
		w.Logger.Warn("reporting results, trying again", "results", len(request.Completions), "error", err)
		if request.Claim != nil {
			request.Claim.Retry = true
		}
		if delay.wait(ctx, 100*time.Millisecond, 5*time.Second) != nil {
			return answer, err
		}
	}
}

// reportApart reports the results of a batch that the server refuses one by one, and at last without their log lines:
// a result must not be lost with the lines of another step, nor with its own.
func (w *Worker) reportApart(ctx context.Context, batch []finished, cause error) {
	for _, f := range batch {
		for _, completion := range []api.Completion{f.completion, withoutLogs(f.completion, cause)} {
			_, err := w.report(ctx, api.CompleteRequest{Completions: []api.Completion{completion}})
			if err == nil {
				break
			}
			w.Logger.Error("the server refuses a result", "job", f.step.JobID, "step", f.step.StepName, "error", err)
		}
	}
}

func withoutLogs(c api.Completion, cause error) api.Completion {
	c.Logs = nil
	c.Output = nil
	if c.Error == "" {
		c.Error = "The step's result was refused: " + cause.Error()
	}
	return c
}
