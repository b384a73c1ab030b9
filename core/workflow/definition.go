package workflow

import (
	"crypto/sha256"
	"encoding/json"

	"github.com/stroem/stroem/core"
)

// Definition is a snapshot of a task and of the actions that its flow names. Errors: not_found for an unknown task,
// invalid for an unknown action.
func Definition(ws *core.Workspace, task string) (*core.Definition, error) {
	t := ws.Tasks[task]
	if t == nil {
		return nil, core.Errorf(core.CodeNotFound, "", "Task not found")
	}
	definition := &core.Definition{Task: *t, Actions: map[string]*core.Action{}}
	for name, step := range t.Flow {
		action := ws.Actions[step.Action]
		if action == nil {
			return nil, core.Errorf(core.CodeInvalid, "action_not_found", "Step '%s' uses the action '%s', which is not found", name, step.Action)
		}
		definition.Actions[step.Action] = action
	}
	return definition, nil
}

// Hash is the SHA-256 of a definition's canonical JSON: equal content has an equal hash.
func Hash(definition *core.Definition) []byte {
	document, err := json.Marshal(definition) // the keys of maps come sorted
	if err != nil {
		panic("workflow: a definition holds only what came from YAML: " + err.Error())
	}
	sum := sha256.Sum256(document)
	return sum[:]
}
