package scheduler

import (
	"context"
	"log/slog"
	"time"

	"github.com/google/uuid"

	"github.com/stroem/stroem/core"
	"github.com/stroem/stroem/core/engine"
	"github.com/stroem/stroem/core/tally"
)

// Store keeps schedules and fires.
type Store interface {
	Schedules(ctx context.Context) ([]core.Schedule, error)
	// SaveSchedules stores and removes schedules in one transaction.
	SaveSchedules(ctx context.Context, save, remove []core.Schedule) error
	// RecordFire stores a fire for which there is no job. An instant that has fired is an error of code conflict.
	RecordFire(ctx context.Context, fire core.Fire) error
}

// Jobs creates the job of a fire, and stores both in one transaction. An instant that has fired is an error of code conflict.
type Jobs interface {
	Execute(ctx context.Context, x engine.Execute) (uuid.UUID, error)
}

// Workspaces gives the last good content of workspaces.
type Workspaces interface {
	Names() []string
	Workspace(name string) (*core.Workspace, string, error)
	// Changed returns a channel that is closed at the next change of any workspace.
	Changed() <-chan struct{}
}

// Options are what a scheduler needs.
type Options struct {
	Store      Store
	Jobs       Jobs
	Workspaces Workspaces
	Logger     *slog.Logger
	Clock      Clock            // nil: the system's
	Tally      *tally.Schedules // what is counted; nil: for nobody
}

// Scheduler runs on one replica at a time.
type Scheduler struct {
	Options
	entries map[key]*entry // nil: to be read from the database
	queue   queue
	changed <-chan struct{} // of the workspaces that entries come from
}

// New returns a scheduler; the caller calls Run.
func New(o Options) *Scheduler {
	if o.Clock == nil {
		o.Clock = systemClock{}
	}
	if o.Tally == nil {
		o.Tally = &tally.Schedules{}
	}
	return &Scheduler{Options: o}
}

const (
	// lookAgain is when the clock is looked at again even if nothing is due: it may have been set.
	lookAgain = 15 * time.Second
	// retryDelay is the pause after an error.
	retryDelay = time.Second
)

// Run fires triggers until ctx ends. It may be called again after that.
func (s *Scheduler) Run(ctx context.Context) {
	s.forget()
	for ctx.Err() == nil {
		pause, err := s.turn(ctx)
		if err != nil && ctx.Err() == nil {
			s.forget()
			s.Logger.WarnContext(ctx, "scheduler, trying again", "error", err)
			pause = retryDelay
		}
		s.sleep(ctx, pause)
	}
}

// forget has the schedules read from the database again: what it says is right.
func (s *Scheduler) forget() { s.entries, s.queue, s.changed = nil, nil, nil }

// turn takes in what has changed in the workspaces, fires what is due, and returns how long there is nothing more to do.
func (s *Scheduler) turn(ctx context.Context) (time.Duration, error) {
	if s.outdated() {
		s.changed = s.Workspaces.Changed() // asked before looking at them
		if err := s.reload(ctx); err != nil {
			return 0, err
		}
	}
	if err := s.fireAll(ctx, s.queue.due(s.Clock.Now())); err != nil {
		return 0, err
	}
	if len(s.queue) == 0 {
		return lookAgain, nil
	}
	return max(0, min(lookAgain, s.queue[0].NextFire.Sub(s.Clock.Now()))), nil
}

func (s *Scheduler) outdated() bool {
	if s.entries == nil {
		return true
	}
	select {
	case <-s.changed:
		return true
	default:
		return false
	}
}

func (s *Scheduler) sleep(ctx context.Context, pause time.Duration) {
	passed, stop := s.Clock.After(pause)
	defer stop()
	select {
	case <-ctx.Done():
	case <-passed:
	case <-s.changed:
	}
}

// reload brings the schedules up to date with the workspaces. A trigger that is new, or whose time has changed, fires for the
// first time after now; all others go on where they were, also when that is past.
func (s *Scheduler) reload(ctx context.Context) error {
	known := s.entries
	if known == nil {
		var err error
		if known, err = s.stored(ctx); err != nil {
			return err
		}
	}
	p := plan(s.triggers(), known, s.Clock.Now())
	for _, problem := range p.problems {
		s.Logger.WarnContext(ctx, "trigger does not fire", "workspace", problem.workspace, "trigger", problem.trigger, "error", problem.err)
	}
	if err := s.Store.SaveSchedules(ctx, p.save, p.remove); err != nil {
		return err
	}
	s.entries, s.queue = p.entries, nil
	for _, e := range s.entries {
		e.place = absent
		if e.timetable != nil { // else its workspace is not loaded
			s.queue.put(e)
		}
	}
	return nil
}

func (s *Scheduler) stored(ctx context.Context) (map[key]*entry, error) {
	schedules, err := s.Store.Schedules(ctx)
	if err != nil {
		return nil, err
	}
	known := make(map[key]*entry, len(schedules))
	for _, schedule := range schedules {
		known[key{schedule.Workspace, schedule.Trigger}] = &entry{Schedule: schedule, place: absent}
	}
	return known, nil
}

// triggers returns the workspaces' triggers by time; nil for a workspace that has no good revision.
func (s *Scheduler) triggers() map[string]map[string]*core.Trigger {
	all := map[string]map[string]*core.Trigger{}
	for _, name := range s.Workspaces.Names() {
		all[name] = nil
		content, _, err := s.Workspaces.Workspace(name)
		if err != nil {
			continue // it is not loaded: its schedules wait
		}
		triggers := map[string]*core.Trigger{}
		for trigger, t := range content.Triggers {
			if t.Type == "scheduler" && t.Enabled {
				triggers[trigger] = t
			}
		}
		all[name] = triggers
	}
	return all
}
