package workflow

import (
	"slices"
	"strings"

	"github.com/google/jsonschema-go/jsonschema"
	"go.yaml.in/yaml/v3"

	"github.com/stroem/stroem/core"
)

// actionKeys are the keys that every action has; the others depend on its type.
var actionKeys = []key[core.Action]{
	field("type", "What runs the action: shell, docker, pod, task, or a plugin's vendor.name.", text,
		func(a *core.Action) *string { return &a.Type }).required(),
	field("runner", "Where a shell action runs: local (default), docker or pod.",
		oneOf("runner", core.RunnerLocal, core.RunnerDocker, core.RunnerPod),
		func(a *core.Action) *string { return &a.Runner }),
	field("task", "Type task only: the task to run as a child job.", text, func(a *core.Action) *string { return &a.Task }),
	field("tags", "Tags that a worker must have, besides that of the type.", listOf("tags", text),
		func(a *core.Action) *[]string { return &a.Tags }),
	field("env", "Environment variables; values are templates over input and secret.", mapOf("env", envName, text),
		func(a *core.Action) *map[string]string { return &a.Env }),
	field("input", "Inputs that the action takes; steps give them, scripts see them as INPUT_<NAME>.",
		mapOf("input", inputName, inputField.ref("input")), func(a *core.Action) *map[string]core.InputField { return &a.Input }),
	field("output", "Describes what the action puts out; documentation only.", freeMap("output"),
		func(a *core.Action) *map[string]any { return &a.Output }),
	field("workspace", "copy gives the action a writable copy of the workspace; otherwise it is shared and read-only.",
		oneOf("value for workspace", "copy"), func(a *core.Action) *string { return &a.Workspace }),
}

// action is a map whose keys depend on its type and runner.
var action = shape[core.Action]{
	null:   nullEmpty,
	schema: &jsonschema.Schema{Ref: "#/$defs/action"},
	read:   readAction,
}

func readAction(r *reader, n *yaml.Node) core.Action {
	var a core.Action
	pairs, ok := r.mapping(n, "an action")
	if !ok {
		return a
	}
	others := readKeys(r, n, "an action", actionKeys, pairs, &a)
	node := func(name string) *yaml.Node {
		if i := slices.IndexFunc(pairs, func(p pair) bool { return p.name == name }); i >= 0 {
			return pairs[i].value
		}
		return n
	}
	if a.Type == "" || !r.checkActionType(node("type"), a.Type) {
		return a // the other keys make no sense without a type
	}
	if a.Type != core.TypeShell && a.Runner != "" {
		r.errorf(node("runner"), "'runner' is for shell actions; %s has none", keyOf(&a))
	}
	switch {
	case a.Type == core.TypeTask && a.Task == "":
		r.errorf(n, "a task action needs 'task', the name of the task to run")
	case a.Type != core.TypeTask && a.Task != "":
		r.errorf(node("task"), "'task' is for actions of type task; %s has none", keyOf(&a))
	}
	a.Spec = r.spec(n, &a, others)
	for _, problem := range specProblems(&a) {
		r.report(node(problem.key), problem.severity, "%s", problem.message)
	}
	return a
}

// checkActionType tells whether the keys of the type can be judged.
func (r *reader) checkActionType(n *yaml.Node, actionType string) bool {
	known := slices.ContainsFunc(builtinKeys, func(k specKey) bool { return k.actionType == actionType }) ||
		r.specs[specKey{actionType, ""}] != nil
	switch {
	case known:
		return true
	case core.IsVendorType(actionType):
		r.warnf(n, "no plugin that is known here runs actions of type '%s': their steps wait until a worker offers it%s",
			actionType, DidYouMean(actionType, slices.Values(r.specs.types())))
		return true
	case strings.Contains(actionType, "."):
		r.errorf(n, "'%s' is not a valid action type: a plugin's type is like vendor.name, in lower case", actionType)
	default:
		r.errorf(n, "unknown action type '%s'%s", actionType, orKnown(actionType, r.specs.types()))
	}
	return false
}

type specProblem struct {
	key      string
	severity Severity
	message  string
}

// specProblems are the rules for built-in types that a schema cannot express.
func specProblems(a *core.Action) []specProblem {
	var problems []specProblem
	if a.Type == core.TypeShell {
		for _, key := range []string{"script", "workdir"} {
			if path, ok := a.Spec[key].(string); ok && leavesWorkspace(path) {
				problems = append(problems, specProblem{key, SeverityError, "'" + key + "' has to be a path inside the workspace, like scripts/build"})
			}
		}
		if a.Spec["command"] != nil {
			problems = append(problems, specProblem{"command", SeverityWarning, "'command' has no effect on shell actions; use cmd"})
		}
		if a.RunnerName() == core.RunnerLocal && a.Spec["resources"] != nil {
			problems = append(problems, specProblem{"resources", SeverityWarning, "'resources' has no effect on the worker's machine; use runner docker or pod"})
		}
	}
	if a.Type == core.TypeTask {
		if a.Spec["workdir"] != nil {
			problems = append(problems, specProblem{"workdir", SeverityWarning, "'workdir' has no effect on task actions"})
		}
		if a.Env != nil {
			problems = append(problems, specProblem{"env", SeverityWarning, "'env' has no effect on task actions; pass it as input"})
		}
	}
	return problems
}

// leavesWorkspace tells whether a path that is no template begins at the root or climbs out of where it starts.
func leavesWorkspace(path string) bool {
	if strings.HasPrefix(path, "/") {
		return true
	}
	depth := 0
	for part := range strings.SplitSeq(path, "/") {
		switch part {
		case "", ".":
		case "..":
			depth--
		default:
			depth++
		}
		if depth < 0 {
			return true
		}
	}
	return false
}
