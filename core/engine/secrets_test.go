package engine_test

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/stroem/stroem/core"
	"github.com/stroem/stroem/core/api"
	"github.com/stroem/stroem/core/coretest"
	"github.com/stroem/stroem/core/engine"
	"github.com/stroem/stroem/core/mask"
	"github.com/stroem/stroem/core/seal"
)

// secretive is a task with secrets of every kind: the workspace's, the task's input, the input of an action.
func secretive() *core.Workspace {
	ws := flow(map[string]core.FlowStep{
		"first": {Action: "first", Input: map[string]any{"word": "{{ secret.word }}", "given": "{{ input.token }}"}},
		"second": {Action: "second", DependsOn: []string{"first"}, Input: map[string]any{
			"from": "{{ first.output.nested.token }} {{ first.output.word }}", "code": "{{ first.output.code }}",
		}},
	})
	ws.Secrets = map[string]any{"word": "open sesame", "list": []any{map[string]any{"pin": 482913}}}
	ws.Tasks["task"].Input = map[string]core.InputField{
		"token": {Type: "string", Secret: true, Required: true},
		"short": {Type: "string", Secret: true, Default: "x"},
		"flag":  {Type: "boolean", Secret: true},
		"free":  {Type: "string"},
	}
	ws.Actions["first"] = &core.Action{Type: "shell", Env: map[string]string{"A": "{{ input.word }} {{ input.given }}"}, Spec: map[string]any{"cmd": "true"}}
	ws.Actions["second"] = &core.Action{
		Type: "shell", Spec: map[string]any{"cmd": "echo {{ input.from }}"},
		Input: map[string]core.InputField{"code": {Type: "string", Secret: true}, "from": {Type: "string"}},
	}
	return ws
}

func TestSecretsAreSealed(t *testing.T) {
	t.Parallel()
	key := seal.Generate()
	b := newBundle(t, secretive(), engine.Config{Seal: key})
	w := b.worker(t, "w")
	id := b.execute(t, map[string]any{"token": "t0k3n-of-the-task", "flag": true, "free": "my t0k3n-of-the-task and open sesame"})
	job, _, err := b.store.GetJob(t.Context(), id)
	require.NoError(t, err)
	require.JSONEq(t, `{"token":"••••••","short":"••••••","flag":"••••••","free":"my •••••• and ••••••"}`, string(job.Input))

	first := w.claim(1)[0]
	require.Equal(t, []string{"482913", "open sesame", "t0k3n-of-the-task"}, first.Mask)
	require.JSONEq(t, `{"word":"open sesame","given":"t0k3n-of-the-task"}`, string(first.Input))
	require.Contains(t, string(first.ActionSpec), "open sesame t0k3n-of-the-task")
	w.start(first)
	w.saveState(first, "a container for open sesame")
	require.Equal(t, []string{api.Accepted}, w.report(succeed(first,
		`{"nested":{"token":"t0k3n-of-the-task"},"word":"open sesame","code":"c0de of the action","pin":482913,"n":1.50,"open sesame":"a\u0062 op\u0065n sesame"}`)))

	second := w.claim(1)[0]
	require.Equal(t, []string{"482913", "open sesame", "t0k3n-of-the-task", "c0de of the action"}, second.Mask)
	require.JSONEq(t, `{"from":"t0k3n-of-the-task open sesame","code":"c0de of the action"}`, string(second.Input))
	require.Contains(t, string(second.ActionSpec), "echo t0k3n-of-the-task open sesame")
	w.start(second)
	failed := fail(second)
	failed.Error = "Exit code: 1\nStderr: no c0de of the action, no b3BlbiBzZXNhbWU=, no t0k3n-of-the-task"
	require.Equal(t, []string{api.Accepted}, w.report(failed))

	job, steps, err := b.store.GetJob(t.Context(), id)
	require.NoError(t, err)
	require.Equal(t, core.JobFailed, job.Status)
	require.JSONEq(t, `{"word":"••••••","given":"••••••"}`, string(steps[0].Input))
	require.JSONEq(t, `{"nested":{"token":"••••••"},"word":"••••••","code":"c0de of the action","pin":"••••••","n":1.50,"••••••":"ab ••••••"}`,
		string(steps[0].Output), "what an action declares is secret from the step on that is given it")
	require.JSONEq(t, `{"from":"•••••• ••••••","code":"••••••"}`, string(steps[1].Input))
	require.Equal(t, "Exit code: 1\nStderr: no ••••••, no ••••••, no ••••••", steps[1].ErrorMessage)
	require.Equal(t, "•••••• •••••• ••••••", b.MaskerOf(t.Context(), &job).String("c0de of the action t0k3n-of-the-task open sesame"))
	rows := coretest.PlainColumns(t, b.url)
	require.NotContains(t, rows, "open sesame")
	require.NotContains(t, rows, "t0k3n")
	require.NotContains(t, rows, "482913")
	require.Contains(t, rows, "1.50", "the rows are looked at")
}

