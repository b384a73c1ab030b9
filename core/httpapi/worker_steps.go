package httpapi

import (
	"context"
	"time"

	"github.com/gofiber/fiber/v2"
	"github.com/google/uuid"

	"github.com/stroem/stroem/core"
	"github.com/stroem/stroem/core/api"
	"github.com/stroem/stroem/core/engine"
)

// pollLimit is how long a claim may wait at the most, and a little more.
const pollLimit = 70 * time.Second

func (a *API) registerWorker(c *fiber.Ctx) error {
	var request api.Register
	if err := decode(c, &request, false); err != nil {
		return err
	}
	ctx := requestContext(c)
	token, _ := c.Locals(tokenKey{}).(string)
	registered, err := a.Engine.Register(ctx, token, request)
	a.auditRegistration(c, request, registered, err)
	if err != nil {
		return err
	}
	for i := range registered.Resume {
		if err := a.addPosition(ctx, &registered.Resume[i]); err != nil {
			return err // the worker registers again, and gets the same
		}
	}
	return c.JSON(registered)
}

// addPosition tells how far the log of a step has come. Nobody adds to it any more but who gets the answer.
func (a *API) addPosition(ctx context.Context, claim *api.Claim) error {
	job, err := parseUUID(claim.JobID, "job")
	if err != nil {
		return err
	}
	position, err := a.Logs.Position(ctx, job, claim.StepName, claim.Attempt)
	if err != nil {
		return err
	}
	claim.LogPosition = position.Last
	if known := position.Known; !known.Since.IsZero() {
		claim.LogKnown = &api.LogKnown{Since: known.Since, Until: known.Until, Stdout: known.Stdout, Stderr: known.Stderr}
	}
	return nil
}

func (a *API) removedRuns(c *fiber.Ctx) error {
	var request api.RemovedRequest
	if err := decode(c, &request, false); err != nil {
		return err
	}
	if err := a.Engine.Removed(requestContext(c), caller(c), request); err != nil {
		return err
	}
	return c.JSON(api.Status{Status: "ok"})
}

func (a *API) heartbeat(c *fiber.Ctx) error {
	var request api.Heartbeat
	if err := decode(c, &request, false); err != nil {
		return err
	}
	if err := a.checkCaller(c, request.WorkerID); err != nil {
		return err
	}
	if err := a.Engine.Heartbeat(requestContext(c), caller(c), request); err != nil {
		return err
	}
	return c.JSON(api.Status{Status: "ok"})
}

// checkCaller holds the worker id that older workers send in the body against the one that the token stands for.
func (a *API) checkCaller(c *fiber.Ctx, given string) error {
	if given == "" {
		return nil
	}
	id, err := parseUUID(given, "worker")
	if err != nil {
		return err
	}
	if id != caller(c) {
		return core.Errorf(core.CodeForbidden, "", "worker_id is another worker's")
	}
	return nil
}

func (a *API) claimSteps(c *fiber.Ctx) error {
	var request api.ClaimRequest
	if err := decode(c, &request, false); err != nil {
		return err
	}
	if err := a.checkCaller(c, request.WorkerID); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(a.polls, pollLimit)
	defer cancel()
	claimed, err := a.Engine.Claim(ctx, caller(c), request, connected(c.Context().Conn()))
	if err != nil {
		return err
	}
	if request.MaxSteps == nil {
		return c.JSON(single(claimed.Steps))
	}
	return c.JSON(claimed)
}

// single is the oldest form of an answer to a claim.
func single(steps []api.Claim) api.SingleClaim {
	if len(steps) == 0 {
		return api.SingleClaim{}
	}
	s := steps[0]
	return api.SingleClaim{
		Workspace: &s.Workspace, JobID: &s.JobID, StepName: &s.StepName, ActionName: &s.ActionName, ActionType: &s.ActionType,
		ActionImage: s.ActionImage, ActionSpec: s.ActionSpec, Input: s.Input, Runner: &s.Runner, StepID: &s.StepID, Lease: &s.Lease,
	}
}

func (a *API) startSteps(c *fiber.Ctx) error {
	var request api.StartRequest
	if err := decode(c, &request, false); err != nil {
		return err
	}
	results, err := a.Engine.Start(requestContext(c), caller(c), request)
	if err != nil {
		return err
	}
	return c.JSON(results)
}

func (a *API) saveStepState(c *fiber.Ctx) error {
	var request api.StartRequest
	if err := decode(c, &request, false); err != nil {
		return err
	}
	results, err := a.Engine.SaveState(requestContext(c), caller(c), request)
	if err != nil {
		return err
	}
	return c.JSON(results)
}

// maxCompletion is how much one step may report, its last lines included.
const maxCompletion = 4 * mib

