package engine_test

import (
	"context"
	"encoding/json"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/stroem/stroem/core"
	"github.com/stroem/stroem/core/api"
	"github.com/stroem/stroem/core/engine"
	"github.com/stroem/stroem/core/seal"
)

// eventLog collects what is said in the logs of jobs.
type eventLog struct {
	mu    sync.Mutex
	texts map[uuid.UUID][]string
}

func (l *eventLog) add(_ context.Context, job uuid.UUID, text string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.texts == nil {
		l.texts = map[uuid.UUID][]string{}
	}
	l.texts[job] = append(l.texts[job], text)
}

func (l *eventLog) of(job uuid.UUID) []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.texts[job]
}

// count tells how many texts with a part were said, by job.
func (l *eventLog) count(part string) map[uuid.UUID]int {
	l.mu.Lock()
	defer l.mu.Unlock()
	counts := map[uuid.UUID]int{}
	for job, texts := range l.texts {
		for _, text := range texts {
			if strings.Contains(text, part) {
				counts[job]++
			}
		}
	}
	return counts
}

// hooksOf are the jobs of the hooks of a job, by place.
func (b *bundle) hooksOf(t *testing.T, id uuid.UUID) map[string]core.Job {
	t.Helper()
	list, _, err := b.store.ListJobs(t.Context(), core.JobFilter{SourceTypes: []core.SourceType{core.SourceHook}, Limit: 100})
	require.NoError(t, err)
	hooks := map[string]core.Job{}
	for i := range list {
		job, err := b.store.GetJobRow(t.Context(), list[i].ID)
		require.NoError(t, err)
		if job.OriginJobID == id {
			require.NotContains(t, hooks, job.SourceID, "a hook fires once")
			hooks[job.SourceID] = job
		}
	}
	return hooks
}

func hooked() *core.Workspace {
	ws := flow(map[string]core.FlowStep{"a": {}, "b": {DependsOn: []string{"a"}}})
	ws.Actions["tell"] = &core.Action{Type: "shell", Spec: map[string]any{"cmd": "true"}}
	ws.Actions["tidy"] = &core.Action{Type: "task", Task: "tidy"}
	ws.Tasks["tidy"] = &core.Task{Flow: map[string]core.FlowStep{"sweep": {Action: "act"}}, OnSuccess: []core.Hook{{Action: "tell"}}}
	ws.Tasks["task"].OnSuccess = []core.Hook{{Action: "tell", Input: map[string]any{
		"text": "{{ hook.task_name }} {{ hook.status }} {{ hook.is_success }} {{ hook.source_type }}", "n": 5, "braces": "{{ '{{ no }}' }}",
	}}, {Action: "tidy"}}
	ws.OnError = []core.Hook{{Action: "tell", Input: map[string]any{"error": "{{ hook.error_message }}", "steps": "{{ hook.failed_steps }}"}}}
	return ws
}

func TestHooksOfSuccess(t *testing.T) {
	t.Parallel()
	b := newBundle(t, hooked(), engine.Config{})
	w := b.worker(t, "w")
	id := b.execute(t, nil)
	w.run("a")("")
	require.Empty(t, b.hooksOf(t, id))
	w.run("b")("")
	hooks := b.hooksOf(t, id)
	require.Len(t, hooks, 2, "they are there as soon as the report is answered")
	tell := hooks["ws/task/"+id.String()+"/on_success[0]"]
	require.Equal(t, "_hook:tell", tell.TaskName)
	require.Equal(t, "r1", tell.Revision)
	require.Equal(t, "tidy", hooks["ws/task/"+id.String()+"/on_success[1]"].TaskName)
	const input = `{"text": "task completed true api", "n": 5, "braces": "{{ no }}"}`
	require.JSONEq(t, input, string(tell.Input))
	for _, step := range w.claim(5) {
		if step.StepName == "hook" {
			require.JSONEq(t, input, string(step.Input), "it is not rendered twice")
		}
		w.start(step)
		w.report(succeed(step, ""))
	}
	for _, hook := range hooks {
		require.Equal(t, core.JobCompleted, b.awaitEnd(t, hook.ID))
		require.Empty(t, b.hooksOf(t, hook.ID), "the job of a hook fires none, and neither does the task that it runs")
	}
}

