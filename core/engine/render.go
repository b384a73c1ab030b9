package engine

import (
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"time"

	"github.com/stroem/stroem/core"
	"github.com/stroem/stroem/core/api"
	"github.com/stroem/stroem/core/template"
	"github.com/stroem/stroem/core/workflow"
)

// render makes claimed steps ready to be run: their inputs with what other steps have put out, and their actions with
// these inputs. A step that cannot be rendered fails and is left out.
func (e *Engine) render(ctx context.Context, claimed []core.ClaimedStep) ([]api.Claim, error) {
	steps := make([]api.Claim, 0, len(claimed))
	inputs := map[core.StepID]json.RawMessage{}
	for i := range claimed {
		c := &claimed[i]
		rendered, err := e.renderStep(ctx, c)
		if core.ErrorCode(err) == core.CodeInvalid {
			if err := e.failUnstarted(ctx, c, err.Error()); err != nil {
				return nil, err
			}
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("render step %s of job %s: %w", c.Name, c.JobID, err)
		}
		if rendered.changed {
			inputs[c.ID] = rendered.claim.Input
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
}

// renderStep fails with core.CodeInvalid if the templates or the input are at fault, and otherwise if the database is.
func (e *Engine) renderStep(ctx context.Context, c *core.ClaimedStep) (renderedStep, error) {
	p, err := e.planOf(ctx, c.DefinitionHash)
	if err != nil {
		return renderedStep{}, err
	}
	step := p.byName[c.Name]
	if step == nil {
		return renderedStep{}, fmt.Errorf("the definition has no step %s", c.Name)
	}
	secrets := e.secrets(c.Workspace)
	r := renderedStep{claim: newClaimed(c, mask(secrets))}
	input := step.flow.Input
	if step.rendering.input.dynamic() {
		vars, err := e.stepContext(ctx, c, step, secrets)
		if err != nil {
			return renderedStep{}, err
		}
		value, err := step.rendering.input.render(ctx, vars)
		if err != nil {
			return renderedStep{}, core.Errorf(core.CodeInvalid, "", "Cannot render %s", err)
		}
		input, _ = value.(map[string]any)
		r.changed = true
	}
	if len(step.action.Input) > 0 {
		if input, err = e.checkActionInput(ctx, step.action, secrets, input); err != nil {
			return renderedStep{}, err
		}
		r.changed = true
	}
	if r.claim.Input, err = json.Marshal(orEmpty(input)); err != nil {
		return renderedStep{}, fmt.Errorf("encode input: %w", err)
	}
	if r.claim.Input, err = cleanJSON(r.claim.Input); err != nil {
		return renderedStep{}, fmt.Errorf("clean input: %w", err)
	}
	r.claim.ActionSpec, err = step.renderAction(ctx, template.Context{"input": orEmpty(input), "secret": secrets})
	return r, err
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

// stepContext is what a step's input can name: the job's input, the workspace's secrets, and for each completed step
// that it names an object with the step's output, if there is one.
func (e *Engine) stepContext(ctx context.Context, c *core.ClaimedStep, step *planStep, secrets map[string]any) (template.Context, error) {
	vars := template.Context{}
	if len(secrets) > 0 {
		vars["secret"] = secrets
	}
	input := map[string]any{}
	if len(c.JobInput) > 0 {
		if err := json.Unmarshal(c.JobInput, &input); err != nil {
			return nil, fmt.Errorf("decode job input: %w", err)
		}
	}
	vars["input"] = input
	if len(step.rendering.outputs) == 0 {
		return vars, nil
	}
	outputs, err := e.store.Outputs(ctx, c.JobID, step.rendering.outputs)
	if err != nil {
		return nil, err
	}
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

// minMask is the length from which a secret is masked: shorter ones would blacken innocent text.
const minMask = 4

// mask returns the strings at any depth of secrets that must not be shown.
func mask(secrets any) []string {
	var values []string
	switch v := secrets.(type) {
	case string:
		if len(v) >= minMask {
			values = append(values, v)
		}
	case map[string]any:
		for _, item := range v {
			values = append(values, mask(item)...)
		}
	case []any:
		for _, item := range v {
			values = append(values, mask(item)...)
		}
	}
	return values
}
