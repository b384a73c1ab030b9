package scheduler

import (
	"context"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/stroem/stroem/core"
	"github.com/stroem/stroem/core/engine"
	"github.com/stroem/stroem/core/failpoint"
	"github.com/stroem/stroem/core/tally"
)

// parallel is how many jobs are created at a time: the engine stores those that wait together.
const parallel = 64

// fireAll fires entries that were taken out of the queue, and puts them back for the next time.
func (s *Scheduler) fireAll(ctx context.Context, due []*entry) error {
	if len(due) == 0 {
		return nil
	}
	now := s.Clock.Now()
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(parallel)
	for _, e := range due {
		group.Go(func() error { return s.fire(ctx, e, now) })
	}
	if err := group.Wait(); err != nil {
		return err
	}
	for _, e := range due {
		s.queue.put(e)
	}
	return nil
}

// fire runs the task of a trigger once for all instants that have passed, and moves it on to the next.
func (s *Scheduler) fire(ctx context.Context, e *entry, now time.Time) error {
	fire := core.Fire{Workspace: e.Workspace, Trigger: e.Trigger}
	fire.At, fire.Missed = last(e.timetable, e.NextFire, now)
	fire.Next = e.timetable.After(fire.At)
	result := tally.FiredJob
	failpoint.Hit("fire.before")
	err := s.execute(ctx, fire)
	switch core.ErrorCode(err) {
	case core.CodeInvalid, core.CodeNotFound: // which the next attempt would not change
		s.Logger.WarnContext(ctx, "trigger fired in vain", "workspace", e.Workspace, "trigger", e.Trigger, "at", fire.At, "error", err)
		fire.Reason, result = err.Error(), tally.FiredInVain
		err = s.Store.RecordFire(ctx, fire)
	}
	if core.ErrorCode(err) == core.CodeConflict {
		// It has fired for this instant, under an earlier clock or with an outcome that got lost; it goes on all the same.
		e.NextFire = fire.Next
		return s.Store.SaveSchedules(ctx, []core.Schedule{e.Schedule}, nil)
	}
	if err != nil {
		return err
	}
	failpoint.Hit("fire.stored")
	s.Tally.Fires.Add(1, result)
	s.Tally.Missed.Add(fire.Missed)
	s.Tally.Lag.Observe(now.Sub(fire.At))
	if fire.Missed > 0 {
		s.Logger.InfoContext(ctx, "trigger made up for fires that were missed", "workspace", e.Workspace, "trigger", e.Trigger,
			"at", fire.At, "missed", fire.Missed)
	}
	e.NextFire = fire.Next
	return nil
}

// execute creates the job. Errors: not_found when the trigger is gone, which the next reload takes in.
func (s *Scheduler) execute(ctx context.Context, fire core.Fire) error {
	content, _, err := s.Workspaces.Workspace(fire.Workspace)
	if err != nil {
		return err
	}
	trigger := content.Triggers[fire.Trigger]
	if trigger == nil {
		return core.Errorf(core.CodeNotFound, "", "The trigger is not in the workspace any more")
	}
	_, err = s.Jobs.Execute(ctx, engine.Execute{
		Workspace: fire.Workspace, Task: trigger.Task, Input: trigger.Input,
		Source: core.SourceTrigger, SourceID: fire.Workspace + "/" + fire.Trigger, Fire: &fire,
	})
	return err
}