func TestHooksOfTheWorkspace(t *testing.T) {
	t.Parallel()
	b := newBundle(t, hooked(), engine.Config{})
	w := b.worker(t, "w")
	for source, want := range map[core.SourceType]int{
		core.SourceAPI: 1, core.SourceUser: 1, core.SourceTrigger: 1, core.SourceWebhook: 1, core.SourceTask: 0, core.SourceHook: 0,
	} {
		id, err := b.Execute(t.Context(), engine.Execute{Workspace: "ws", Task: "task", Source: source})
		require.NoError(t, err)
		w.work("a")
		hooks := b.hooksOf(t, id)
		require.Len(t, hooks, want, source)
		for _, hook := range hooks {
			var input map[string]string
			require.NoError(t, json.Unmarshal(hook.Input, &input))
			require.Equal(t, "Step 'a': Exit code: 1\nStderr: no", input["error"])
			require.JSONEq(t, `[{"step_name":"a","action_name":"act","error_message":"Exit code: 1\nStderr: no","continue_on_failure":false}]`, input["steps"])
		}
	}
}

func TestNoHooksOnCancel(t *testing.T) {
	t.Parallel()
	b := newBundle(t, hooked(), engine.Config{})
	id := b.execute(t, nil)
	_, err := b.Cancel(t.Context(), id)
	require.NoError(t, err)
	require.Equal(t, core.JobCancelled, b.awaitEnd(t, id))
	require.Empty(t, b.hooksOf(t, id))
}

func TestHooksThatCannotFire(t *testing.T) {
	t.Parallel()
	ws := hooked()
	ws.Secrets = map[string]any{"key": "very secret"}
	ws.Actions["lost"] = &core.Action{Type: "task", Task: "nowhere"}
	ws.Tasks["task"].OnSuccess = []core.Hook{
		{Action: "gone"},
		{Action: "lost"},
		{Action: "tell", Input: map[string]any{"a": "{{ hook.nothing }}"}},
		{Action: "tell", Input: map[string]any{"key": "{{ secret.key }}"}},
	}
	said := &eventLog{}
	b := newBundle(t, ws, engine.Config{Event: said.add, Seal: seal.Generate()})
	w := b.worker(t, "w")
	id := b.execute(t, nil)
	w.run("a")("")
	w.run("b")("")
	require.Equal(t, core.JobCompleted, b.awaitEnd(t, id))
	hooks := b.hooksOf(t, id)
	require.Len(t, hooks, 1, "the others fire")
	require.JSONEq(t, `{"key": "••••••"}`, string(hooks["ws/task/"+id.String()+"/on_success[3]"].Input))
	events := said.of(id)
	require.Len(t, events, 3)
	require.Equal(t, "[hooks] Failed to fire hook on_success[0] for action 'gone': the action is not found", events[0])
	require.Equal(t, "[hooks] Failed to fire hook on_success[1] for action 'lost': task 'nowhere' is not found", events[1])
	require.Contains(t, events[2], "[hooks] Failed to fire hook on_success[2] for action 'tell': cannot render input.a: ")

	hook := w.claim(1)[0]
	require.JSONEq(t, `{"key": "very secret"}`, string(hook.Input))
	w.start(hook)
	w.report(fail(hook))
	eventually(t, "the failure of a hook is told in the log of the job", func() bool { return len(said.of(id)) == 4 })
	require.Equal(t, "[hooks] Hook '_hook:tell' failed: Exit code: 1\nStderr: no", said.of(id)[3])
}

func TestHooksOfAChild(t *testing.T) {
	t.Parallel()
	ws := nested()
	ws.Actions["tell"] = &core.Action{Type: "shell", Spec: map[string]any{"cmd": "true"}}
	ws.Tasks["child"].OnSuccess = []core.Hook{{Action: "tell"}}
	ws.OnSuccess = []core.Hook{{Action: "act"}}
	b := newBundle(t, ws, engine.Config{})
	w := b.worker(t, "w")
	id := b.execute(t, map[string]any{"word": "x"})
	w.run("before")(`{"n": 1}`)
	child := b.children(t, id)["below"].ID
	w.run("only")("1")
	w.run("last")(`{"m": 1}`)
	require.Len(t, b.hooksOf(t, child), 1, "its own")
	eventually(t, "all ends", func() bool {
		w.work()
		status, _ := b.states(t, id)
		return status.Terminal()
	})
	require.Len(t, b.hooksOf(t, id), 1, "those of the workspace, for the job that nothing in it has started")
}

