package engine

import (
	"time"

	"github.com/stroem/stroem/core"
)

// count counts what a transition has done, after its commit. What a commit of unknown outcome has done is not counted.
func (e *Engine) count(t *transition) {
	counted := e.config.Tally
	for _, end := range t.changes.End {
		counted.StepsEnded.Add(1, string(end.Status))
		if end.Unreported {
			counted.StepsUnreported.Add(1)
		}
	}
	if n := len(t.changes.Requeue); n > 0 {
		counted.StepsRequeued.Add(n)
	}
	for id, change := range t.changes.Jobs {
		if change.Status.Terminal() {
			counted.JobsEnded.Add(1, t.state.Jobs[id].Workspace, string(change.Status))
		}
	}
	e.countCreated(t.changes.Create)
}

// countCreated counts new jobs; none of them has ended yet.
func (e *Engine) countCreated(jobs []core.NewJob) {
	for i := range jobs {
		e.config.Tally.JobsCreated.Add(1, jobs[i].Workspace, string(jobs[i].SourceType))
	}
}

// countClaim counts a claim that asked for steps, and the time that its statement took.
func (e *Engine) countClaim(c claim, granted int, begin time.Time) {
	if c.steps == 0 {
		return
	}
	counted := e.config.Tally
	counted.Claim.Since(begin)
	result := "empty"
	if granted > 0 {
		result = "steps"
		counted.StepsClaimed.Add(granted)
	}
	counted.Claims.Add(1, result)
}
