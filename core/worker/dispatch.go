package worker

import (
	"fmt"
	"time"

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

// begin reports the start of all steps of a claim in one call, and spawns those that the server accepts.
func (s *session) begin(runs []*run) {
	accepted, err := s.start(runs)
	if err != nil {
		s.Logger.Warn("the start of steps could not be reported; they go back to the server", "steps", len(runs), "error", err)
	}
	for _, r := range runs {
		if !accepted[r.step.StepID] {
			s.steps.remove(r)
			s.release(1)
			continue
		}
		s.group.Go(func() {
			completion := s.execute(r)
			s.steps.remove(r)
			select {
			case s.ended <- finished{step: r.step, completion: completion}:
			case <-s.calls.Done(): // nobody reports any more
			}
		})
	}
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