// TestSecretsOfAnotherReplica has one replica hand out a step and another take its report.
func TestSecretsOfAnotherReplica(t *testing.T) {
	t.Parallel()
	key := seal.Generate()
	b := newBundle(t, secretive(), engine.Config{Seal: key})
	w := b.worker(t, "w")
	id := b.execute(t, map[string]any{"token": "t0k3n-of-the-task"})
	first := w.claim(1)[0]
	w.start(first)
	other := b.run(t, engine.Config{Seal: key})
	elsewhere := &worker{t, other, w.id}
	masker, err := other.JobMasker(t.Context(), id)
	require.NoError(t, err)
	require.Equal(t, "•••••• ••••••", masker.String("open sesame t0k3n-of-the-task"))
	done := succeed(first, `{"nested":{"token":"t0k3n-of-the-task"},"word":"v4lue of the worker","code":"c0de"}`)
	done.Mask = []string{"v4lue of the worker"}
	require.Equal(t, []string{api.Accepted}, elsewhere.report(done))
	second := w.claim(1)[0]
	require.Equal(t, []string{"482913", "open sesame", "t0k3n-of-the-task", "v4lue of the worker", "c0de"}, second.Mask)
	require.JSONEq(t, `{"from":"t0k3n-of-the-task v4lue of the worker","code":"c0de"}`, string(second.Input))
	rows := coretest.PlainColumns(t, b.url)
	require.NotContains(t, rows, "t0k3n")
	require.NotContains(t, rows, "v4lue")

	masker, err = other.JobMasker(t.Context(), uuid.New())
	require.NoError(t, err)
	require.True(t, masker.Empty())
}

// TestOthersAddNoSecrets reports with a lease that is wrong.
func TestOthersAddNoSecrets(t *testing.T) {
	t.Parallel()
	b := newBundle(t, flow(map[string]core.FlowStep{"a": {}}), engine.Config{})
	w := b.worker(t, "w")
	id := b.execute(t, nil)
	step := w.claim(1)[0]
	wrong := succeed(step, `"x"`)
	wrong.Lease, wrong.Mask = "wrong", []string{"everything"}
	require.Equal(t, []string{api.Invalid}, w.report(wrong))
	masker, err := b.JobMasker(t.Context(), id)
	require.NoError(t, err)
	require.True(t, masker.Empty())
}

func TestSecretsThatWereReplaced(t *testing.T) {
	t.Parallel()
	b := newBundle(t, secretive(), engine.Config{})
	w := b.worker(t, "w")
	id := b.execute(t, map[string]any{"token": "t0k3n-of-the-task"})
	first := w.claim(1)[0]
	b.reload(func(ws *core.Workspace) { ws.Secrets = map[string]any{"word": "open wheat"} })
	w.start(first)
	w.report(succeed(first, `{"nested":{"token":"open sesame"},"word":"open wheat","code":""}`))
	_, steps, err := b.store.GetJob(t.Context(), id)
	require.NoError(t, err)
	require.JSONEq(t, `{"nested":{"token":"••••••"},"word":"••••••","code":""}`, string(steps[0].Output))
	require.Equal(t, "••••••", b.WorkspaceMasker("ws").String("open wheat"))
}

// TestWithoutTheWorkspace reports while it is not known what is secret.
func TestWithoutTheWorkspace(t *testing.T) {
	t.Parallel()
	key := seal.Generate()
	b := newBundle(t, secretive(), engine.Config{Seal: key})
	w := b.worker(t, "w")
	id := b.execute(t, map[string]any{"token": "t0k3n-of-the-task"})
	first := w.claim(1)[0]
	w.start(first)
	done := succeed(first, `{"word":"open sesame"}`)
	broken := &missing{bundle: b}
	restarted := engine.New(b.store, broken, slog.New(slog.DiscardHandler), engine.Config{Seal: key})
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		restarted.Run(ctx)
	}()
	t.Cleanup(func() {
		cancel()
		<-ended
	})
	// It is being loaded: the worker asks again.
	broken.err = core.Errorf(core.CodeUnavailable, "workspace_unavailable", "it is being loaded")
	_, err := restarted.Complete(t.Context(), w.id, api.CompleteRequest{Completions: []api.Completion{done}})
	require.Equal(t, core.CodeUnavailable, core.ErrorCode(err))
	// It is not there any more: nothing is shown.
	broken.err = core.Errorf(core.CodeNotFound, "", "no such workspace")
	response, err := restarted.Complete(t.Context(), w.id, api.CompleteRequest{Completions: []api.Completion{done}})
	require.NoError(t, err)
	require.Equal(t, []string{api.Accepted}, statuses(response.Results))
	_, steps, err := b.store.GetJob(t.Context(), id)
	require.NoError(t, err)
	require.JSONEq(t, `"••••••"`, string(steps[0].Output))
	outputs, err := b.store.Outputs(t.Context(), id, []string{"first"})
	require.NoError(t, err)
	opened, err := key.Open(outputs["first"].Sealed, "job_step.output_sealed", fmt.Sprint(steps[0].ID))
	require.NoError(t, err)
	require.JSONEq(t, `{"word":"open sesame"}`, string(opened))
}

