package engine

import (
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"time"

	"github.com/google/uuid"

	"github.com/stroem/stroem/core"
	"github.com/stroem/stroem/core/api"
	"github.com/stroem/stroem/core/mask"
	"github.com/stroem/stroem/core/template"
	"github.com/stroem/stroem/core/workflow"
)

// render makes claimed steps ready to be run: their inputs with what other steps have put out, and their actions with
// these inputs. A step that cannot be rendered fails and is left out.
func (e *Engine) render(ctx context.Context, worker uuid.UUID, claimed []core.ClaimedStep) ([]api.Claim, error) {
	steps := make([]api.Claim, 0, len(claimed))
	inputs := map[core.StepID]core.RenderedInput{}
	for i := range claimed {
		c := &claimed[i]
		_, secrets := e.leases.hold(c, worker, c.LeaseHash, e.openSecrets(ctx, c.JobID, c.Workspace, c.MaskSealed))
		rendered, err := e.renderStep(ctx, c, secrets)
		if core.ErrorCode(err) == core.CodeInvalid {
			_, masker, _ := e.forJob(secrets) // of a workspace that is gone nothing was rendered
			if err := e.failUnstarted(ctx, c, masker.String(err.Error())); err != nil {
				return nil, err
			}
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("render step %s of job %s: %w", c.Name, c.JobID, err)
		}
		if rendered.changed {
			inputs[c.ID] = rendered.stored
		}
		steps = append(steps, rendered.claim)
	}
	if len(inputs) > 0 {
		if err := e.store.SaveInputs(ctx, inputs); err != nil {
			return nil, err
		}
	}
	return steps, nil
}

// failUnstarted fails a claimed step that cannot be handed out.
func (e *Engine) failUnstarted(ctx context.Context, c *core.ClaimedStep, message string) error {
	return e.change(ctx, []core.StepID{c.ID}, func(t *transition) {
		if step := t.state.Steps[c.ID]; step != nil && step.Status == core.StepRunning && step.StartedAt.IsZero() {
			t.end(step, outcome{status: core.StepFailed, message: clean(message)})
		}
	})
}

type renderedStep struct {
	claim   api.Claim
	changed bool // the input is not the one that is stored
	stored  core.RenderedInput
}

// renderStep fails with core.CodeInvalid if the templates or the input are at fault, and otherwise if the database is.
func (e *Engine) renderStep(ctx context.Context, c *core.ClaimedStep, known *jobSecrets) (renderedStep, error) {
	p, err := e.planOf(ctx, c.DefinitionHash)
	if err != nil {
		return renderedStep{}, err
	}
	step := p.byName[c.Name]
	if step == nil {
		return renderedStep{}, fmt.Errorf("the definition has no step %s", c.Name)
	}
	if _, _, err := e.forJob(known); e.premature(err) {
		return renderedStep{}, err
	}
	if err := known.incomplete(); err != nil {
		return renderedStep{}, core.Errorf(core.CodeInvalid, "sealed", "Cannot %s", err)
	}
	secrets := e.secrets(c.Workspace)
	rendering, found := template.Collect(ctx)
	input, changed, err := e.stepInput(rendering, c, p, step, secrets)
	var action json.RawMessage
	if err == nil {
		action, err = step.renderAction(rendering, template.Context{"input": orEmpty(input), "secret": secrets})
	}
	fields := secretFields(step.action.Input)
	if err := e.learn(ctx, c.JobID, known, append(fieldValues(fields, input), mask.Values(found())...)); err != nil {
		return renderedStep{}, err
	}
	if err != nil { // which may tell of a secret, and is masked with what is known by now
		return renderedStep{}, err
	}
	values, masker, _ := e.forJob(known) // as above
	r := renderedStep{claim: newClaimed(c, values), changed: changed}
	r.claim.ActionSpec = action
	if r.claim.Input, err = json.Marshal(orEmpty(input)); err != nil {
		return renderedStep{}, fmt.Errorf("encode input: %w", err)
	}
	if r.claim.Input, err = cleanJSON(r.claim.Input); err != nil {
		return renderedStep{}, fmt.Errorf("clean input: %w", err)
	}
	if r.changed {
		r.stored.Input, r.stored.Sealed, err = e.hide(masker, r.claim.Input, fields, placeStepInput, rowOf(c.ID))
		if err != nil {
			return renderedStep{}, err
		}
	}
	return r, nil
}

// stepInput is the input of a claimed step, rendered and held against what its action declares, and whether it is another one
// than the step was made with.
func (e *Engine) stepInput(ctx context.Context, c *core.ClaimedStep, p *plan, step *planStep, secrets map[string]any) (
	input map[string]any, changed bool, err error,
) {
	input = step.flow.Input
	switch {
	case p.definition.Hook:
		if input, err = e.jobInputOf(c); err != nil {
			return nil, false, err
		}
	case step.rendering.input.dynamic():
		vars, err := e.stepContext(ctx, c, step, secrets)
		if err != nil {
			return nil, false, err
		}
		value, err := step.rendering.input.render(ctx, vars)
		if err != nil {
			return nil, false, core.Errorf(core.CodeInvalid, "", "Cannot render %s", err)
		}
		input, _ = value.(map[string]any)
		changed = true
	}
	if len(step.action.Input) > 0 {
		input, err = e.checkActionInput(ctx, step.action, secrets, input)
		changed = true
	}
	return input, changed, err
}

