//go:build unix

package engine_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/stroem/stroem/core"
	"github.com/stroem/stroem/core/api"
	"github.com/stroem/stroem/core/coretest"
	"github.com/stroem/stroem/core/engine"
)

// TestWhatValsBringsIsSecret has the filter vals at every place where there can be templates, in the job, below it and in its
// hook. Not parallel: PATH belongs to the process.
func TestWhatValsBringsIsSecret(t *testing.T) {
	filter := func(name string) string { return "{{ 'ref+x://" + name + "'|vals }}" }
	ws := flow(map[string]core.FlowStep{
		"a": {Input: map[string]any{"flow": filter("flow"), "job": "{{ input.job }}"}},
		"b": {Action: "below", Input: map[string]any{"down": filter("down")}},
		"c": {Action: "wrong", DependsOn: []string{"a"}},
	})
	ws.Tasks["task"].Input = map[string]core.InputField{"job": {Type: "string", Default: filter("job")}}
	ws.Tasks["task"].OnError = []core.Hook{{Action: "act", Input: map[string]any{"told": filter("told")}}}
	ws.Tasks["child"] = &core.Task{Flow: map[string]core.FlowStep{"s": {Action: "plain", Input: map[string]any{"down": "{{ input.down }}"}}}}
	ws.Actions["act"] = &core.Action{
		Type: "shell", Env: map[string]string{"E": filter("env")}, Spec: map[string]any{"cmd": "echo " + filter("cmd")},
		Input: map[string]core.InputField{"default": {Type: "string", Default: filter("default")}},
	}
	ws.Actions["plain"] = &core.Action{Type: "shell", Spec: map[string]any{"cmd": "true"}}
	ws.Actions["below"] = &core.Action{Type: core.TypeTask, Task: "child"}
	ws.Actions["wrong"] = &core.Action{
		Type: "shell", Spec: map[string]any{"cmd": "true"}, Input: map[string]core.InputField{"n": {Type: "integer", Default: filter("wrong")}},
	}
	b := newBundle(t, ws, engine.Config{})
	coretest.Programs(t, map[string]string{"vals": "exec sed 's|ref+x://|resolved-|g'\n"})
	w := b.worker(t, "w")
	id := b.execute(t, nil)
	masks := map[string][]string{}
	for len(masks) < 3 { // what is claimed may be c, which fails and is not handed out
		claims, err := b.Claim(t.Context(), w.id, api.ClaimRequest{MaxSteps: new(2), WaitSecs: new(5), Tags: []string{"shell"}}, alive)
		require.NoError(t, err)
		for _, claim := range claims.Steps {
			masks[claim.TaskName+" "+claim.StepName] = claim.Mask
			w.start(claim)
			require.Equal(t, []string{api.Accepted}, w.report(succeed(claim, `{"last":"`+claim.Mask[len(claim.Mask)-1]+`"}`)))
		}
	}
	require.ElementsMatch(t, []string{"resolved-job", "resolved-flow", "resolved-default", "resolved-env", "resolved-cmd"}, masks["task a"])
	require.ElementsMatch(t, []string{"resolved-job", "resolved-down"}, masks["child s"])
	require.Contains(t, masks["_hook:act hook"], "resolved-told")

	job, steps, err := b.store.GetJob(t.Context(), id)
	require.NoError(t, err)
	require.JSONEq(t, `{"job":"••••••"}`, string(job.Input))
	require.JSONEq(t, `{"flow":"••••••","job":"••••••","default":"••••••"}`, string(steps[0].Input))
	require.JSONEq(t, `{"last":"••••••"}`, string(steps[0].Output))
	require.JSONEq(t, `{"down":"••••••"}`, string(steps[1].Input))
	require.Contains(t, steps[2].ErrorMessage, `n has to be an integer, and is the string "••••••"`)
	require.NotContains(t, coretest.PlainColumns(t, b.url), "resolved-")

	ws.Tasks["task"].Input["n"] = core.InputField{Type: "integer", Default: filter("wrong")}
	_, err = b.Execute(t.Context(), engine.Execute{Workspace: "ws", Task: "task", Source: core.SourceAPI})
	require.ErrorContains(t, err, `n has to be an integer, and is the string "••••••"`)
}