type missing struct {
	*bundle
	err error
}

func (m *missing) Workspace(string) (*core.Workspace, string, error) { return nil, "", m.err }

// TestKeyIsLost goes on with jobs whose sealed values nobody can open any more.
func TestKeyIsLost(t *testing.T) {
	t.Parallel()
	b := newBundle(t, secretive(), engine.Config{})
	before := b.worker(t, "before")
	running := b.execute(t, map[string]any{"token": "t0k3n-of-the-task"})
	step := before.claim(1)[0]
	before.start(step)
	id := b.execute(t, map[string]any{"token": "t0k3n-of-the-task"})
	b.stop()
	e := b.run(t, engine.Config{})
	before.e = e
	before.saveState(step, "of t0k3n-of-the-task")
	require.Equal(t, []string{api.Accepted}, before.report(succeed(step, `"t0k3n-of-the-task"`)))
	job, steps, err := b.store.GetJob(t.Context(), running)
	require.NoError(t, err)
	require.JSONEq(t, `"••••••"`, string(steps[0].Output), "not all that is secret is known")
	require.Equal(t, "••••••", e.MaskerOf(t.Context(), &job).String("open sesame"))
	require.NotContains(t, coretest.PlainColumns(t, b.url), "t0k3n")
	w := (&bundle{Engine: e, store: b.store}).worker(t, "w")
	eventually(t, "the step is claimed, and fails", func() bool {
		require.Empty(t, w.claim(1))
		status, _ := b.states(t, id)
		return status == core.JobFailed
	})
	_, steps, err = b.store.GetJob(t.Context(), id)
	require.NoError(t, err)
	require.Contains(t, steps[0].ErrorMessage, "which this server does not have")
}

func TestIdempotencyWithSecrets(t *testing.T) {
	t.Parallel()
	b := newBundle(t, secretive(), engine.Config{})
	x := engine.Execute{
		Workspace: "ws", Task: "task", Input: map[string]any{"token": "t0k3n-of-the-task"}, Source: core.SourceAPI,
		IdempotencyKey: "once for t0k3n-of-the-task",
	}
	id, err := b.Execute(t.Context(), x)
	require.NoError(t, err)
	again, err := b.Execute(t.Context(), x)
	require.NoError(t, err)
	require.Equal(t, id, again)
	x.Input = map[string]any{"token": "t0k3n-of-another"}
	_, err = b.Execute(t.Context(), x)
	require.Equal(t, core.CodeConflict, core.ErrorCode(err))
	require.NotContains(t, coretest.PlainColumns(t, b.url), "t0k3n")
}

func TestMarksAreNoValues(t *testing.T) {
	t.Parallel()
	b := newBundle(t, secretive(), engine.Config{})
	_, err := b.Execute(t.Context(), engine.Execute{Workspace: "ws", Task: "task", Input: map[string]any{"token": mask.Mark}, Source: core.SourceAPI})
	require.ErrorContains(t, err, "token is required")
	given := map[string]any{"token": "t0k3n-of-the-task", "short": mask.Mark}
	id, err := b.Execute(t.Context(), engine.Execute{Workspace: "ws", Task: "task", Input: given, Source: core.SourceAPI})
	require.NoError(t, err)
	require.Equal(t, mask.Mark, given["short"], "the caller's map stays as it is")
	job, _, err := b.store.GetJob(t.Context(), id)
	require.NoError(t, err)
	require.NotEmpty(t, job.Input)
}

