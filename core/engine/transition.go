package engine

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"

	"github.com/stroem/stroem/core"
)

// request is a change to running steps that is written together with others. apply is called with the steps' jobs
// locked; it may be called more than once and then starts afresh. done gets the outcome of the transaction.
type request struct {
	steps []core.StepID
	apply func(*transition)
	done  chan error
}

// change applies a request to its steps and returns once it is committed.
func (e *Engine) change(ctx context.Context, steps []core.StepID, apply func(*transition)) error {
	r := &request{steps: steps, apply: apply, done: make(chan error, 1)}
	if err := e.transitions.submit(ctx, r); err != nil {
		return err
	}
	return await(ctx, r.done, e.transitions.stopped)
}

// writeTransitions commits requests together. If that fails, each is tried alone, so that one that cannot be stored does not
// take others with it; but not without a database, for which each would wait. Those from which jobs follow are not waited for.
func (e *Engine) writeTransitions(ctx context.Context, requests []*request) {
	err := e.commit(ctx, requests, followers{})
	if errors.As(err, new(*unprepared)) {
		for _, r := range requests {
			e.preparing.Go(func() {
				r.done <- e.prepared(ctx, func(ready followers) error { return e.commit(ctx, []*request{r}, ready) })
			})
		}
		return
	}
	if core.ErrorCode(err) == core.CodeUnavailable {
		e.logger.WarnContext(ctx, "reports were not taken", "reports", len(requests), "error", err)
	}
	if err == nil || len(requests) == 1 || core.ErrorCode(err) == core.CodeUnavailable {
		for _, r := range requests {
			r.done <- err
		}
		return
	}
	for _, r := range requests {
		e.writeTransitions(ctx, []*request{r})
	}
}

func (e *Engine) commit(ctx context.Context, requests []*request, ready followers) error {
	var sel core.Selection
	for _, r := range requests {
		sel.Steps = append(sel.Steps, r.steps...)
	}
	return e.attempt(ctx, sel, ready, func(t *transition) error {
		for _, r := range requests {
			r.apply(t)
		}
		return nil
	})
}

// transact runs apply and all that follows from it in one transaction, and then wakes whoever waits for the outcome. It goes
// on when ctx ends: of a commit whose answer nobody waits for nobody would be told.
func (e *Engine) transact(ctx context.Context, sel core.Selection, apply func(*transition) error) error {
	ctx = context.WithoutCancel(ctx)
	return e.prepared(ctx, func(ready followers) error { return e.attempt(ctx, sel, ready, apply) })
}

// attempt is transact for when all jobs that follow have been made; else it is [unprepared].
func (e *Engine) attempt(ctx context.Context, sel core.Selection, ready followers, apply func(*transition) error) error {
	var t *transition
	begin := time.Now()
	err := e.store.Transition(ctx, sel, func(_ context.Context, state *core.State, more func([]core.StepID) error) (*core.Changes, error) {
		t = newTransition(state)
		if err := apply(t); err != nil {
			return nil, err
		}
		if err := e.settle(t, ready, more); err != nil {
			return nil, err
		}
		t.decided()
		return &t.changes, nil
	})
	if err != nil {
		return err
	}
	t.committed()
	e.config.Tally.Transition.Since(begin)
	e.announce(ctx, t)
	t.announced()
	return nil
}

// transition collects changes to a state; what was changed shows in the state at once.
type transition struct {
	state   *core.State
	changes core.Changes
	ended   map[uuid.UUID][]core.Ended
	tasks   []core.StepID    // steps that the server runs itself, and that are ready
	met     map[needKey]bool // what was needed, and is in changes
	events  []event          // to be told once it is committed
}

func newTransition(state *core.State) *transition {
	return &transition{
		state: state,
		changes: core.Changes{
			Stop: map[core.StepID]core.StopReason{}, OpenDeps: map[core.StepID]int{}, Jobs: map[uuid.UUID]core.JobChange{},
		},
		ended: map[uuid.UUID][]core.Ended{}, met: map[needKey]bool{},
	}
}

// job returns the change to a job, to be amended and stored with setJob.
func (t *transition) job(id uuid.UUID) core.JobChange {
	if change, ok := t.changes.Jobs[id]; ok {
		return change
	}
	job := t.state.Jobs[id]
	return core.JobChange{Status: job.Status, Progress: job.Progress}
}

func (t *transition) setJob(id uuid.UUID, change core.JobChange) { t.changes.Jobs[id] = change }

// outcome is how a step ends.
type outcome struct {
	status   core.StepStatus
	output   json.RawMessage
	sealed   []byte // what output hides
	exitCode *int
	message  string
	// The worker has not said so: it, or whoever takes its name, has to end what may be left of the step.
	unreported bool
}