// A hook is part of the transaction that ends the job, also when that is a sweep's or a registration's.
func TestHooksOfJobsThatAreGivenUp(t *testing.T) {
	t.Parallel()
	b := newBundle(t, hooked(), engine.Config{})
	w := b.worker(t, "w")
	id := b.execute(t, nil)
	step := w.claim(1)[0]
	w.start(step)
	b.worker(t, "w") // which takes over the name
	require.Equal(t, core.JobFailed, b.awaitEnd(t, id))
	require.Len(t, b.hooksOf(t, id), 1)
}

// interrupted is a store that does something before hooks are made.
type interrupted struct {
	engine.Store
	before func(job uuid.UUID) error
}

func (i *interrupted) FailedSteps(ctx context.Context, job uuid.UUID) ([]core.Step, error) {
	if err := i.before(job); err != nil {
		return nil, err
	}
	return i.Store.FailedSteps(ctx, job)
}

// Hooks are made before the transaction that ends the job. If the job ends in another way then, so do they.
func TestHooksOfAJobThatEndsInAnotherWay(t *testing.T) {
	t.Parallel()
	ws := hooked()
	ws.Tasks["task"].Timeout = core.Duration(time.Hour)
	b := newBundle(t, ws, engine.Config{SweepInterval: 10 * time.Millisecond})
	w := b.worker(t, "w")
	id := b.execute(t, nil)
	w.run("a")("")
	last := w.claim(1)[0]
	w.start(last)
	var once sync.Once
	second := b.runOn(t, &interrupted{b.store, func(uuid.UUID) error {
		once.Do(func() {
			b.exec(t, "update job set deadline_at = now() where job_id = $1", id)
			eventually(t, "the task has timed out", func() bool { return len(w.stops()) == 1 })
		})
		return nil
	}}, engine.Config{})
	require.Equal(t, []string{api.Accepted}, (&worker{t, second, w.id}).report(succeed(last, "")))
	require.Equal(t, core.JobFailed, b.awaitEnd(t, id))
	hooks := b.hooksOf(t, id)
	require.Len(t, hooks, 1)
	hook := hooks["ws/task/"+id.String()+"/on_error[0]"]
	require.JSONEq(t, `{"error": "Timed out after 1h", "steps": "[]"}`, string(hook.Input))
}

// late is a store that answers only when its caller is being stopped.
type late struct {
	engine.Store
	stop func()
}

func (l *late) Transition(ctx context.Context, sel core.Selection,
	decide func(context.Context, *core.State, func([]core.StepID) error) (*core.Changes, error),
) error {
	err := l.Store.Transition(ctx, sel, decide)
	if err == nil {
		l.stop()
		return ctx.Err()
	}
	return err
}

func TestWhatIsCommittedIsToldWhenTheEngineStops(t *testing.T) {
	t.Parallel()
	ws := hooked()
	ws.Tasks["task"].OnError = []core.Hook{{Action: "gone"}}
	b := newBundle(t, ws, engine.Config{})
	id := b.execute(t, nil)
	b.stop()
	b.exec(t, "update job set deadline_at = now() where job_id = $1", id)
	said := &eventLog{}
	ctx, cancel := context.WithCancel(limited(t))
	defer cancel()
	engine.New(&late{b.store, cancel}, b, slog.New(slog.DiscardHandler), engine.Config{SweepInterval: 10 * time.Millisecond, Event: said.add}).Run(ctx)
	status, _ := b.states(t, id)
	require.Equal(t, core.JobFailed, status)
	require.Equal(t, []string{"[hooks] Failed to fire hook on_error[0] for action 'gone': the action is not found"}, said.of(id))
}
