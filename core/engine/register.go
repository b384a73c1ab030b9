package engine

import (
	"context"
	"crypto/rand"
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"

	"github.com/stroem/stroem/core"
	"github.com/stroem/stroem/core/api"
	"github.com/stroem/stroem/core/failpoint"
)

// Register stores a new worker. An older worker of the same name is superseded, and in the same transaction it is decided
// about its steps: what it had not started is ready again; what the new worker's plugins can attach to is handed over to
// it; what else it was running has failed. The answer names the steps that were handed over, and the runs that the new
// worker has to remove the remains of. If it is lost, the next registration under the name gets the same.
//
// token is the name of the token that the worker registers with, whose limits decide which names it may take, also from
// workers with other tokens, and which steps of theirs. A worker that shows its own token, too, only goes on under this one.
func (e *Engine) Register(ctx context.Context, token string, r api.Register) (api.Registered, error) {
	if err := checkRegister(r); err != nil {
		return api.Registered{}, err
	}
	plugins, types, err := splitPlugins(r.Plugins)
	if err != nil {
		return api.Registered{}, err
	}
	worker := core.Worker{
		ID: uuid.New(), Name: r.Name, Tags: workerTags(r.Tags, r.Capabilities), Version: r.Version, Plugins: plugins, Token: token,
	}
	if err := e.tokens.admit(token, worker.Name, worker.Tags); err != nil {
		e.logger.WarnContext(ctx, "a worker is refused", "name", worker.Name, "token", token, "error", err)
		return api.Registered{}, err
	}
	types = e.tokens.describable(token, types)
	if r.WorkerToken != "" {
		return e.renew(ctx, worker, types, r.WorkerToken)
	}
	own := rand.Text()
	taking := &takeOver{worker: worker.ID, limits: e.tokens.named(token), offered: offeredTypes(r.Plugins)}
	var superseded []uuid.UUID
	err = e.prepared(ctx, func(ready followers) (err error) {
		taking.transition, taking.resumed = nil, nil
		taking.settle = func(t *transition, more func([]core.StepID) error) error { return e.settle(t, ready, more) }
		superseded, err = e.store.RegisterWorker(ctx, worker, types, hashToken(own), taking.decide)
		return err
	})
	if err != nil {
		return api.Registered{}, err
	}
	e.logger.InfoContext(ctx, "worker registered", "worker", worker.ID, "name", worker.Name, "tags", worker.Tags, "token", token)
	if len(superseded) > 0 {
		failpoint.Hit("takeover.committed")
		e.workers.refuse(superseded, errSuperseded)
		for _, older := range superseded {
			e.waiters.wakeWorker(older)
		}
	}
	registered := e.registered(worker.ID, own)
	if taking.transition != nil {
		e.announce(ctx, taking.transition)
		if registered.Resume, err = e.resumed(ctx, taking); err != nil {
			return api.Registered{}, err
		}
		if changes := &taking.transition.changes; len(taking.resumed)+len(changes.Requeue)+len(changes.End) > 0 {
			e.logger.InfoContext(ctx, "steps of an older worker", "name", worker.Name, "resumed", len(taking.resumed),
				"requeued", len(changes.Requeue), "ended", len(changes.End))
		}
	}
	lost, err := e.store.LostRuns(ctx, worker.Name)
	if err != nil {
		return api.Registered{}, err
	}
	for i := range lost {
		if _, offered := taking.offered[typeOf(&lost[i])]; offered && taking.allowed(&lost[i]) {
			registered.Remove = append(registered.Remove, lostRun(&lost[i], e.stateOf(ctx, &lost[i])))
		}
	}
	return registered, nil
}

func (e *Engine) registered(id uuid.UUID, own string) api.Registered {
	return api.Registered{
		WorkerID: id.String(), Token: own, Resume: []api.Claim{}, Remove: []api.LostRun{},
		MaxStepBytes:          e.config.MaxStepBytes,
		HeartbeatIntervalSecs: min(30*time.Second, e.config.HeartbeatTimeout/3).Seconds(),
	}
}

// Removed notes that nothing is left of lost runs that a worker was told of.
func (e *Engine) Removed(ctx context.Context, worker uuid.UUID, r api.RemovedRequest) error {
	ids := make([]core.StepID, len(r.StepIDs))
	for i, id := range r.StepIDs {
		ids[i] = core.StepID(id)
	}
	return e.store.ForgetRuns(ctx, worker, ids)
}

