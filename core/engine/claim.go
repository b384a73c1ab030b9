package engine

import (
	"context"
	"slices"
	"time"

	"github.com/google/uuid"

	"github.com/stroem/stroem/core"
	"github.com/stroem/stroem/core/api"
	"github.com/stroem/stroem/core/failpoint"
)

// Limits of a claim.
const (
	defaultWait = 25 * time.Second
	maxWait     = 60 * time.Second
	maxSteps    = 256
)

// Claim hands a worker ready steps that its tags cover, and the stops that it has to know of. If there are none it
// waits for up to wait_secs. alive is asked just before steps are taken, so that a client that has gone away while it
// waited gets none; steps that are lost with an answer all the same become ready again, or are handed out again when
// the claim is repeated with the same claim_id.
func (e *Engine) Claim(ctx context.Context, worker uuid.UUID, r api.ClaimRequest, alive func() bool) (api.ClaimResponse, error) {
	claim, err := e.newClaim(worker, r)
	if err != nil {
		return api.ClaimResponse{}, err
	}
	waiter := e.waiters.add(worker, claim.tags, claim.steps)
	defer e.waiters.remove(waiter)
	deadline := time.NewTimer(claim.wait)
	defer deadline.Stop()
	for {
		if !alive() {
			return api.ClaimResponse{}, context.Canceled
		}
		if known := e.workers.known(worker); known.refused == core.ErrWorkerRevoked { //nolint:errorlint // is kept as it is
			return api.ClaimResponse{}, known.refused
		}
		response, err := e.take(ctx, claim)
		if err != nil || len(response.Steps) > 0 || len(response.Stop) > 0 || claim.wait == 0 {
			return response, err
		}
		poll := time.NewTimer(e.config.PollInterval)
		select {
		case <-waiter.wake:
		case <-poll.C:
			err = e.routes.reload(ctx, e.store)
		case <-deadline.C:
			poll.Stop()
			return response, nil
		case <-ctx.Done():
			err = ctx.Err()
		case <-e.transitions.stopped:
			err = errStopping
		}
		poll.Stop()
		if err != nil {
			return api.ClaimResponse{}, err
		}
	}
}

// claimNow claims without waiting.
func (e *Engine) claimNow(ctx context.Context, worker uuid.UUID, r api.ClaimRequest) (api.ClaimResponse, error) {
	claim, err := e.newClaim(worker, r)
	if err != nil {
		return api.ClaimResponse{}, err
	}
	return e.take(ctx, claim)
}

type claim struct {
	worker uuid.UUID
	id     uuid.UUID
	retry  bool
	steps  int
	tags   []string
	wait   time.Duration
}

func (e *Engine) newClaim(worker uuid.UUID, r api.ClaimRequest) (claim, error) {
	c := claim{worker: worker, id: uuid.New(), retry: r.Retry, steps: 1, wait: defaultWait}
	if r.MaxSteps != nil {
		if *r.MaxSteps < 0 || *r.MaxSteps > maxSteps {
			return c, core.Errorf(core.CodeInvalid, "", "max_steps is %d: it has to be 0 to %d", *r.MaxSteps, maxSteps)
		}
		c.steps = *r.MaxSteps
	} else {
		c.wait = 0
	}
	if r.WaitSecs != nil {
		c.wait = time.Duration(*r.WaitSecs) * time.Second
		if c.wait < 0 || c.wait > maxWait {
			return c, core.Errorf(core.CodeInvalid, "", "wait_secs is %d: it has to be 0 to %d", *r.WaitSecs, int(maxWait.Seconds()))
		}
	}
	if r.ClaimID != "" {
		id, err := uuid.Parse(r.ClaimID)
		if err != nil {
			return c, core.Errorf(core.CodeInvalid, "", "claim_id is not a UUID: %q", r.ClaimID)
		}
		c.id = id
	}
	c.tags = workerTags(r.Tags, r.Capabilities)
	if len(c.tags) == 0 {
		c.tags = e.workers.known(worker).tags
	}
	if e.tokens.narrow {
		c.tags = e.tokens.allowed(e.workers.known(worker).token, c.tags)
	}
	return c, nil
}

// take claims once. Steps that cannot be rendered fail here, and others are taken in their place.
func (e *Engine) take(ctx context.Context, c claim) (api.ClaimResponse, error) {
	response := api.ClaimResponse{Steps: []api.Claim{}, Stop: []api.Stop{}}
	for {
		leases, hashes := make(map[string]string, c.steps), make([][]byte, c.steps)
		for i := range hashes {
			var lease string
			lease, hashes[i] = newLease()
			leases[string(hashes[i])] = lease
		}
		begin := time.Now()
		claimed, stops, err := e.store.Claim(ctx, core.ClaimQuery{
			WorkerID: c.worker, ClaimID: c.id, Routes: e.routes.covered(c.tags), Leases: hashes, Retry: c.retry,
		})
		if err != nil {
			return response, err
		}
		e.countClaim(c, len(claimed), begin)
		if len(claimed) > 0 {
			failpoint.Hit("claim.committed")
		}
		for _, stop := range stops {
			response.Stop = append(response.Stop, api.Stop{
				StepID: int64(stop.ID), Attempt: stop.Attempt, JobID: stop.JobID.String(), StepName: stop.Name, Reason: string(stop.Reason),
			})
		}
		steps, err := e.render(ctx, c.worker, claimed)
		if err != nil {
			return response, err
		}
		if len(steps) > 0 {
			failpoint.Hit("claim.rendered")
		}
		for i := range steps {
			hash := claimed[slices.IndexFunc(claimed, func(s core.ClaimedStep) bool { return int64(s.ID) == steps[i].StepID })].LeaseHash
			steps[i].Lease = leases[string(hash)]
		}
		response.Steps = append(response.Steps, steps...)
		if len(response.Steps) > 0 || len(claimed) == 0 {
			return response, nil
		}
		c.retry = false
	}
}
