package workflow

import (
	"encoding/json"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// SpecProblem is something that a plugin finds wrong, or doubtful, with the spec of an action.
type SpecProblem struct {
	Severity Severity
	Path     string // JSON Pointer to the value in the spec: "/headers/Accept"; "" is the whole
	Message  string // what is wrong and how to mend it
}

// askPlugin reports what the plugin of an action's type says of its spec, which the type's schema accepts.
func (r *reader) askPlugin(n *yaml.Node, key specKey, values map[string]any) {
	if r.checkSpec == nil || !strings.Contains(key.actionType, ".") {
		return
	}
	spec, err := json.Marshal(values)
	if err != nil {
		r.errorf(n, "this action has a value that JSON does not have: %s", err)
		return
	}
	for _, problem := range r.checkSpec(key.actionType, spec) {
		r.report(at(n, problem.Path), problem.Severity, "%s", problem.Message)
	}
}

// at finds the value that a JSON Pointer leads to, or what is nearest to it.
func at(n *yaml.Node, pointer string) *yaml.Node {
	for segment := range strings.SplitSeq(strings.TrimPrefix(pointer, "/"), "/") {
		below := partOf(n, strings.NewReplacer("~1", "/", "~0", "~").Replace(segment))
		if below == nil {
			break
		}
		n = below
	}
	return n
}

func partOf(n *yaml.Node, segment string) *yaml.Node {
	switch n.Kind {
	case yaml.MappingNode:
		for i := 0; i+1 < len(n.Content); i += 2 {
			if n.Content[i].Value == segment {
				return resolve(n.Content[i+1])
			}
		}
	case yaml.SequenceNode:
		if i, err := strconv.Atoi(segment); err == nil && i >= 0 && i < len(n.Content) {
			return resolve(n.Content[i])
		}
	}
	return nil
}