type actionKey struct{ name, runner string }

// typeOf is the action type of a step, as plugins name it.
func typeOf(step *core.HeldStep) actionKey {
	if step.Runner == core.RunnerNone {
		return actionKey{step.ActionType, ""}
	}
	return actionKey{step.ActionType, step.Runner}
}

// offeredTypes are the action types of plugins, and whether they can be attached to.
func offeredTypes(plugins []api.Plugin) map[actionKey]bool {
	offered := map[actionKey]bool{}
	for _, p := range plugins {
		for _, t := range p.ActionTypes {
			offered[actionKey{t.Name, t.Runner}] = t.Attachable && p.State != "failed"
		}
	}
	return offered
}

// takeOver decides about the steps of superseded workers in favour of a new one.
type takeOver struct {
	worker  uuid.UUID
	limits  *WorkerToken // of the token that it registers with
	offered map[actionKey]bool
	settle  func(t *transition, more func([]core.StepID) error) error

	// What the last call of decide came to; transition is nil if there was no older worker.
	transition *transition
	resumed    []resumedStep
}

type resumedStep struct {
	core.HeldStep
	lease string
}

// allowed tells whether the worker may run a step: its plugins may offer more than its token allows.
func (o *takeOver) allowed(step *core.HeldStep) bool { return len(o.limits.excess(step.Tags)) == 0 }

func (o *takeOver) decide(_ context.Context, superseded []uuid.UUID, held []core.HeldStep, state *core.State,
	more func([]core.StepID) error,
) (*core.Changes, error) {
	t := newTransition(state)
	o.transition, o.resumed = t, nil
	for i := range held {
		step := state.Steps[held[i].ID]
		if step == nil || step.Status != core.StepRunning || !slices.Contains(superseded, step.WorkerID) || !o.offered[typeOf(&held[i])] ||
			!o.allowed(&held[i]) {
			continue
		}
		lease, hash := newLease()
		t.handOver(step, o.worker, hash)
		o.resumed = append(o.resumed, resumedStep{held[i], lease})
		o.resumed[len(o.resumed)-1].LeaseHash = hash
	}
	for _, step := range state.Steps {
		if step.Status != core.StepRunning || !slices.Contains(superseded, step.WorkerID) {
			continue // handed over, or not theirs any more
		}
		t.requeue(step)
		t.lose(step, fmt.Sprintf("Worker replaced (worker %s by %s, which registered under its name): what it was running cannot be found again",
			step.WorkerID, o.worker))
	}
	if err := o.settle(t, more); err != nil {
		return nil, err
	}
	failpoint.Hit("takeover.decided")
	return &t.changes, nil
}

// handOver gives a started step to another worker.
func (t *transition) handOver(step *core.Step, worker uuid.UUID, leaseHash []byte) {
	step.WorkerID, step.LeaseHash = worker, leaseHash
	t.changes.HandOver = append(t.changes.HandOver, core.HandOver{ID: step.ID, WorkerID: worker, LeaseHash: leaseHash})
}

// resumed is what the new worker is told of steps that were handed over. What their actions were is not said again.
func (e *Engine) resumed(ctx context.Context, o *takeOver) ([]api.Claim, error) {
	claims := make([]api.Claim, len(o.resumed))
	for i := range o.resumed {
		step := &o.resumed[i]
		_, secrets := e.leases.hold(&step.ClaimedStep, o.worker, step.LeaseHash,
			e.openSecrets(ctx, step.JobID, step.Workspace, step.MaskSealed))
		values, _, err := e.forJob(secrets)
		if e.premature(err) {
			return nil, err // the worker registers again, and gets the same
		}
		claims[i] = newClaimed(&step.ClaimedStep, values)
		claims[i].Lease, claims[i].State, claims[i].RanSecs = step.lease, e.stateOf(ctx, &step.HeldStep), time.Duration(step.Ran).Seconds()
	}
	return claims, nil
}

func lostRun(step *core.HeldStep, state []byte) api.LostRun {
	return api.LostRun{
		StepID: int64(step.ID), Attempt: step.Attempt, JobID: step.JobID.String(), StepName: step.Name,
		Workspace: step.Workspace, TaskName: step.TaskName, ActionType: step.ActionType, Runner: step.Runner, State: state,
	}
}
