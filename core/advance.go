package core

import "slices"

// StepID identifies a step of any job.
type StepID int64

// Progress is what is kept of a job so that its end is known without looking at all of its steps.
type Progress struct {
	OpenSteps           int  // steps that have not ended
	IntolerableFailures int  // failed steps that do not continue on failure
	CancelRequested     bool // the job ends as cancelled, whatever its steps did
	TimedOut            bool // the job ends as failed, whatever its steps did
}

// Ended is a step that has just reached a terminal status.
type Ended struct {
	ID                StepID
	Status            StepStatus
	ContinueOnFailure bool
	Dependants        []StepID // the steps that name this one in depends_on
}

// Dependant is a step as it is before [Advance] looks at the steps that ended before it.
type Dependant struct {
	ID                StepID
	Status            StepStatus
	OpenDeps          int // dependencies that have not ended
	ContinueOnFailure bool
	Dependants        []StepID
}

// Transitions is what follows from the end of some steps.
type Transitions struct {
	Progress Progress       // the job's new progress
	OpenDeps map[StepID]int // new counts of dependants that stay pending
	Ready    []StepID       // pending → ready
	End      []Ended        // pending → skipped or cancelled; to be passed to the next Advance
	Job      JobStatus      // the job's end, or "" while a step is open
}

// Advance decides what follows when the steps in ended have reached their end. dependants are the direct dependants of
// those steps, each once, in any state. The caller applies the transitions and calls Advance again with End (and their
// dependants) until End is empty; the order in which steps end does not change the final states. Called with no ended
// step and the roots of a new flow as dependants, it makes the roots ready: there is one way to become ready.
//
// A step that continues on failure runs once all its dependencies have ended. Any other step runs once all have
// completed, and is skipped as soon as one has failed, was skipped or was cancelled. While a job is being cancelled or
// has timed out nothing becomes ready.
func Advance(p Progress, ended []Ended, dependants []Dependant) Transitions {
	p.OpenSteps -= len(ended)
	met := map[StepID]int{}
	failing := map[StepID]bool{}
	for _, step := range ended {
		if step.Status == StepFailed && !step.ContinueOnFailure {
			p.IntolerableFailures++
		}
		for _, id := range step.Dependants {
			met[id]++
			failing[id] = failing[id] || step.Status.Failing()
		}
	}
	t := Transitions{Progress: p, OpenDeps: map[StepID]int{}}
	for _, d := range dependants {
		if d.Status != StepPending {
			continue
		}
		open := d.OpenDeps - met[d.ID]
		switch {
		case p.CancelRequested:
			t.End = append(t.End, d.end(StepCancelled))
		case p.TimedOut, failing[d.ID] && !d.ContinueOnFailure:
			t.End = append(t.End, d.end(StepSkipped))
		case open == 0:
			t.Ready = append(t.Ready, d.ID)
		default:
			t.OpenDeps[d.ID] = open
		}
	}
	if p.OpenSteps == 0 {
		t.Job = p.end()
	}
	return t
}

func (d Dependant) end(status StepStatus) Ended {
	return Ended{ID: d.ID, Status: status, ContinueOnFailure: d.ContinueOnFailure, Dependants: slices.Clone(d.Dependants)}
}

func (p Progress) end() JobStatus {
	switch {
	case p.CancelRequested:
		return JobCancelled
	case p.TimedOut, p.IntolerableFailures > 0:
		return JobFailed
	default:
		return JobCompleted
	}
}