func TestErrorsShowNoSecrets(t *testing.T) {
	t.Parallel()
	ws := flow(map[string]core.FlowStep{"a": {Input: map[string]any{"n": "{{ secret.word }}", "s": "{{ secret.word }}"}}})
	ws.Secrets = map[string]any{"word": "open sesame"}
	ws.Tasks["task"].Input = map[string]core.InputField{
		"n": {Type: "integer", Default: "{{ secret.word }}"}, "s": {Type: "integer", Secret: true, Default: "not shown"},
	}
	ws.Actions["act"].Input = map[string]core.InputField{"n": {Type: "integer"}, "s": {Type: "integer", Secret: true}}
	b := newBundle(t, ws, engine.Config{})
	_, err := b.Execute(t.Context(), engine.Execute{Workspace: "ws", Task: "task", Source: core.SourceAPI})
	require.ErrorContains(t, err, "n has to be an integer, and is the string \"••••••\"")
	require.ErrorContains(t, err, "s has to be an integer (it is secret and not shown)")
	require.NotContains(t, err.Error(), "not shown\"")
	id := b.execute(t, map[string]any{"n": 1, "s": 2})
	require.Empty(t, b.worker(t, "w").claim(1))
	_, steps, err := b.store.GetJob(t.Context(), id)
	require.NoError(t, err)
	require.Contains(t, steps[0].ErrorMessage, "n has to be an integer, and is the string \"••••••\"")
	require.NotContains(t, coretest.PlainColumns(t, b.url), "open sesame")
}

// TestStateWithSecretsIsFoundAgain hands a step over whose runner put a secret into its state.
func TestStateWithSecretsIsFoundAgain(t *testing.T) {
	t.Parallel()
	b, w, _ := one(t, engine.Config{StartLimit: time.Hour})
	b.reload(func(ws *core.Workspace) { ws.Secrets = map[string]any{"token": "very secret"} })
	step := w.claim(1)[0]
	w.start(step)
	w.saveState(step, "container \xff very secret")
	require.NotContains(t, coretest.PlainColumns(t, b.url), "very secret")
	_, registered := w.restart(true)
	require.Len(t, registered.Resume, 1)
	require.Equal(t, "container \xff very secret", string(registered.Resume[0].State))
}

// TestNothingIsSealedWithoutSecrets looks at what is stored when there are none.
func TestNothingIsSealedWithoutSecrets(t *testing.T) {
	t.Parallel()
	b := newBundle(t, flow(map[string]core.FlowStep{"a": {Input: map[string]any{"x": "{{ input.x }}"}}}), engine.Config{})
	w := b.worker(t, "w")
	id := b.execute(t, map[string]any{"x": "plain"})
	step := w.claim(1)[0]
	require.Empty(t, step.Mask)
	w.start(step)
	w.report(succeed(step, `{"y": "pl\u0061in"}`))
	conn, err := pgx.Connect(t.Context(), b.url)
	require.NoError(t, err)
	defer func() { require.NoError(t, conn.Close(context.WithoutCancel(t.Context()))) }()
	var sealed int
	require.NoError(t, conn.QueryRow(t.Context(), `select num_nonnulls(j.input_sealed, j.mask_sealed, s.input_sealed, s.output_sealed, s.runner_state_sealed)
		from job j join job_step s using (job_id) where job_id = $1`, id).Scan(&sealed))
	require.Zero(t, sealed)
	_, steps, err := b.store.GetJob(t.Context(), id)
	require.NoError(t, err)
	require.JSONEq(t, `{"y":"plain"}`, string(steps[0].Output))
	require.True(t, json.Valid(steps[0].Input))
}

// TestWorkersTellOfSecrets looks at what a worker says with the state of a run.
func TestWorkersTellOfSecrets(t *testing.T) {
	t.Parallel()
	key := seal.Generate()
	b := newBundle(t, flow(map[string]core.FlowStep{"a": {}}), engine.Config{Seal: key})
	w := b.worker(t, "w")
	id := b.execute(t, nil)
	step := w.claim(1)[0]
	w.start(step)
	_, err := b.SaveState(t.Context(), w.id, api.StartRequest{Steps: []api.StepLease{
		{StepID: step.StepID, Lease: step.Lease, State: []byte("run of v4lue"), Mask: []string{"v4lue"}},
		{StepID: step.StepID, Lease: "wrong", Mask: []string{"everything"}},
	}})
	require.NoError(t, err)
	require.NotContains(t, coretest.PlainColumns(t, b.url), "v4lue")
	for _, e := range []*engine.Engine{b.Engine, b.run(t, engine.Config{Seal: key})} {
		masker, err := e.JobMasker(t.Context(), id)
		require.NoError(t, err)
		require.Equal(t, "•••••• everything", masker.String("v4lue everything"))
	}
}
