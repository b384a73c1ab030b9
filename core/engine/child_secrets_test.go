package engine_test

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/stroem/stroem/core"
	"github.com/stroem/stroem/core/engine"
	"github.com/stroem/stroem/core/seal"
)

func TestSecretsGoDownAndUp(t *testing.T) {
	t.Parallel()
	ws := nested()
	ws.Tasks["task"].Input = map[string]core.InputField{"token": {Type: "string", Secret: true}, "word": {Type: "string"}}
	ws.Tasks["task"].Flow["below"] = core.FlowStep{Action: "run", Input: map[string]any{"n": 1, "given": "{{ input.token }}", "pin": "{{ input.word }}"}}
	ws.Tasks["child"].Input["pin"] = core.InputField{Type: "string", Secret: true}
	ws.Tasks["task"].Flow["after"] = core.FlowStep{Action: "act", DependsOn: []string{"below"}, Input: map[string]any{"got": "{{ below.output.last }}"}}
	delete(ws.Tasks["task"].Flow, "before")
	b := newBundle(t, ws, engine.Config{Seal: seal.Generate()})
	w := b.worker(t, "w")
	id := b.execute(t, map[string]any{"token": "token of the job", "word": "pin of the child"})
	child := b.children(t, id)["below"]
	require.JSONEq(t, `{"n": 1, "given": "••••••", "pin": "••••••", "more": "by default"}`, string(child.Input))
	w.run("only")(`1`)
	last := w.claim(1)[0]
	require.ElementsMatch(t, []string{"token of the job", "pin of the child"}, last.Mask)
	w.start(last)
	w.report(succeed(last, `"token of the job, pin of the child"`))
	eventually(t, "the step has ended", func() bool {
		_, states := b.states(t, id)
		return states["below"] == core.StepCompleted
	})
	_, steps, err := b.store.GetJob(t.Context(), id)
	require.NoError(t, err)
	stored, err := json.Marshal(steps)
	require.NoError(t, err)
	require.NotContains(t, string(stored), "token of the job")
	require.NotContains(t, string(stored[len(stored)/2:]), `"token of the job, pin of the child"`)
	after := w.claim(1)[0]
	require.JSONEq(t, `{"got": "token of the job, pin of the child"}`, string(after.Input))
	require.Contains(t, after.Mask, "pin of the child", "what is secret below is secret above")
}
