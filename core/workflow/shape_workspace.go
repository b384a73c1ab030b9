package workflow

import (
	"strings"

	"github.com/google/jsonschema-go/jsonschema"
	"go.yaml.in/yaml/v3"

	"github.com/stroem/stroem/core"
)

// The sections of a workflow file.
const (
	sectionSecrets   = "secrets"
	sectionActions   = "actions"
	sectionTasks     = "tasks"
	sectionTriggers  = "triggers"
	sectionOnSuccess = "on_success"
	sectionOnError   = "on_error"
)

var workspaceKeys = []key[core.Workspace]{
	field(sectionSecrets, "Values for templates, as secret.<name>; masked in logs and answers.", secrets.ref("secrets"),
		func(w *core.Workspace) *map[string]any { return &w.Secrets }),
	field(sectionActions, "Pieces of work by name.", mapOf("actions", actionName, pointer(action)),
		func(w *core.Workspace) *map[string]*core.Action { return &w.Actions }),
	field(sectionTasks, "Flows of steps by name; a task can be run as a job.", mapOf("tasks", taskName, pointer(task).ref("task")),
		func(w *core.Workspace) *map[string]*core.Task { return &w.Tasks }),
	field(sectionTriggers, "What starts tasks, by name.", mapOf("triggers", triggerName, pointer(trigger)),
		func(w *core.Workspace) *map[string]*core.Trigger { return &w.Triggers }),
	field(sectionOnSuccess, "Hooks of all tasks that have none of their own.", hooks, func(w *core.Workspace) *[]core.Hook { return &w.OnSuccess }),
	field(sectionOnError, "Hooks of all tasks that have none of their own.", hooks, func(w *core.Workspace) *[]core.Hook { return &w.OnError }),
}

// extension is how top-level keys begin that are free for the user, for instance to hold anchors.
const extension = "x-"

// workspace reads what one file has to contribute.
func (r *reader) workspace(n *yaml.Node) core.Workspace {
	var ws core.Workspace
	pairs, ok := r.mapping(n, "a workflow file")
	if !ok {
		return ws
	}
	for _, unknown := range readKeys(r, n, "a workflow file", workspaceKeys, pairs, &ws) {
		switch {
		case strings.HasPrefix(unknown.name, extension):
		case r.inRoot:
			r.errorf(unknown.key, "unknown key '%s' in a workflow file%s; if this is none, put the workflow files into %s/, where nothing else is read",
				unknown.name, orKnown(unknown.name, keyNames(workspaceKeys)), Directory)
		default:
			r.unknownKey(unknown, "a workflow file", keyNames(workspaceKeys))
		}
	}
	return ws
}

// secrets are values of any type, whose keys at any depth can be used in templates.
var secrets = shape[map[string]any]{
	null: nullEmpty,
	schema: &jsonschema.Schema{
		Types:                []string{"object", "null"},
		PropertyNames:        &jsonschema.Schema{Pattern: secretName.pattern},
		AdditionalProperties: &jsonschema.Schema{Ref: "#/$defs/secret"},
	},
	read: func(r *reader, n *yaml.Node) map[string]any {
		if n.Kind != yaml.MappingNode {
			r.errorf(n, "secrets have to be a map, and are %s", kindName(n))
			return nil
		}
		value, _ := r.free(n, 0).(map[string]any)
		r.checkSecret(n, 0)
		return value
	},
}

// secretSchema is a secret, or a group of them.
var secretSchema = &jsonschema.Schema{AnyOf: []*jsonschema.Schema{
	{Types: []string{"number", "boolean", "null"}},
	{Type: "string", MinLength: new(1)},
	{Type: "array", Items: &jsonschema.Schema{Ref: "#/$defs/secret"}},
	{Type: "object", PropertyNames: &jsonschema.Schema{Pattern: secretName.pattern}, AdditionalProperties: &jsonschema.Schema{Ref: "#/$defs/secret"}},
}}

func (r *reader) checkSecret(n *yaml.Node, depth int) {
	if depth > maxNested || !r.within(n) {
		return // reported
	}
	switch n.Kind {
	case yaml.MappingNode:
		for i := 0; i+1 < len(n.Content); i += 2 {
			if key := resolve(n.Content[i]); key.Kind == yaml.ScalarNode && key.ShortTag() != "!!merge" {
				secretName.check(r, key)
			}
			r.checkSecret(resolve(n.Content[i+1]), depth+1)
		}
	case yaml.SequenceNode:
		for _, item := range n.Content {
			r.checkSecret(resolve(item), depth+1)
		}
	case yaml.ScalarNode:
		if n.Value == "" && n.ShortTag() == "!!str" {
			r.errorf(n, "a secret cannot be empty text: give it a value, or leave the key out")
		}
	}
}
