package engine

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/stroem/stroem/core"
	"github.com/stroem/stroem/core/failpoint"
)

// timerInterval is how often the leader looks for what is overdue; it bounds how late timeouts of tasks are noticed.
const timerInterval = time.Second

// lead runs the timers, and leading, on the one replica that holds the leader's lock.
func (e *Engine) lead(ctx context.Context, leading []func(context.Context)) {
	e.repeat(ctx, "lead", func(ctx context.Context) error {
		led, err := e.store.Lead(ctx, func(ctx context.Context) error {
			var group sync.WaitGroup
			defer group.Wait()
			for _, run := range leading {
				group.Go(func() { run(ctx) })
			}
			return e.sweepLoop(ctx)
		})
		if led && err == nil {
			e.logger.InfoContext(ctx, "no longer the leader")
		}
		return err
	})
}

// sweepLoop looks for what is overdue every second, and for lost workers every sweep interval, until ctx ends. Workers
// are judged only after the database could be reached for a whole heartbeat timeout: until then their silence may be
// ours, as it is when the server or its machine was stopped.
func (e *Engine) sweepLoop(ctx context.Context) error {
	e.logger.InfoContext(ctx, "leading: timeouts and recovery run here")
	judgeFrom := time.Now().Add(e.config.HeartbeatTimeout)
	nextJudgement := judgeFrom
	for {
		wait := min(timerInterval, e.config.SweepInterval)
		due := time.Now().Round(0).Add(wait) // of the wall clock, which goes on while the machine is suspended
		pause(ctx, wait)
		reached, err := e.recover(ctx)
		if ctx.Err() != nil {
			return nil //nolint:nilerr // told to stop
		}
		now := time.Now()
		if slow := now.Sub(due) > e.config.HeartbeatTimeout/3; reached && !slow && now.After(nextJudgement) && now.After(judgeFrom) {
			nextJudgement = now.Add(e.config.SweepInterval)
			var lost error
			if reached, lost = e.judgeWorkers(ctx); reached {
				lost = errors.Join(lost, e.failUnclaimable(ctx))
			}
			err = errors.Join(err, lost)
		}
		if took := time.Since(due); reached && took > e.config.HeartbeatTimeout/3 {
			reached, err = false, errors.Join(err, fmt.Errorf("the server or its database stood still for %s; workers may not have been able to be heard of", took))
		}
		if !reached {
			judgeFrom = time.Now().Add(e.config.HeartbeatTimeout)
		}
		if err != nil && ctx.Err() == nil {
			e.logger.WarnContext(ctx, "sweep", "error", err)
		}
	}
}

// judgeWorkers gives up workers that have been silent for too long, and recovers their steps. It reports whether the database
// could be reached.
func (e *Engine) judgeWorkers(ctx context.Context) (reached bool, err error) {
	lost, err := e.store.DeactivateWorkers(ctx, e.config.HeartbeatTimeout)
	if err != nil || len(lost) == 0 {
		return err == nil, err
	}
	e.logger.WarnContext(ctx, "workers are unresponsive", "workers", lost, "timeout", e.config.HeartbeatTimeout)
	failpoint.Hit("sweep.judged")
	return e.recover(ctx)
}

// failUnclaimable fails steps that nobody could run for too long, if there is a limit.
func (e *Engine) failUnclaimable(ctx context.Context) error {
	limit := e.config.UnclaimableLimit
	if limit == 0 {
		return nil
	}
	found, err := e.store.Unclaimable(ctx, limit)
	if err != nil {
		return err
	}
	for batch := range slices.Chunk(found, batchLimit) {
		ids := make([]core.StepID, len(batch))
		for i := range batch {
			ids[i] = batch[i].ID
		}
		err := e.change(ctx, ids, func(t *transition) {
			for _, one := range batch {
				if step := t.state.Steps[one.ID]; step != nil && step.Status == core.StepReady { // else somebody came
					message := fmt.Sprintf("Nobody could run the step for %s. %s", core.Duration(limit), one.Reason)
					t.end(step, outcome{status: core.StepFailed, message: message})
				}
			}
		})
		if err != nil {
			return fmt.Errorf("fail %d steps that nobody can run: %w", len(ids), err)
		}
	}
	return nil
}

// recover brings what is overdue to its end. It looks at everything that is overdue, whenever it came to be, so that
// nothing is left behind by a sweep that was cut short. Under the jobs' locks it leaves alone what has ended or was given to
// another worker since: none of that is true of it any more. What cannot be brought to its end does not hold up the rest. It
// reports whether the database could be reached.
func (e *Engine) recover(ctx context.Context) (reached bool, err error) {
	overdue, err := e.store.Overdue(ctx, core.SweepLimits{
		Start: e.config.StartLimit,
		Grace: e.config.StopGrace + 30*time.Second,
		Stop:  e.config.StopGrace + e.config.HeartbeatTimeout,
	})
	if err != nil {
		return false, err
	}
	var failures []error
	if len(overdue.Lost) > 0 {
		failpoint.Hit("sweep.found")
	}
	for _, found := range []struct {
		steps []core.OverdueStep
		apply func(*transition, *core.Step)
	}{
		{overdue.Unstarted, (*transition).requeue},
		{overdue.Lost, loseWith(overdue.Lost)},
		{overdue.TimedOut, (*transition).timeOut},
		{overdue.TimedOutTasks, (*transition).timeOutTask},
		{overdue.Unstopped, (*transition).giveUp},
	} {
		failures = append(failures, e.recoverSteps(ctx, found.steps, found.apply))
	}
	if len(overdue.Lost) > 0 {
		failpoint.Hit("sweep.recovered")
	}
	for _, job := range overdue.TimedOutJobs {
		if err := e.timeOutJob(ctx, job); err != nil {
			failures = append(failures, fmt.Errorf("time out job %s: %w", job, err))
		}
	}
	failures = append(failures, e.relateAll(ctx))
	return true, errors.Join(failures...)
}

