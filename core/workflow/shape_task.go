package workflow

import (
	"cmp"
	"maps"
	"slices"

	"go.yaml.in/yaml/v3"

	"github.com/stroem/stroem/core"
	"github.com/stroem/stroem/core/template"
)

var taskKeys = []key[core.Task]{
	field("mode", "distributed or local; makes no difference.", oneOf("mode", "distributed", "local"), func(t *core.Task) *string { return &t.Mode }),
	field("folder", "Groups tasks in lists; / nests.", text, func(t *core.Task) *string { return &t.Folder }),
	field("timeout", "How long a job may run: 30s, 5m, 1h30m, or seconds.", duration.ref("duration"), func(t *core.Task) *core.Duration { return &t.Timeout }),
	field("input", "Inputs that the task takes.", mapOf("input", inputName, inputField.ref("input")),
		func(t *core.Task) *map[string]core.InputField { return &t.Input }),
	field("flow", "The steps by name.", flow, func(t *core.Task) *map[string]core.FlowStep { return &t.Flow }).required(),
	field("on_success", "Actions to run when a job has completed.", hooks, func(t *core.Task) *[]core.Hook { return &t.OnSuccess }),
	field("on_error", "Actions to run when a job has failed.", hooks, func(t *core.Task) *[]core.Hook { return &t.OnError }),
}

var task = object("a task", taskKeys...)

var stepKeys = []key[core.FlowStep]{
	field("action", "The action to run.", text, func(s *core.FlowStep) *string { return &s.Action }).required(),
	field("depends_on", "Steps that have to end before this one.", listOf("depends_on", text), func(s *core.FlowStep) *[]string { return &s.DependsOn }),
	field("input", "Values for the action. Text at any depth is a template over input, secret and the outputs of earlier steps.",
		freeMap("input"), func(s *core.FlowStep) *map[string]any { return &s.Input }),
	field("continue_on_failure", "Run even if a dependency has failed, and do not fail the job.", boolean,
		func(s *core.FlowStep) *bool { return &s.ContinueOnFailure }),
	field("timeout", "How long the step may run: 30s, 5m, 1h30m, or seconds.", duration.ref("duration"), func(s *core.FlowStep) *core.Duration { return &s.Timeout }),
}

var step = object("a step", stepKeys...)

// maxSteps is the largest flow.
const maxSteps = 10_000

var flow = func() shape[map[string]core.FlowStep] {
	s := checked(mapOf("flow", stepName, step.ref("step")), checkStepNames)
	schema := *s.schema
	schema.Types, schema.Type, schema.MinProperties = nil, "object", new(1)
	s.schema = &schema
	return s
}()

func checkStepNames(r *reader, n *yaml.Node, steps *map[string]core.FlowStep) {
	switch {
	case len(*steps) == 0:
		r.errorf(n, "the flow is empty: it needs at least one step")
	case len(*steps) > maxSteps:
		r.errorf(n, "the flow has %d steps, at most %d are allowed", len(*steps), maxSteps)
	}
	nodes := make(map[string]*yaml.Node, len(*steps))
	for i := 0; i+1 < len(n.Content); i += 2 {
		key := resolve(n.Content[i])
		nodes[key.Value] = key
	}
	keys := make(map[string]string, len(*steps))
	for _, name := range slices.Sorted(maps.Keys(*steps)) {
		at, key := cmp.Or(nodes[name], n), template.StepKey(name)
		switch other, taken := keys[key]; {
		case key == "input" || key == "secret" || key == "hook":
			r.errorf(at, "a step cannot be called '%s': templates use that name for something else", name)
		case template.IsKeyword(key):
			r.errorf(at, "a step cannot be called '%s': that is a keyword of templates", name)
		case taken:
			r.errorf(at, "the steps '%s' and '%s' have one name in templates, where - is _: rename one", other, name)
		}
		keys[key] = name
	}
}

var hook = object("a hook",
	field("action", "The action to run.", text, func(h *core.Hook) *string { return &h.Action }).required(),
	field("input", "Values for the action. Text at any depth is a template over hook and secret.", freeMap("input"),
		func(h *core.Hook) *map[string]any { return &h.Input }),
)

var hooks = listOf("this", hook.ref("hook"))