func (a *API) completeSteps(c *fiber.Ctx) error {
	var request api.CompleteRequest
	if err := decode(c, &request, false); err != nil {
		return err
	}
	for _, completion := range request.Completions {
		if completion.Logs != nil && len(completion.Output)+len(completion.Logs.Lines) > maxCompletion {
			return core.Errorf(core.CodeTooLarge, "", "the completion of step %d is larger than %d bytes", completion.StepID, maxCompletion)
		}
	}
	ctx := requestContext(c)
	var stored []api.Completion
	var failed error
	for i := range request.Completions {
		if err := a.appendLastLines(ctx, caller(c), &request.Completions[i]); err != nil {
			failed = err
			continue
		}
		stored = append(stored, request.Completions[i])
	}
	if failed != nil { // all of it comes again: what ended is not held up by lines of others
		if len(stored) > 0 && core.ErrorCode(failed) == core.CodeUnavailable {
			if _, err := a.Engine.Complete(ctx, caller(c), api.CompleteRequest{Completions: stored}); err != nil {
				return err
			}
		}
		return failed
	}
	response, err := a.Engine.Complete(ctx, caller(c), request)
	if err != nil {
		return err
	}
	return c.JSON(response)
}

// appendLastLines stores the lines that ride in a completion, before the completion itself. Lines of an attempt that is
// no longer current are dropped: its completion is refused right after.
func (a *API) appendLastLines(ctx context.Context, worker uuid.UUID, completion *api.Completion) error {
	if completion.Logs == nil || completion.Logs.Lines == "" {
		return nil
	}
	lease, err := a.Engine.CheckLease(ctx, worker, engine.StepRef{StepID: core.StepID(completion.StepID)}, completion.Lease)
	if code := core.ErrorCode(err); err != nil && (code == core.CodeForbidden || code == core.CodeConflict) {
		return nil // Complete answers for this step
	}
	if err != nil {
		return err
	}
	return a.Logs.Append(ctx, lease.JobID, lease.StepName, lease.Attempt, completion.Logs.First, []byte(completion.Logs.Lines))
}

// lease is the attempt that a request on one step is about.
func (a *API) lease(c *fiber.Ctx, step string) (engine.Lease, error) {
	id, err := uuidParam(c, "job")
	if err != nil {
		return engine.Lease{}, err
	}
	return a.Engine.CheckLease(requestContext(c), caller(c), engine.StepRef{JobID: id, StepName: step}, c.Get(leaseHeader))
}

func (a *API) startStep(c *fiber.Ctx) error {
	var request api.Heartbeat
	if err := decode(c, &request, false); err != nil {
		return err
	}
	step, err := param(c, "step")
	if err != nil {
		return err
	}
	lease, err := a.lease(c, step)
	if err != nil {
		return err
	}
	results, err := a.Engine.Start(requestContext(c), caller(c), api.StartRequest{
		Steps: []api.StepLease{{StepID: int64(lease.StepID), Lease: c.Get(leaseHeader)}},
	})
	if err != nil {
		return err
	}
	return answerOne(c, results.Results)
}

func (a *API) completeStep(c *fiber.Ctx) error {
	var completion api.Completion
	if err := decode(c, &completion, false); err != nil {
		return err
	}
	step, err := param(c, "step")
	if err != nil {
		return err
	}
	lease, err := a.lease(c, step)
	switch {
	case core.ErrorCode(err) == core.CodeConflict: // it may be the repeat of a report that was accepted
	case err != nil:
		return err
	}
	completion.StepID, completion.Lease = int64(lease.StepID), c.Get(leaseHeader)
	if err != nil {
		return a.completeAgain(c, step, completion)
	}
	return a.completeOne(c, completion)
}

func (a *API) completeOne(c *fiber.Ctx, completion api.Completion) error {
	if err := a.appendLastLines(requestContext(c), caller(c), &completion); err != nil {
		return err
	}
	response, err := a.Engine.Complete(requestContext(c), caller(c), api.CompleteRequest{Completions: []api.Completion{completion}})
	if err != nil {
		return err
	}
	return answerOne(c, response.Results)
}

// completeAgain finds the step of a report whose lease is not the current one any more, so that the engine can tell a
// repeat from a stale report.
func (a *API) completeAgain(c *fiber.Ctx, step string, completion api.Completion) error {
	id, err := uuidParam(c, "job")
	if err != nil {
		return err
	}
	_, steps, err := a.Store.GetJob(requestContext(c), id)
	if err != nil {
		return err
	}
	for i := range steps {
		if steps[i].Name == step {
			completion.StepID = int64(steps[i].ID)
			return a.completeOne(c, completion)
		}
	}
	return core.Errorf(core.CodeNotFound, "", "Step not found")
}

// answerOne answers a report on one step by the status of the answer.
func answerOne(c *fiber.Ctx, results []api.StepResult) error {
	switch results[0].Status {
	case api.Accepted, api.Duplicate:
		return c.JSON(api.Status{Status: "ok"})
	case api.Stale:
		return engine.ErrLeaseStale
	default:
		return engine.ErrLeaseInvalid
	}
}
