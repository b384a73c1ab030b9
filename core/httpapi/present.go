package httpapi

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/google/uuid"

	"github.com/stroem/stroem/core"
	"github.com/stroem/stroem/core/api"
	"github.com/stroem/stroem/core/workspace"
)

func presentJob(j *core.Job) api.Job {
	return api.Job{
		JobID: j.ID.String(), Workspace: j.Workspace, TaskName: j.TaskName, Mode: j.Mode, Status: string(j.Status),
		SourceType: string(j.SourceType), SourceID: optional(j.SourceID), WorkerID: optionalID(j.WorkerID),
		CreatedAt: j.CreatedAt.UTC(), StartedAt: optionalTime(j.StartedAt), CompletedAt: optionalTime(j.CompletedAt),
	}
}

// present is presentJob for a user: the name of a task that is hidden from them is not in it.
func (p *principal) present(j *core.Job) api.Job {
	job := presentJob(j)
	if task, ok := j.HookedTask(); ok && !p.sees(j.Workspace, task) {
		job.SourceID = nil
	}
	return job
}

func presentDetail(p *principal, j *core.Job, steps []core.Step, secrets *redactor) (api.JobDetail, error) {
	detail := api.JobDetail{
		Job: p.present(j), Revision: optional(j.Revision), ErrorMessage: optional(secrets.text(j.ErrorMessage)),
		ParentJobID: optionalID(j.ParentJobID), ParentStepName: optional(j.ParentStepName),
		ChildJobs: []api.Job{}, HookJobs: []api.Job{}, Steps: make([]api.Step, len(steps)),
	}
	var err error
	if detail.Input, err = document(j.Input, secrets); err != nil {
		return detail, err
	}
	if detail.Output, err = document(j.Output, secrets); err != nil {
		return detail, err
	}
	for i := range steps {
		if detail.Steps[i], err = presentStep(&steps[i], secrets); err != nil {
			return detail, err
		}
	}
	return detail, nil
}

func presentStep(s *core.Step, secrets *redactor) (api.Step, error) {
	step := api.Step{
		StepName: s.Name, ActionName: s.ActionName, ActionType: s.ActionType, ActionImage: optional(s.ActionImage), Runner: s.Runner,
		Status: string(s.Status), Attempt: s.Attempt, WorkerID: optionalID(s.WorkerID), StartedAt: optionalTime(s.StartedAt),
		CompletedAt: optionalTime(s.CompletedAt), ExitCode: s.ExitCode, ErrorMessage: optional(secrets.text(s.ErrorMessage)),
		WaitingReason: optional(s.WaitingReason), DependsOn: s.DependsOn, ContinueOnFailure: s.ContinueOnFailure,
	}
	if step.DependsOn == nil {
		step.DependsOn = []string{}
	}
	var err error
	if step.Input, err = document(s.Input, secrets); err != nil {
		return step, err
	}
	step.Output, err = document(s.Output, secrets)
	return step, err
}

func presentWorkspace(s workspace.Status) api.Workspace {
	w := api.Workspace{
		Name: s.Name, TasksCount: s.Tasks, ActionsCount: s.Actions, TriggersCount: s.Triggers, Revision: optional(s.Revision),
		Error: s.Error, Errors: diagnostics(s.Diagnostics.Errors()), Warnings: diagnostics(s.Diagnostics.Warnings()),
	}
	if s.Revision != "" {
		w.Sync = &api.WorkspaceSync{
			Revision: s.Revision, Author: s.Source.Author, Message: s.Source.Message,
			Time: optionalTime(s.Source.Time), CheckedAt: optionalTime(s.CheckedAt),
		}
	}
	return w
}

func presentWorker(w *core.Worker) api.Worker {
	tags := w.Tags
	if tags == nil {
		tags = []string{}
	}
	return api.Worker{
		WorkerID: w.ID.String(), Name: w.Name, Status: string(w.Status), Tags: tags, Version: w.Version,
		LastHeartbeat: optionalTime(w.LastHeartbeat), RegisteredAt: w.RegisteredAt.UTC(),
		TokenName: w.Token, RevokedAt: optionalTime(w.RevokedAt),
	}
}

// document is a stored JSON value as it may be shown.
func document(stored json.RawMessage, secrets *redactor) (any, error) {
	if stored == nil {
		return nil, nil
	}
	if secrets.harmless(stored) {
		return stored, nil
	}
	var value any
	if err := json.Unmarshal(stored, &value); err != nil {
		return nil, fmt.Errorf("decode a stored value: %w", err)
	}
	return secrets.value(value), nil
}

func optional(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}

func optionalID(id uuid.UUID) *string {
	if id == uuid.Nil {
		return nil
	}
	text := id.String()
	return &text
}

func optionalTime(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	t = t.UTC()
	return &t
}
