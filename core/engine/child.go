package engine

import (
	"context"
	"encoding/json"
	"maps"

	"github.com/stroem/stroem/core"
	"github.com/stroem/stroem/core/mask"
	"github.com/stroem/stroem/core/template"
)

// childOf is a step that runs a task, with what its input is rendered from.
type childOf struct {
	job     *core.Job
	input   json.RawMessage // of the job
	plan    *plan           // of the job
	known   *jobSecrets     // of the job
	step    string
	id      core.StepID
	outputs map[string]json.RawMessage // of the steps that it names
}

// child is what the step becomes.
type child struct {
	jobs  []core.NewJob      // from the top down
	input core.RenderedInput // of the step
}

// newChild makes the job of a step that runs a task. Errors: invalid if the templates, the input or the task are at fault.
func (e *Engine) newChild(ctx context.Context, of *childOf) (c child, err error) {
	step := of.plan.byName[of.step]
	task := step.action.Task
	p, err := of.plan.child(task)
	if err != nil {
		return c, stepError(of.step, err)
	}
	secrets := e.secrets(of.job.Workspace)
	rendering, found := template.Collect(ctx)
	input := step.flow.Input
	if step.rendering.input.dynamic() {
		vars, err := contextOf(of.input, of.outputs, secrets)
		if err != nil {
			return c, err
		}
		value, err := step.rendering.input.render(rendering, vars)
		if err != nil {
			return c, core.Errorf(core.CodeInvalid, "", "Step '%s': cannot render %s", of.step, err)
		}
		input, _ = value.(map[string]any)
	}
	input, err = e.checkActionInput(rendering, step.action, secrets, maps.Clone(orEmpty(input)))
	resolved := mask.Values(found())
	if err != nil {
		return c, stepError(of.step, maskError(mask.New(resolved), err))
	}
	known := of.known.with(resolved) // the job above learns of them when this one has ended
	document, err := encodeInput(input)
	if err != nil {
		return c, stepError(of.step, err)
	}
	fields := append(secretFields(step.action.Input), secretFields(p.definition.Task.Input)...)
	if c.input, err = e.hideStepInput(known, document, fields, of.id); err != nil {
		return c, err
	}
	c.jobs, _, err = e.newJob(ctx, origin{
		workspace: of.job.Workspace, task: task, revision: of.job.Revision, digest: of.job.RevisionDigest, plan: p, input: input, convert: true,
		secret: known.ownValues(), source: core.SourceTask, sourceID: of.job.ID.String() + "/" + of.step,
		parent: of.job.ID, parentStep: of.step, hookOf: of.job.OriginJobID, depth: of.job.Depth + 1,
	})
	return c, stepError(of.step, err)
}

// stepError says which step an error of the caller's making is about.
func stepError(step string, err error) error {
	if code := core.ErrorCode(err); err == nil || code != core.CodeInvalid && code != core.CodeNotFound {
		return err
	}
	return core.Errorf(core.CodeInvalid, "", "Step '%s': %s", step, err)
}
