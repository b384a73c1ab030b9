package engine

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"sync"

	"github.com/stroem/stroem/core"
	"github.com/stroem/stroem/core/template"
	"github.com/stroem/stroem/core/workflow"
)

// plan is a task definition made ready to be run: its templates compiled, its steps in topological order.
type plan struct {
	definition *core.Definition
	hash       []byte
	body       json.RawMessage
	steps      []planStep
	byName     map[string]*planStep

	mu       sync.Mutex
	children map[string]*plan // of the tasks that its steps and hooks run, by task
	ofHooks  map[string]*plan // of the actions that its hooks run, by action
}

type planStep struct {
	name         string
	flow         core.FlowStep
	action       *core.Action
	spec         json.RawMessage // the action as written
	input        json.RawMessage // the step's input as written
	dependencies int             // how many steps it depends on
	dependants   []int           // indices of the steps that depend on this one
	rendering    rendering
}

// rendering is what has to be rendered before a step can be run.
type rendering struct {
	input   expr     // with the job's input, secrets and the outputs of other steps
	outputs []string // the steps whose outputs input names
	env     expr     // with the step's rendered input and secrets
	spec    expr
}

func newPlan(definition *core.Definition) (*plan, error) {
	body, err := json.Marshal(definition)
	if err != nil {
		return nil, fmt.Errorf("encode definition: %w", err)
	}
	order, err := workflow.Order(definition.Task.Flow)
	if err != nil {
		return nil, err
	}
	p := &plan{definition: definition, hash: workflow.Hash(definition), body: body, byName: map[string]*planStep{}}
	p.steps = make([]planStep, len(order))
	index, keys := make(map[string]int, len(order)), make(map[string]string, len(order))
	for i, name := range order {
		index[name], keys[template.StepKey(name)] = i, name
	}
	for i, name := range order {
		step, err := newPlanStep(name, definition, keys)
		if err != nil {
			return nil, err
		}
		p.steps[i], p.byName[name] = step, &p.steps[i]
		dependencies := slices.Compact(slices.Sorted(slices.Values(step.flow.DependsOn)))
		p.steps[i].dependencies = len(dependencies)
		for _, dependency := range dependencies {
			d := &p.steps[index[dependency]]
			d.dependants = append(d.dependants, i)
		}
	}
	return p, nil
}

// child returns the plan of a task that a step or a hook runs, as it was when the plan's own job was created.
func (p *plan) child(task string) (*plan, error) {
	return p.derived(&p.children, task, func() (*core.Definition, error) {
		definition, err := workflow.Definition(&core.Workspace{Actions: p.definition.Actions, Tasks: p.definition.Tasks}, task)
		if core.ErrorCode(err) == core.CodeNotFound {
			return nil, core.Errorf(core.CodeInvalid, "task_not_found", "task '%s' is not found", task)
		}
		return definition, err
	})
}

// hook returns the plan of the job of a hook.
func (p *plan) hook(action string) (*plan, error) {
	return p.derived(&p.ofHooks, action, func() (*core.Definition, error) {
		return &core.Definition{
			Task:    core.Task{Flow: map[string]core.FlowStep{hookStep: {Action: action}}},
			Actions: map[string]*core.Action{action: p.definition.Actions[action]}, Hook: true,
		}, nil
	})
}

func (p *plan) derived(into *map[string]*plan, name string, define func() (*core.Definition, error)) (*plan, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if known := (*into)[name]; known != nil {
		return known, nil
	}
	definition, err := define()
	if err != nil {
		return nil, err
	}
	made, err := newPlan(definition)
	if err != nil {
		return nil, err
	}
	if *into == nil {
		*into = map[string]*plan{}
	}
	(*into)[name] = made
	return made, nil
}

func newPlanStep(name string, definition *core.Definition, keys map[string]string) (planStep, error) {
	flow := definition.Task.Flow[name]
	step := planStep{name: name, flow: flow, action: definition.Actions[flow.Action]}
	if step.action == nil {
		return step, core.Errorf(core.CodeInvalid, "action_not_found", "Step '%s' uses the action '%s', which is not found", name, flow.Action)
	}
	var err error
	if step.spec, err = json.Marshal(step.action); err != nil {
		return step, fmt.Errorf("encode action: %w", err)
	}
	if step.input, err = json.Marshal(orEmpty(flow.Input)); err != nil {
		return step, fmt.Errorf("encode step input: %w", err)
	}
	for _, part := range []struct {
		where string
		value any
		into  *expr
	}{
		{"input", orEmpty(flow.Input), &step.rendering.input},
		{"env", stringMap(step.action.Env), &step.rendering.env},
		{"", orEmpty(step.action.Spec), &step.rendering.spec},
	} {
		if *part.into, err = compileExpr(part.where, part.value); err != nil {
			return step, core.Errorf(core.CodeInvalid, "template_invalid", "Step '%s': %s", name, err)
		}
	}
	for _, root := range step.rendering.input.roots() {
		if needed, ok := keys[root]; ok {
			step.rendering.outputs = append(step.rendering.outputs, needed)
		}
	}
	return step, nil
}

func orEmpty(m map[string]any) map[string]any {
	if m == nil {
		return map[string]any{}
	}
	return m
}

func stringMap(m map[string]string) map[string]any {
	values := make(map[string]any, len(m))
	for key, value := range m {
		values[key] = value
	}
	return values
}

// planCache keeps plans by content, for the jobs under way, and by task, for new ones.
type planCache struct {
	mu     sync.Mutex
	byHash map[string]*plan
	byTask map[taskKey]*plan
}

type taskKey struct {
	workspace *core.Workspace // changes with every revision
	name      string
}

// maxPlans bounds the cache; beyond that it starts afresh.
const maxPlans = 2_000

func (c *planCache) get(key taskKey, hash []byte) *plan {
	c.mu.Lock()
	defer c.mu.Unlock()
	if hash != nil {
		return c.byHash[string(hash)]
	}
	return c.byTask[key]
}

// put keeps a plan, and returns the one that is kept for its content.
func (c *planCache) put(key taskKey, p *plan) *plan {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.byHash == nil || len(c.byHash)+len(c.byTask) > maxPlans {
		c.byHash, c.byTask = map[string]*plan{}, map[taskKey]*plan{}
	}
	if same := c.byHash[string(p.hash)]; same != nil {
		p = same
	}
	c.byHash[string(p.hash)] = p
	if key.workspace != nil {
		c.byTask[key] = p
	}
	return p
}

// planFor returns the plan of a task as it stands in a workspace now.
func (e *Engine) planFor(workspace *core.Workspace, task string) (*plan, error) {
	key := taskKey{workspace, task}
	if p := e.plans.get(key, nil); p != nil {
		return p, nil
	}
	definition, err := workflow.Definition(workspace, task)
	if err != nil {
		return nil, err
	}
	p, err := newPlan(definition)
	if err != nil {
		return nil, err
	}
	return e.plans.put(key, p), nil
}

// planOf returns the plan with which a job was created.
func (e *Engine) planOf(ctx context.Context, hash []byte) (*plan, error) {
	if p := e.plans.get(taskKey{}, hash); p != nil {
		return p, nil
	}
	body, err := e.store.Definition(ctx, hash)
	if err != nil {
		return nil, err
	}
	var definition core.Definition
	if err := json.Unmarshal(body, &definition); err != nil {
		return nil, fmt.Errorf("decode task definition: %w", err)
	}
	p, err := newPlan(&definition)
	if err != nil {
		return nil, err
	}
	p.hash = hash // the database may have reordered the body
	return e.plans.put(taskKey{}, p), nil
}
