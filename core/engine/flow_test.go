package engine_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/stroem/stroem/core"
	"github.com/stroem/stroem/core/api"
	"github.com/stroem/stroem/core/engine"
)

func TestFlows(t *testing.T) {
	t.Parallel()
	after := func(steps ...string) core.FlowStep { return core.FlowStep{DependsOn: steps} }
	flagged := func(steps ...string) core.FlowStep {
		return core.FlowStep{DependsOn: steps, ContinueOnFailure: true}
	}
	for _, tc := range []struct {
		name    string
		flow    map[string]core.FlowStep
		failing []string
		order   []string
		job     core.JobStatus
		states  map[string]core.StepStatus
	}{
		{
			name: "linear", flow: map[string]core.FlowStep{"a": after(), "b": after("a"), "c": after("b")},
			order: []string{"a", "b", "c"}, job: core.JobCompleted,
			states: map[string]core.StepStatus{"a": "completed", "b": "completed", "c": "completed"},
		},
		{
			name: "diamond", flow: map[string]core.FlowStep{"a": after(), "b": after("a"), "c": after("a"), "d": after("b", "c")},
			order: []string{"a", "b", "c", "d"}, job: core.JobCompleted,
			states: map[string]core.StepStatus{"a": "completed", "b": "completed", "c": "completed", "d": "completed"},
		},
		{
			name: "a failure skips all that depends on it", flow: map[string]core.FlowStep{"a": after(), "b": after("a"), "c": after("b"), "other": after()},
			failing: []string{"a"}, order: []string{"a", "other"}, job: core.JobFailed,
			states: map[string]core.StepStatus{"a": "failed", "b": "skipped", "c": "skipped", "other": "completed"},
		},
		{
			name: "a flagged step runs behind a skipped one", flow: map[string]core.FlowStep{"a": after(), "b": after("a"), "c": flagged("b")},
			failing: []string{"a"}, order: []string{"a", "c"}, job: core.JobFailed,
			states: map[string]core.StepStatus{"a": "failed", "b": "skipped", "c": "completed"},
		},
		{
			name: "a tolerated failure", flow: map[string]core.FlowStep{"a": flagged(), "b": after("a")},
			failing: []string{"a"}, order: []string{"a"}, job: core.JobCompleted,
			states: map[string]core.StepStatus{"a": "failed", "b": "skipped"},
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			b := newBundle(t, flow(tc.flow), engine.Config{})
			id := b.execute(t, nil)
			require.Equal(t, tc.order, b.worker(t, "w").work(tc.failing...))
			job, states := b.states(t, id)
			require.Equal(t, tc.job, job)
			require.Equal(t, tc.states, states)
			require.Equal(t, tc.job, b.awaitEnd(t, id))
		})
	}
}

func TestOutputReachesTheNextStepAndTheJob(t *testing.T) {
	t.Parallel()
	ws := flow(map[string]core.FlowStep{
		"make-it": {},
		"use": {DependsOn: []string{"make-it"}, Action: "use", Input: map[string]any{
			"text": "{{ make_it.output.greeting }} {{ input.name }} {{ secret.word }}", "n": "{{ make_it.output.n }}", "plain": 7,
			"deep": map[string]any{"list": []any{"{{ input.name }}"}},
		}},
		"silent": {DependsOn: []string{"make-it"}},
	})
	ws.Secrets = map[string]any{"word": "sesame"}
	ws.Tasks["task"].Input = map[string]core.InputField{"name": {Type: "string", Default: "you"}}
	ws.Actions["use"] = &core.Action{
		Type: "shell", Env: map[string]string{"GREETING": "{{ input.text | upper }}"},
		Spec: map[string]any{"cmd": "echo"}, Input: map[string]core.InputField{"n": {Type: "integer"}, "extra": {Type: "string", Default: "d"}},
	}
	b := newBundle(t, ws, engine.Config{})
	id := b.execute(t, nil)
	w := b.worker(t, "w")
	first := w.claim(10)
	require.Len(t, first, 1)
	require.Equal(t, []string{"sesame"}, first[0].Mask)
	w.start(first...)
	require.Equal(t, []string{api.Accepted}, w.report(succeed(first[0], `{"greeting": "hello", "n": 3}`)))
	second := w.claim(10)
	require.Len(t, second, 2)
	use := second[1]
	require.Equal(t, "use", use.StepName)
	require.JSONEq(t, `{"text":"hello you sesame","n":3,"plain":7,"deep":{"list":["you"]},"extra":"d"}`, string(use.Input))
	require.Contains(t, string(use.ActionSpec), `"GREETING":"HELLO YOU SESAME"`)
	w.start(second...)
	w.report(succeed(second[0], ""), succeed(use, `"done"`))
	job, steps, err := b.store.GetJob(t.Context(), id)
	require.NoError(t, err)
	require.Equal(t, core.JobCompleted, job.Status)
	require.JSONEq(t, `{"use":"done"}`, string(job.Output), "the outputs of the steps that nothing depends on")
	require.Equal(t, []string{"make-it"}, steps[1].DependsOn)
}

