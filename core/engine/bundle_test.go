package engine_test

import (
	"context"
	"encoding/json"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/stroem/stroem/core"
	"github.com/stroem/stroem/core/api"
	"github.com/stroem/stroem/core/coretest"
	"github.com/stroem/stroem/core/engine"
	"github.com/stroem/stroem/core/postgres"
)

// bundle is an engine that runs on a database schema of its own.
type bundle struct {
	*engine.Engine
	store *postgres.Store
	url   string
	stop  func() // ends the engine that was started last

	mu        sync.Mutex
	workspace *core.Workspace
	revision  string
}

func (b *bundle) Workspace(name string) (*core.Workspace, string, error) {
	if name != "ws" {
		return nil, "", core.Errorf(core.CodeNotFound, "", "Workspace '%s' not found", name)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.workspace == nil {
		return nil, "", core.Errorf(core.CodeUnavailable, "workspace_unavailable", "Workspace '%s' cannot be used: it is being loaded", name)
	}
	return b.workspace, b.revision, nil
}

// reload changes the workspace as a new revision does.
func (b *bundle) reload(change func(ws *core.Workspace)) {
	b.mu.Lock()
	defer b.mu.Unlock()
	fresh := *b.workspace
	change(&fresh)
	b.workspace = &fresh
}

func newBundle(t *testing.T, workspace *core.Workspace, config engine.Config) *bundle {
	t.Helper()
	store, url := coretest.Store(t)
	b := &bundle{store: store, url: url, workspace: workspace, revision: "r1"}
	b.Engine = b.run(t, config)
	return b
}

// run starts one more engine on the same database: another replica.
func (b *bundle) run(t *testing.T, config engine.Config) *engine.Engine {
	t.Helper()
	return b.runOn(t, b.store, config)
}

func (b *bundle) runOn(t *testing.T, store engine.Store, config engine.Config) *engine.Engine {
	t.Helper()
	e := engine.New(store, b, slog.New(slog.NewTextHandler(t.Output(), nil)), config)
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	done := make(chan struct{})
	go func() {
		defer close(done)
		e.Run(ctx)
	}()
	b.stop = func() {
		cancel()
		await(t, "the engine has stopped", done)
	}
	t.Cleanup(b.stop)
	return e
}

// flow makes a workspace with one task, named task, from steps.
func flow(steps map[string]core.FlowStep) *core.Workspace {
	ws := &core.Workspace{Digest: "0123abcd", Actions: map[string]*core.Action{}, Tasks: map[string]*core.Task{"task": {Flow: steps}}}
	for name, step := range steps {
		if step.Action == "" {
			step.Action = "act"
			steps[name] = step
		}
	}
	ws.Actions["act"] = &core.Action{Type: "shell", Spec: map[string]any{"cmd": "true"}}
	return ws
}

func (b *bundle) execute(t *testing.T, input map[string]any) uuid.UUID {
	t.Helper()
	id, err := b.Execute(t.Context(), engine.Execute{Workspace: "ws", Task: "task", Input: input, Source: core.SourceAPI})
	require.NoError(t, err)
	return id
}

// worker drives the engine as a worker process does.
type worker struct {
	t  *testing.T
	e  *engine.Engine
	id uuid.UUID
}

func (b *bundle) worker(t *testing.T, name string, tags ...string) *worker {
	t.Helper()
	if len(tags) == 0 {
		tags = []string{"shell"}
	}
	registered, err := b.Register(t.Context(), engine.DefaultToken, api.Register{Name: name, Tags: tags, Protocol: api.Protocol})
	require.NoError(t, err)
	id, err := b.AuthenticateWorker(t.Context(), registered.Token)
	require.NoError(t, err)
	require.Equal(t, registered.WorkerID, id.String())
	return &worker{t, b.Engine, id}
}

func alive() bool { return true }

// claim takes up to n steps that are ready now.
func (w *worker) claim(n int) []api.Claim {
	w.t.Helper()
	response, err := w.e.Claim(limited(w.t), w.id, api.ClaimRequest{MaxSteps: &n, WaitSecs: new(0), Tags: []string{"shell"}}, alive)
	require.NoError(w.t, err)
	slices.SortFunc(response.Steps, func(a, b api.Claim) int { return int(a.StepID - b.StepID) })
	return response.Steps
}

func (w *worker) start(steps ...api.Claim) []string {
	w.t.Helper()
	var request api.StartRequest
	for _, step := range steps {
		request.Steps = append(request.Steps, api.StepLease{StepID: step.StepID, Lease: step.Lease})
	}
	results, err := w.e.Start(limited(w.t), w.id, request)
	require.NoError(w.t, err)
	return statuses(results.Results)
}

func (w *worker) report(completions ...api.Completion) []string {
	w.t.Helper()
	response, err := w.e.Complete(limited(w.t), w.id, api.CompleteRequest{Completions: completions})
	require.NoError(w.t, err)
	return statuses(response.Results)
}

func statuses(results []api.StepResult) []string {
	list := make([]string, len(results))
	for i, r := range results {
		list[i] = r.Status
	}
	return list
}

func succeed(step api.Claim, output string) api.Completion {
	return api.Completion{StepID: step.StepID, Lease: step.Lease, ExitCode: new(0), Output: json.RawMessage(output)}
}

func fail(step api.Claim) api.Completion {
	return api.Completion{StepID: step.StepID, Lease: step.Lease, ExitCode: new(1), Error: "Exit code: 1\nStderr: no"}
}

// work runs steps until none is ready: those named in failing fail.
func (w *worker) work(failing ...string) (order []string) {
	w.t.Helper()
	for steps := w.claim(10); len(steps) > 0; steps = w.claim(10) {
		for _, status := range w.start(steps...) {
			require.Equal(w.t, api.Accepted, status)
		}
		for _, step := range steps {
			order = append(order, step.StepName)
			completion := succeed(step, "")
			if slices.Contains(failing, step.StepName) {
				completion = fail(step)
			}
			require.Equal(w.t, []string{api.Accepted}, w.report(completion))
		}
	}
	return order
}

// states returns a job's status and those of its steps.
func (b *bundle) states(t *testing.T, id uuid.UUID) (core.JobStatus, map[string]core.StepStatus) {
	t.Helper()
	job, steps, err := b.store.GetJob(t.Context(), id)
	require.NoError(t, err)
	states := map[string]core.StepStatus{}
	for _, step := range steps {
		states[step.Name] = step.Status
	}
	return job.Status, states
}

// patience is how long a test waits before it fails: far longer than anything takes.
const patience = 20 * time.Second

// limited ends what waits for something that a defect keeps from coming.
func limited(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	return ctx
}

// await waits for a signal.
func await(t *testing.T, what string, signal <-chan struct{}) {
	t.Helper()
	select {
	case <-signal:
	case <-time.After(patience):
		require.Fail(t, "waited in vain", what)
	}
}

// eventually waits for a condition that the engine's timers bring about.
func eventually(t *testing.T, what string, condition func() bool) {
	t.Helper()
	require.Eventually(t, condition, patience, 10*time.Millisecond, what)
}

// exec changes the database as no engine would.
func (b *bundle) exec(t *testing.T, sql string, args ...any) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), b.url)
	require.NoError(t, err)
	defer func() { require.NoError(t, conn.Close(context.WithoutCancel(t.Context()))) }()
	_, err = conn.Exec(t.Context(), sql, args...)
	require.NoError(t, err)
}
