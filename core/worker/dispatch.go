package worker

import (
	"fmt"
	"time"

	"github.com/stroem/stroem/core"
	"github.com/stroem/stroem/core/api"
)

// take runs what was claimed and stops what is to be stopped. Every step holds a slot.
func (s *session) take(answer api.ClaimResponse) {
	if s.claims.Err() != nil {
		s.release(len(answer.Steps)) // the server hands them to somebody else when they are not started
		answer.Steps = nil
	}
	runs := make([]*run, len(answer.Steps))
	for i := range runs {
		// From now on, so that a stop that comes before the start is not missed.
		runs[i] = s.steps.add(s.work, &answer.Steps[i])
	}
	for _, stop := range answer.Stop {
		s.Logger.Info("stopping a step", "job", stop.JobID, "step", stop.StepName, "reason", stop.Reason)
		s.steps.stop(stop)
	}
	if len(runs) > 0 {
		s.group.Go(func() { s.begin(runs) })
	}
}

// begin spawns the steps of a claim: those whose runner is there at once, whatever the others have to wait for.
func (s *session) begin(runs []*run) {
	there, away := s.divide(runs)
	if len(away) > 0 {
		s.group.Go(func() { s.spawn(s.awaitRunners(away)) })
	}
	s.spawn(there)
}

// spawn reports the start of steps in one call, and spawns those that the server accepts.
func (s *session) spawn(runs []*run) {
	if len(runs) == 0 {
		return
	}
	accepted, err := s.start(runs)
	if err != nil {
		s.Logger.Warn("the start of steps could not be reported; they go back to the server", "steps", len(runs), "error", err)
	}
	for _, r := range runs {
		if !accepted[r.step.StepID] {
			s.drop(r)
			continue
		}
		s.group.Go(func() { s.carry(r) })
	}
}

// drop gives back a step that was not started: the server hands it to somebody else.
func (s *session) drop(r *run) {
	s.steps.remove(r)
	s.release(1)
}

// carry runs a step that is started, and hands on its result.
func (s *session) carry(r *run) {
	completion := s.execute(r)
	s.steps.remove(r)
	select {
	case s.ended <- finished{step: r.step, completion: completion}:
	case <-s.calls.Done(): // nobody reports any more
	}
}

// awaitRunners returns the steps whose runner is there. Its plugin may have died after they were claimed, and is then
// back in a moment; steps for which it is not are dropped.
func (s *session) awaitRunners(runs []*run) []*run {
	timer := time.NewTimer(s.RunnerWait)
	defer timer.Stop()
	for {
		var changed <-chan struct{}
		if s.Changed != nil {
			changed = s.Changed()
		}
		there, away := s.divide(runs)
		if len(away) == 0 {
			return there
		}
		select {
		case <-changed:
			continue
		case <-timer.C:
		case <-s.work.Done():
		}
		for _, r := range away {
			s.Logger.Warn("the runner of a step is away; the step goes back to the server", "job", r.step.JobID, "step", r.step.StepName)
			s.drop(r)
		}
		return there
	}
}

// divide tells the steps whose runner is away from the others. A runner that nobody here has ever had is not away: that is
// told as the step's failure.
func (s *session) divide(runs []*run) (there, away []*run) {
	offered := map[[2]string]bool{}
	for _, t := range s.Runners.ActionTypes() {
		offered[[2]string{t.Name, t.Runner}] = true
	}
	for _, r := range runs {
		key := [2]string{r.step.ActionType, variant(r.step.Runner)}
		if _, known := s.Runners.Runner(key[0], key[1]); known && !offered[key] {
			away = append(away, r)
		} else {
			there = append(there, r)
		}
	}
	return there, away
}

// variant is the runner of an action type as plugins name it.
func variant(runner string) string {
	if runner == core.RunnerNone {
		return ""
	}
	return runner
}

func (s *session) start(runs []*run) (map[int64]bool, error) {
	var request api.StartRequest
	for _, r := range runs {
		request.Steps = append(request.Steps, api.StepLease{StepID: r.step.StepID, Lease: r.step.Lease})
	}
	var delay backoff
	for {
		results, err := s.server.Start(s.work, request)
		if s.note(err) == nil {
			accepted := map[int64]bool{}
			for _, result := range results.Results {
				accepted[result.StepID] = result.Status == api.Accepted
			}
			return accepted, nil
		}
		if refused(err) {
			return nil, err
		}
		if waitErr := delay.wait(s.work, 50*time.Millisecond, 2*time.Second); waitErr != nil {
			return nil, fmt.Errorf("%w (%w)", err, waitErr)
		}
	}
}