// end brings a step to its end. What follows from it is decided by settle.
func (t *transition) end(step *core.Step, o outcome) {
	t.changes.End = append(t.changes.End, core.StepEnd{
		ID: step.ID, From: step.Status, Status: o.status, Output: o.output, OutputSealed: o.sealed, ExitCode: o.exitCode, Error: o.message,
		Unreported: o.unreported,
	})
	step.Status = o.status
	t.ended[step.JobID] = append(t.ended[step.JobID], core.Ended{
		ID: step.ID, Status: o.status, ContinueOnFailure: step.ContinueOnFailure, Dependants: step.Dependants,
	})
}

// settle lets core.Advance decide what follows from the steps that ended, until nothing follows any more.
func (t *transition) settle(more func([]core.StepID) error) error {
	all := t.ended
	t.ended = map[uuid.UUID][]core.Ended{}
	for jobID, ended := range all {
		for len(ended) > 0 {
			dependants, err := t.dependants(ended, more)
			if err != nil {
				return err
			}
			change := t.job(jobID)
			next := core.Advance(change.Progress, ended, dependants)
			ended = next.End
			t.apply(next)
			change.Progress = next.Progress
			if next.Job != "" {
				change.Status = next.Job
			}
			t.setJob(jobID, change)
		}
	}
	return nil
}

func (t *transition) apply(next core.Transitions) {
	for _, id := range next.Ready {
		delete(t.changes.OpenDeps, id)
		if t.state.Steps[id].Route == 0 {
			t.tasks = append(t.tasks, id)
			continue
		}
		t.state.Steps[id].Status = core.StepReady
		t.changes.Ready = append(t.changes.Ready, id)
	}
	for _, end := range next.End {
		t.state.Steps[end.ID].Status = end.Status
		t.changes.End = append(t.changes.End, core.StepEnd{ID: end.ID, From: core.StepPending, Status: end.Status})
		delete(t.changes.OpenDeps, end.ID)
	}
	for id, open := range next.OpenDeps {
		t.state.Steps[id].OpenDeps = open
		t.changes.OpenDeps[id] = open
	}
}

// dependants returns the direct dependants of steps, each once, loading those that the state does not have yet.
func (t *transition) dependants(ended []core.Ended, more func([]core.StepID) error) ([]core.Dependant, error) {
	var ids, missing []core.StepID
	for _, step := range ended {
		ids = append(ids, step.Dependants...)
	}
	slices.Sort(ids)
	ids = slices.Compact(ids)
	for _, id := range ids {
		if t.state.Steps[id] == nil {
			missing = append(missing, id)
		}
	}
	if len(missing) > 0 {
		if err := more(missing); err != nil {
			return nil, fmt.Errorf("load dependants: %w", err)
		}
	}
	dependants := make([]core.Dependant, len(ids))
	for i, id := range ids {
		step := t.state.Steps[id]
		dependants[i] = core.Dependant{
			ID: id, Status: step.Status, OpenDeps: step.OpenDeps,
			ContinueOnFailure: step.ContinueOnFailure, Dependants: step.Dependants,
		}
	}
	return dependants, nil
}

// announce wakes, after the commit, whoever waits for what has changed.
func (e *Engine) announce(ctx context.Context, t *transition) {
	ready := map[int]int{}
	countReady(t.changes.Create, ready)
	for _, ids := range [][]core.StepID{t.changes.Ready, t.changes.Requeue} {
		for _, id := range ids {
			ready[t.state.Steps[id].Route]++
		}
	}
	e.wakeClaims(ready)
	for _, end := range t.changes.End {
		e.leases.forget(end.ID)
	}
	for _, id := range t.changes.Requeue {
		e.leases.forget(id)
	}
	for _, h := range t.changes.HandOver {
		e.leases.forget(h.ID)
	}
	for id := range t.changes.Stop {
		e.waiters.wakeWorker(t.state.Steps[id].WorkerID)
		e.notifySoon()
	}
	e.relatives.note(t)
	e.count(t)
	for _, said := range t.events {
		e.tell(ctx, said)
	}
	for id, change := range t.changes.Jobs {
		if change.Status.Terminal() {
			e.watchers.ended(id)
		}
	}
}

// wakeClaims wakes claims here, and tells other replicas, when steps of the given routes became ready.
func (e *Engine) wakeClaims(ready map[int]int) {
	if len(ready) == 0 {
		return
	}
	for route, n := range ready {
		e.waiters.wake(e.routes.tags(route), n)
	}
	e.notifySoon()
}

func (e *Engine) notifySoon() {
	select {
	case e.notify <- struct{}{}:
	default:
	}
}
