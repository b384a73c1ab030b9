package workflow

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"maps"
	"slices"

	"github.com/stroem/stroem/core"
)

// Definition takes a task and the actions of its flow and hooks out of a workspace. It shares their values, which
// nothing changes after loading. Errors: not_found for the task, invalid for a step whose action does not exist.
// A hook whose action does not exist is left to fail when it fires.
func Definition(ws *core.Workspace, task string) (*core.Definition, error) {
	t := ws.Tasks[task]
	if t == nil {
		return nil, core.Errorf(core.CodeNotFound, "", "Task not found")
	}
	definition := &core.Definition{Task: *t, Actions: map[string]*core.Action{}}
	for _, name := range slices.Sorted(maps.Keys(t.Flow)) {
		action := t.Flow[name].Action
		if ws.Actions[action] == nil {
			return nil, core.Errorf(core.CodeInvalid, "action_not_found",
				"Step '%s' uses the action '%s', which is not found", name, action)
		}
		definition.Actions[action] = ws.Actions[action]
	}
	for _, hook := range slices.Concat(t.OnSuccess, t.OnError) {
		if action := ws.Actions[hook.Action]; action != nil {
			definition.Actions[hook.Action] = action
		}
	}
	return definition, nil
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