func TestAStepThatCannotBeRenderedFails(t *testing.T) {
	t.Parallel()
	b := newBundle(t, flow(map[string]core.FlowStep{
		"a": {Input: map[string]any{"x": "{{ nobody.output.x }}"}}, "b": {DependsOn: []string{"a"}}, "c": {},
	}), engine.Config{})
	id := b.execute(t, nil)
	w := b.worker(t, "w")
	require.Equal(t, []string{"c"}, w.work())
	job, states := b.states(t, id)
	require.Equal(t, core.JobFailed, job)
	require.Equal(t, map[string]core.StepStatus{"a": "failed", "b": "skipped", "c": "completed"}, states)
	_, steps, err := b.store.GetJob(t.Context(), id)
	require.NoError(t, err)
	require.Contains(t, steps[0].ErrorMessage, "input.x")
	require.Contains(t, steps[0].ErrorMessage, "nobody")
}

func TestAJobKeepsTheDefinitionThatItWasCreatedWith(t *testing.T) {
	t.Parallel()
	b := newBundle(t, flow(map[string]core.FlowStep{"a": {}, "b": {DependsOn: []string{"a"}, Input: map[string]any{"v": "old"}}}), engine.Config{})
	id := b.execute(t, nil)
	b.mu.Lock()
	b.workspace, b.revision = flow(map[string]core.FlowStep{"x": {}}), "r2"
	b.mu.Unlock()
	w := b.worker(t, "w")
	require.Equal(t, []string{"a", "b"}, w.work())
	job, _, err := b.store.GetJob(t.Context(), id)
	require.NoError(t, err)
	require.Equal(t, "r1", job.Revision)
	b.execute(t, nil)
	require.Equal(t, []string{"x"}, w.work())
}

func TestExecuteRefusesWhatCannotRun(t *testing.T) {
	t.Parallel()
	ws := flow(map[string]core.FlowStep{"a": {}})
	ws.Tasks["task"].Input = map[string]core.InputField{"n": {Type: "integer", Required: true}, "mode": {Type: "string", Enum: []any{"x", "y"}}}
	ws.Tasks["broken"] = &core.Task{Flow: map[string]core.FlowStep{"a": {Action: "nowhere"}}}
	b := newBundle(t, ws, engine.Config{})
	for _, tc := range []struct {
		workspace, task string
		input           map[string]any
		code            core.Code
		message         string
	}{
		{"nope", "task", nil, core.CodeNotFound, "Workspace 'nope' not found"},
		{"ws", "nope", nil, core.CodeNotFound, "Task not found"},
		{"ws", "broken", nil, core.CodeInvalid, "'nowhere', which is not found"},
		{"ws", "task", nil, core.CodeInvalid, "n is required"},
		{"ws", "task", map[string]any{"n": "1", "mode": "z"}, core.CodeInvalid, `mode has to be one of "x","y"; n has to be an integer, and is the string "1"`},
	} {
		_, err := b.Execute(t.Context(), engine.Execute{Workspace: tc.workspace, Task: tc.task, Input: tc.input, Source: core.SourceAPI})
		require.Equal(t, tc.code, core.ErrorCode(err), "%v", err)
		require.ErrorContains(t, err, tc.message)
	}
	_, total, err := b.store.ListJobs(t.Context(), core.JobFilter{Limit: 1})
	require.NoError(t, err)
	require.Zero(t, total, "nothing is stored")
}

func TestIdempotencyKey(t *testing.T) {
	t.Parallel()
	b := newBundle(t, flow(map[string]core.FlowStep{"a": {}}), engine.Config{})
	x := engine.Execute{Workspace: "ws", Task: "task", Source: core.SourceAPI, IdempotencyKey: "k", Input: map[string]any{"v": 1, "w": 2}}
	first, err := b.Execute(t.Context(), x)
	require.NoError(t, err)
	again, err := b.Execute(t.Context(), x)
	require.NoError(t, err)
	require.Equal(t, first, again)
	x.Input = map[string]any{"v": 2}
	_, err = b.Execute(t.Context(), x)
	require.ErrorContains(t, err, "another input")
	require.Len(t, b.worker(t, "w").claim(5), 1)
}