// checkActionInput holds an input against what the action declares. What templates and YAML give as a string is
// converted to the declared type.
func (e *Engine) checkActionInput(ctx context.Context, action *core.Action, secrets, input map[string]any) (map[string]any, error) {
	vars := template.Context{"secret": secrets}
	return workflow.CheckInput(action.Input, input, workflow.InputOptions{
		Convert:       true,
		RenderDefault: func(text string) (string, error) { return template.RenderString(ctx, text, vars) },
	})
}

func (s *planStep) renderAction(ctx context.Context, vars template.Context) (json.RawMessage, error) {
	if !s.rendering.env.dynamic() && !s.rendering.spec.dynamic() {
		return s.spec, nil
	}
	action := *s.action
	env, err := s.rendering.env.render(ctx, vars)
	if err != nil {
		return nil, core.Errorf(core.CodeInvalid, "", "Cannot render %s", err)
	}
	spec, err := s.rendering.spec.render(ctx, vars)
	if err != nil {
		return nil, core.Errorf(core.CodeInvalid, "", "Cannot render %s", err)
	}
	action.Spec, _ = spec.(map[string]any)
	action.Env = map[string]string{}
	if values, ok := env.(map[string]any); ok {
		for key, value := range values {
			action.Env[key], _ = value.(string)
		}
	}
	document, err := json.Marshal(action)
	if err != nil {
		return nil, fmt.Errorf("encode action: %w", err)
	}
	return document, nil
}

// stepContext is what a step's input can name; see contextOf.
func (e *Engine) stepContext(ctx context.Context, c *core.ClaimedStep, step *planStep, secrets map[string]any) (template.Context, error) {
	input, err := e.open(c.JobInput, c.JobInputSealed, placeJobInput, c.JobID.String())
	if err != nil {
		return nil, err
	}
	var outputs map[string]json.RawMessage
	if len(step.rendering.outputs) > 0 {
		if outputs, err = e.outputsOf(ctx, c.JobID, step.rendering.outputs); err != nil {
			return nil, err
		}
	}
	return contextOf(input, outputs, secrets)
}

// contextOf is what a step's input can name: the job's input, the workspace's secrets, and for each completed step an object
// with the step's output, if there is one.
func contextOf(input json.RawMessage, outputs map[string]json.RawMessage, secrets map[string]any) (template.Context, error) {
	vars := template.Context{}
	if len(secrets) > 0 {
		vars["secret"] = secrets
	}
	decoded, err := decodeInput(input)
	if err != nil {
		return nil, err
	}
	vars["input"] = decoded
	for name, document := range outputs {
		object := map[string]any{}
		if document != nil {
			var output any
			if err := json.Unmarshal(document, &output); err != nil {
				return nil, fmt.Errorf("decode the output of step %s: %w", name, err)
			}
			object["output"] = output
		}
		vars[template.StepKey(name)] = object
	}
	return vars, nil
}

// jobInputOf is the input of a claimed step's job.
func (e *Engine) jobInputOf(c *core.ClaimedStep) (map[string]any, error) {
	document, err := e.open(c.JobInput, c.JobInputSealed, placeJobInput, c.JobID.String())
	if err != nil {
		return nil, err
	}
	return decodeInput(document)
}

func decodeInput(document json.RawMessage) (map[string]any, error) {
	input := map[string]any{}
	if len(document) > 0 {
		if err := json.Unmarshal(document, &input); err != nil {
			return nil, fmt.Errorf("decode job input: %w", err)
		}
	}
	return input, nil
}

// secrets are those of the workspace as it is now: they are not part of a revision.
func (e *Engine) secrets(workspace string) map[string]any {
	ws, _, err := e.workspaces.Workspace(workspace)
	if err != nil { // gone: a template that needs a secret says so
		return nil
	}
	return ws.Secrets
}

func newClaimed(c *core.ClaimedStep, mask []string) api.Claim {
	claim := api.Claim{
		StepID: int64(c.ID), Attempt: c.Attempt, Workspace: c.Workspace, Revision: c.Revision, RevisionDigest: c.RevisionDigest,
		WorkspaceURL: fmt.Sprintf("/worker/workspace/%s.tar.gz?revision=%s&step_id=%d",
			url.PathEscape(c.Workspace), url.QueryEscape(c.Revision), c.ID),
		JobID: c.JobID.String(), StepName: c.Name, TaskName: c.TaskName, ActionName: c.ActionName,
		ActionType: c.ActionType, Runner: c.Runner, TimeoutSecs: time.Duration(c.Timeout).Seconds(), Mask: mask,
	}
	if c.ActionImage != "" {
		claim.ActionImage = &c.ActionImage
	}
	return claim
}
