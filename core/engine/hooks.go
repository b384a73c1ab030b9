package engine

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/stroem/stroem/core"
	"github.com/stroem/stroem/core/failpoint"
	"github.com/stroem/stroem/core/mask"
	"github.com/stroem/stroem/core/template"
)

// hookStep is the one step of the job of a hook.
const hookStep = "hook"

// event is something that the server says in the log of a job.
type event struct {
	job  uuid.UUID
	text string
}

// mayHaveHooks tells whether a job that has come to a status fires hooks, as far as that is known without asking the database.
func (e *Engine) mayHaveHooks(job *core.Job, status core.JobStatus) bool {
	if status != core.JobCompleted && status != core.JobFailed || job.SourceType == core.SourceHook || job.OriginJobID != uuid.Nil {
		return false
	}
	p := e.plans.get(taskKey{}, job.DefinitionHash)
	return p == nil || len(p.hooks(job.SourceType, status)) > 0
}

// hooks are those of the task, else those of the workspace for jobs that nothing in it has started.
func (p *plan) hooks(source core.SourceType, status core.JobStatus) []core.Hook {
	own, fallback := p.definition.Task.OnSuccess, p.definition.OnSuccess
	if status == core.JobFailed {
		own, fallback = p.definition.Task.OnError, p.definition.OnError
	}
	if len(own) > 0 || source == core.SourceTask || source == core.SourceHook {
		return own
	}
	return fallback
}

// prepareHooks makes the jobs of a job's hooks. A hook that cannot be fired is told in the job's log, and does not keep others
// from it.
func (e *Engine) prepareHooks(ctx context.Context, n *need, job *core.Job, p *plan, known *jobSecrets) (*follower, error) {
	hooks, list := p.hooks(job.SourceType, n.status), "on_success"
	if n.status == core.JobFailed {
		list = "on_error"
	}
	f := &follower{}
	if len(hooks) == 0 {
		return f, nil
	}
	failed, err := e.store.FailedSteps(ctx, job.ID)
	if err != nil {
		return nil, err
	}
	for _, step := range n.failed { // not stored yet
		step.ActionName = p.definition.Task.Flow[step.Name].Action
		failed = append(failed, step)
	}
	vars := template.Context{"hook": hookContext(job, n, failed)}
	if secrets := e.secrets(job.Workspace); len(secrets) > 0 {
		vars["secret"] = secrets
	}
	for i, hook := range hooks {
		place := fmt.Sprintf("%s[%d]", list, i)
		jobs, err := e.hookJob(ctx, job, p, known, hook, place, vars)
		if code := core.ErrorCode(err); err != nil && (code == core.CodeInvalid || code == core.CodeNotFound) {
			_, masker, _ := e.forJob(known) // of a workspace that is gone nothing was rendered
			f.events = append(f.events, clean(masker.String(fmt.Sprintf("[hooks] Failed to fire hook %s for action '%s': %s", place, hook.Action, err))))
			continue
		}
		if err != nil {
			return nil, err
		}
		f.jobs = append(f.jobs, jobs...)
	}
	failpoint.Hit("hooks.made")
	return f, nil
}

func (e *Engine) hookJob(ctx context.Context, job *core.Job, p *plan, known *jobSecrets, hook core.Hook, place string, vars template.Context) ([]core.NewJob, error) {
	action := p.definition.Actions[hook.Action]
	if action == nil {
		return nil, core.Errorf(core.CodeInvalid, "action_not_found", "the action is not found")
	}
	compiled, err := compileExpr("input", orEmpty(hook.Input))
	if err != nil {
		return nil, core.Errorf(core.CodeInvalid, "template_invalid", "%s", err)
	}
	rendering, found := template.Collect(ctx)
	value, err := compiled.render(rendering, vars)
	if err != nil {
		return nil, core.Errorf(core.CodeInvalid, "", "cannot render %s", err)
	}
	input, _ := value.(map[string]any)
	o := origin{
		workspace: job.Workspace, revision: job.Revision, digest: job.RevisionDigest, input: input, convert: true,
		secret: known.with(mask.Values(found())).ownValues(),
		source: core.SourceHook, sourceID: fmt.Sprintf("%s/%s/%s/%s", job.Workspace, job.TaskName, job.ID, place), hookOf: job.ID,
	}
	if action.Type == core.TypeTask {
		o.task = action.Task
		o.plan, err = p.child(action.Task)
	} else {
		o.task = core.HookTask + hook.Action
		o.plan, err = p.hook(hook.Action)
	}
	if err != nil {
		return nil, err
	}
	jobs, _, err := e.newJob(ctx, o)
	return jobs, err
}

// hookContext is what the input of a hook can name as hook.
func hookContext(job *core.Job, n *need, failed []core.Step) map[string]any {
	slices.SortFunc(failed, func(a, b core.Step) int { return cmp.Compare(a.Name, b.Name) })
	failed = slices.CompactFunc(failed, func(a, b core.Step) bool { return a.Name == b.Name })
	steps, messages := []any{}, []string{}
	for i := range failed {
		step := map[string]any{
			"step_name": failed[i].Name, "action_name": failed[i].ActionName, "continue_on_failure": failed[i].ContinueOnFailure,
		}
		if failed[i].ErrorMessage != "" {
			step["error_message"] = failed[i].ErrorMessage
		}
		steps = append(steps, step)
		messages = append(messages, fmt.Sprintf("Step '%s': %s", failed[i].Name, cmp.Or(failed[i].ErrorMessage, unknownError)))
	}
	ended := time.Now()
	hook := map[string]any{
		"workspace": job.Workspace, "task_name": job.TaskName, "job_id": job.ID.String(), "status": string(n.status),
		"source_type": string(job.SourceType), "source_id": nil, "is_success": n.status == core.JobCompleted, "failed_steps": steps,
		"started_at": nil, "completed_at": ended.UTC().Format(time.RFC3339), "duration_secs": nil, "error_message": nil,
	}
	if job.SourceID != "" {
		hook["source_id"] = job.SourceID
	}
	if !job.StartedAt.IsZero() {
		hook["started_at"] = job.StartedAt.UTC().Format(time.RFC3339)
		hook["duration_secs"] = math.Round(max(0, ended.Sub(job.StartedAt).Seconds())*1000) / 1000
	}
	if message := cmp.Or(strings.Join(messages, "; "), n.message, job.ErrorMessage); message != "" {
		hook["error_message"] = message
	}
	return hook
}

// unknownError stands for the error of a step that has none.
const unknownError = "unknown error"