// recoverSteps takes many steps together, and each alone if that fails.
func (e *Engine) recoverSteps(ctx context.Context, found []core.OverdueStep, apply func(*transition, *core.Step)) error {
	var failures []error
	for batch := range slices.Chunk(found, batchLimit) {
		if e.recoverBatch(ctx, batch, apply) == nil {
			continue
		}
		for i := range batch {
			var found *core.Step
			err := e.recoverBatch(ctx, batch[i:i+1], func(t *transition, step *core.Step) {
				found = step
				apply(t, step)
			})
			if err != nil {
				failures = append(failures, fmt.Errorf("recover step %d: %w", batch[i].ID, err))
			}
			if err != nil && found != nil {
				e.trouble(ctx, found.JobID, fmt.Sprintf("[recovery] Failed to orchestrate after recovering step '%s'", found.Name), err)
			}
		}
	}
	return errors.Join(failures...)
}

func (e *Engine) recoverBatch(ctx context.Context, batch []core.OverdueStep, apply func(*transition, *core.Step)) error {
	ids := make([]core.StepID, len(batch))
	for i := range batch {
		ids[i] = batch[i].ID
	}
	return e.change(ctx, ids, func(t *transition) {
		for i, id := range ids {
			if step := t.state.Steps[id]; step != nil && step.Status == core.StepRunning && step.WorkerID == batch[i].WorkerID {
				apply(t, step)
			}
		}
	})
}

// requeue makes a step ready again that a worker claimed and never started: nothing of it can have run.
func (t *transition) requeue(step *core.Step) {
	if !step.StartedAt.IsZero() {
		return
	}
	step.Status = core.StepReady
	t.changes.Requeue = append(t.changes.Requeue, step.ID)
}

// loseWith fails steps whose workers are gone, and says when these were heard of last.
func loseWith(lost []core.OverdueStep) func(*transition, *core.Step) {
	found := make(map[core.StepID]*core.OverdueStep, len(lost))
	for i := range lost {
		found[lost[i].ID] = &lost[i]
	}
	return func(t *transition, step *core.Step) {
		message := fmt.Sprintf("Worker heartbeat timeout (worker %s unresponsive)", step.WorkerID)
		if of := found[step.ID]; !of.Heard.IsZero() {
			message += fmt.Sprintf(": '%s' was last heard of at %s, %s before this was noticed",
				of.Worker, of.Heard.UTC().Format(time.RFC3339), core.Duration(time.Since(of.Heard).Round(time.Second)))
		}
		if t.lose(step, message) {
			t.events = append(t.events, event{step.JobID, fmt.Sprintf("[recovery] Worker %s unresponsive (heartbeat timeout), failing step '%s'", step.WorkerID, step.Name)})
		}
	}
}

// lose fails a step whose worker is gone, and tells whether it does. It may have run, so it is not tried again.
func (t *transition) lose(step *core.Step, message string) bool {
	if step.StartedAt.IsZero() {
		return false
	}
	o := outcome{status: core.StepFailed, unreported: true, message: message}
	if t.job(step.JobID).Progress.CancelRequested {
		o.status = core.StepCancelled
	}
	t.end(step, o)
	return true
}

// timeOut fails a step whose worker should have stopped it and reported long ago.
func (t *transition) timeOut(step *core.Step) {
	t.end(step, outcome{
		status: core.StepFailed, unreported: true, message: timedOut(step.Timeout) + "; its worker did not report the stop",
	})
}

// timeOutTask fails a step whose task runs for too long; the task's job is then cancelled.
func (t *transition) timeOutTask(step *core.Step) {
	t.end(step, outcome{status: core.StepFailed, message: timedOut(step.Timeout)})
}

// giveUp ends a step that was told to stop and of which nothing was heard since.
func (t *transition) giveUp(step *core.Step) {
	o := outcome{status: core.StepFailed, unreported: true, message: "Stopped; its worker did not report the stop"}
	if t.job(step.JobID).Progress.CancelRequested {
		o.status, o.message = core.StepCancelled, "Cancelled; its worker did not report the stop"
	}
	t.end(step, o)
}

// timeOutJob ends a job that has run for longer than its task may: running steps are stopped, the others skipped.
func (e *Engine) timeOutJob(ctx context.Context, id uuid.UUID) error {
	return e.transact(ctx, core.Selection{Jobs: []uuid.UUID{id}}, func(t *transition) error {
		job := t.state.Jobs[id]
		if job == nil || job.Status.Terminal() || job.Progress.TimedOut || job.Progress.CancelRequested {
			return nil
		}
		change := t.job(id)
		change.Progress.TimedOut = true
		change.Error = timedOut(job.Timeout)
		t.setJob(id, change)
		t.stopAll(id, core.StepSkipped, core.StopTimedOut)
		return nil
	})
}
