package workflow

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"maps"
	"slices"

	"github.com/stroem/stroem/core"
)

// Definition takes a task out of a workspace with all that it needs: the actions of its flow and hooks, the tasks that these
// run, and so on. It shares their values, which nothing changes after loading. Errors: not_found for the task, invalid for a
// step whose action does not exist. A hook whose action does not exist, and an action whose task does not, are left to fail
// when they are due.
func Definition(ws *core.Workspace, task string) (*core.Definition, error) {
	t := ws.Tasks[task]
	if t == nil {
		return nil, core.Errorf(core.CodeNotFound, "", "Task not found")
	}
	for _, name := range slices.Sorted(maps.Keys(t.Flow)) {
		if action := t.Flow[name].Action; ws.Actions[action] == nil {
			return nil, core.Errorf(core.CodeInvalid, "action_not_found",
				"Step '%s' uses the action '%s', which is not found", name, action)
		}
	}
	d := &core.Definition{Task: *t, Actions: map[string]*core.Action{}, Tasks: map[string]*core.Task{}}
	if len(t.OnSuccess) == 0 {
		d.OnSuccess = ws.OnSuccess
	}
	if len(t.OnError) == 0 {
		d.OnError = ws.OnError
	}
	gather(ws, d, t)
	for _, hook := range slices.Concat(d.OnSuccess, d.OnError) {
		gatherAction(ws, d, hook.Action)
	}
	return d, nil
}

func gather(ws *core.Workspace, d *core.Definition, t *core.Task) {
	for _, step := range t.Flow {
		gatherAction(ws, d, step.Action)
	}
	for _, hook := range slices.Concat(t.OnSuccess, t.OnError) {
		gatherAction(ws, d, hook.Action)
	}
}

func gatherAction(ws *core.Workspace, d *core.Definition, name string) {
	action := ws.Actions[name]
	if action == nil || d.Actions[name] != nil {
		return
	}
	d.Actions[name] = action
	if child := ws.Tasks[action.Task]; action.Type == core.TypeTask && child != nil && d.Tasks[action.Task] == nil {
		d.Tasks[action.Task] = child
		gather(ws, d, child)
	}
}

// Hash is the SHA-256 of a definition's canonical JSON, in which keys are sorted. It panics if the definition did not
// come from YAML or JSON and so cannot be encoded.
func Hash(definition *core.Definition) []byte {
	document, err := json.Marshal(definition)
	if err != nil {
		panic(fmt.Sprintf("workflow: hash definition: %v", err)) //nolint:forbidigo // the caller made it of what is no JSON
	}
	sum := sha256.Sum256(document)
	return sum[:]
}
