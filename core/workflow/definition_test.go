package workflow_test

import (
	"encoding/hex"
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/stroem/stroem/core"
	"github.com/stroem/stroem/core/workflow"
)

func TestDefinition(t *testing.T) {
	t.Parallel()
	ws := &core.Workspace{
		Actions: map[string]*core.Action{
			"build":  {Type: "shell", Spec: map[string]any{"cmd": "make", "workdir": "src"}},
			"notify": {Type: "shell", Spec: map[string]any{"cmd": "true"}},
			"other":  {Type: "shell", Spec: map[string]any{"cmd": "true"}},
		},
		Tasks: map[string]*core.Task{
			"ci":     {Flow: map[string]core.FlowStep{"a": {Action: "build"}}, OnError: []core.Hook{{Action: "notify"}, {Action: "lib/x"}}},
			"broken": {Flow: map[string]core.FlowStep{"a": {Action: "lib/x"}}},
		},
	}
	definition, err := workflow.Definition(ws, "ci")
	require.NoError(t, err)
	require.Equal(t, map[string]*core.Action{"build": ws.Actions["build"], "notify": ws.Actions["notify"]}, definition.Actions)

	hash := workflow.Hash(definition)
	require.Len(t, hash, 32)
	document, err := json.Marshal(definition)
	require.NoError(t, err)
	var stored core.Definition
	require.NoError(t, json.Unmarshal(document, &stored))
	require.Equal(t, hex.EncodeToString(hash), hex.EncodeToString(workflow.Hash(&stored)), "survives storage")

	ws.Actions["build"].Spec["cmd"] = "make all"
	require.NotEqual(t, hash, workflow.Hash(definition))

	_, err = workflow.Definition(ws, "nope")
	require.Equal(t, core.CodeNotFound, core.ErrorCode(err))
	_, err = workflow.Definition(ws, "broken")
	require.EqualError(t, err, "Step 'a' uses the action 'lib/x', which is not found")
	require.Equal(t, core.CodeInvalid, core.ErrorCode(err))
}
