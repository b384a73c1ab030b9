package engine_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/stroem/stroem/core"
	"github.com/stroem/stroem/core/engine"
)

// nested has a task whose middle step runs another one.
func nested() *core.Workspace {
	ws := flow(map[string]core.FlowStep{
		"before": {},
		"below":  {Action: "run", DependsOn: []string{"before"}, Input: map[string]any{"n": "{{ before.output.n }}", "list": []any{1, "{{ input.word }}"}}},
		"after":  {DependsOn: []string{"below"}, Input: map[string]any{"got": "{{ below.output.last.m }}"}},
	})
	ws.Actions["run"] = &core.Action{Type: "task", Task: "child"}
	ws.Tasks["child"] = &core.Task{
		Input: map[string]core.InputField{"n": {Type: "integer", Required: true}, "more": {Type: "string", Default: "by default"}},
		Flow: map[string]core.FlowStep{
			"only": {Action: "act", Input: map[string]any{"n": "{{ input.n }}"}},
			"last": {Action: "act", DependsOn: []string{"only"}},
		},
	}
	return ws
}

// children are the jobs below a job, by the step that they are for.
func (b *bundle) children(t *testing.T, parent uuid.UUID) map[string]core.Job {
	t.Helper()
	list, _, err := b.store.ListJobs(t.Context(), core.JobFilter{ParentJobID: parent, Limit: 100})
	require.NoError(t, err)
	children := map[string]core.Job{}
	for i := range list {
		job, _, err := b.store.GetJob(t.Context(), list[i].ID)
		require.NoError(t, err)
		require.NotContains(t, children, job.ParentStepName, "a step has one child")
		children[job.ParentStepName] = job
	}
	return children
}

// run claims and starts one step.
func (w *worker) run(name string) (completion func(output string) []string) {
	w.t.Helper()
	steps := w.claim(1)
	require.Len(w.t, steps, 1, "%s is ready", name)
	require.Equal(w.t, name, steps[0].StepName)
	w.start(steps...)
	return func(output string) []string { return w.report(succeed(steps[0], output)) }
}

func (b *bundle) awaitEnd(t *testing.T, id uuid.UUID) core.JobStatus {
	t.Helper()
	require.NoError(t, b.WaitJob(limited(t), id), "job %s does not end", id)
	status, _ := b.states(t, id)
	return status
}

func TestAStepRunsATask(t *testing.T) {
	t.Parallel()
	b := newBundle(t, nested(), engine.Config{})
	w := b.worker(t, "w")
	id := b.execute(t, map[string]any{"word": "hello"})
	before := w.run("before")
	require.Empty(t, b.children(t, id))
	b.reload(func(ws *core.Workspace) {
		ws.Tasks["child"] = &core.Task{Flow: map[string]core.FlowStep{"other": {Action: "act"}}}
	})
	before(`{"n": 7}`)
	_, states := b.states(t, id)
	require.Equal(t, core.StepRunning, states["below"], "the child is there as soon as the report is answered")
	child := b.children(t, id)["below"]
	require.Equal(t, "child", child.TaskName)
	require.Equal(t, core.SourceTask, child.SourceType)
	require.Equal(t, id.String()+"/below", child.SourceID)
	require.Equal(t, "r1", child.Revision)
	require.JSONEq(t, `{"n": 7, "list": [1, "hello"], "more": "by default"}`, string(child.Input), "converted to what the task declares")
	_, steps, err := b.store.GetJob(t.Context(), id)
	require.NoError(t, err)
	below := steps[slices.IndexFunc(steps, func(s core.Step) bool { return s.Name == "below" })]
	require.JSONEq(t, `{"n": "7", "list": [1, "hello"]}`, string(below.Input))
	require.False(t, below.StartedAt.IsZero())

	w.run("only")(`1`)
	w.run("last")(`{"m": "from below"}`)
	require.Equal(t, core.JobCompleted, b.awaitEnd(t, child.ID))
	eventually(t, "the step has ended", func() bool {
		_, states := b.states(t, id)
		return states["below"] == core.StepCompleted
	})
	after := w.claim(1)[0]
	require.JSONEq(t, `{"got": "from below"}`, string(after.Input), "the child's output is that of the step")
	w.start(after)
	w.report(succeed(after, `"end"`))
	require.Equal(t, core.JobCompleted, b.awaitEnd(t, id))
}

func TestAFirstStepRunsATask(t *testing.T) {
	t.Parallel()
	ws := nested()
	ws.Tasks["task"] = &core.Task{Flow: map[string]core.FlowStep{"a": {Action: "run", Input: map[string]any{"n": 1}}, "b": {Action: "run", Input: map[string]any{"n": 2}}}}
	b := newBundle(t, ws, engine.Config{})
	id := b.execute(t, nil)
	job, states := b.states(t, id)
	require.Equal(t, core.JobRunning, job)
	require.Equal(t, map[string]core.StepStatus{"a": core.StepRunning, "b": core.StepRunning}, states)
	require.Len(t, b.children(t, id), 2)
	b.worker(t, "w").work()
	require.Equal(t, core.JobCompleted, b.awaitEnd(t, id))
}

func TestAChildThatFails(t *testing.T) {
	t.Parallel()
	b := newBundle(t, nested(), engine.Config{})
	w := b.worker(t, "w")
	id := b.execute(t, map[string]any{"word": "x"})
	w.run("before")(`{"n": 1}`)
	require.Equal(t, []string{"only"}, w.work("only"))
	require.Equal(t, core.JobFailed, b.awaitEnd(t, id))
	_, states := b.states(t, id)
	require.Equal(t, map[string]core.StepStatus{"before": "completed", "below": "failed", "after": "skipped"}, states)
	failed, err := b.store.FailedSteps(t.Context(), id)
	require.NoError(t, err)
	require.Equal(t, fmt.Sprintf("Child job %s failed", b.children(t, id)["below"].ID), failed[0].ErrorMessage)
}

func TestAChildThatCannotBeMade(t *testing.T) {
	t.Parallel()
	b := newBundle(t, nested(), engine.Config{})
	w := b.worker(t, "w")
	for output, message := range map[string]string{
		`{}`:           "Step 'below': cannot render input.n: ",
		`{"n": "one"}`: "Step 'below': Invalid input: n ",
	} {
		id := b.execute(t, map[string]any{"word": "x"})
		w.run("before")(output)
		require.Equal(t, core.JobFailed, b.awaitEnd(t, id), "it ends with the report")
		failed, err := b.store.FailedSteps(t.Context(), id)
		require.NoError(t, err)
		require.Contains(t, failed[0].ErrorMessage, message)
		require.Empty(t, b.children(t, id))
	}
	b.reload(func(ws *core.Workspace) { ws.Tasks["task"].Flow["below"] = core.FlowStep{Action: "run"} })
	_, err := b.Execute(t.Context(), engine.Execute{Workspace: "ws", Task: "task", Source: core.SourceAPI})
	require.Equal(t, core.CodeInvalid, core.ErrorCode(err), "a first step is told to the caller, and nothing is stored")
	require.ErrorContains(t, err, "Step 'below': Invalid input: n is required")
}

func TestTasksAreNestedTenDeep(t *testing.T) {
	t.Parallel()
	ws := &core.Workspace{Actions: map[string]*core.Action{"act": {Type: "shell", Spec: map[string]any{"cmd": "true"}}}, Tasks: map[string]*core.Task{}}
	for i := range 12 {
		ws.Actions[fmt.Sprint("run", i)] = &core.Action{Type: "task", Task: fmt.Sprint("task", i)}
		ws.Tasks[fmt.Sprint("task", i)] = &core.Task{Flow: map[string]core.FlowStep{"a": {Action: "act"}, "deeper": {Action: fmt.Sprint("run", i+1), DependsOn: []string{"a"}}}}
	}
	ws.Tasks["task11"].Flow = map[string]core.FlowStep{"a": {Action: "act"}}
	ws.Tasks["loop"] = &core.Task{Flow: map[string]core.FlowStep{"again": {Action: "loop"}}}
	ws.Actions["loop"] = &core.Action{Type: "task", Task: "loop"}
	b := newBundle(t, ws, engine.Config{})
	w := b.worker(t, "w")
	for task, want := range map[string]core.JobStatus{"task0": core.JobFailed, "task1": core.JobCompleted} {
		id, err := b.Execute(t.Context(), engine.Execute{Workspace: "ws", Task: task, Source: core.SourceAPI})
		require.NoError(t, err)
		eventually(t, "it ends", func() bool {
			w.work()
			status, _ := b.states(t, id)
			return status.Terminal()
		})
		status, _ := b.states(t, id)
		require.Equal(t, want, status, task)
	}
	list, _, err := b.store.ListJobs(t.Context(), core.JobFilter{Statuses: []core.JobStatus{core.JobFailed}, Limit: 100})
	require.NoError(t, err)
	require.Len(t, list, 11, "task0 and ten below it")
	failed, err := b.store.FailedSteps(t.Context(), list[0].ID)
	require.NoError(t, err)
	require.Equal(t, "Step 'deeper': Task 'task11' is below 11 others, beyond the maximum nesting depth (10)", failed[0].ErrorMessage)
	_, err = b.Execute(t.Context(), engine.Execute{Workspace: "ws", Task: "loop", Source: core.SourceAPI})
	require.ErrorContains(t, err, "Task 'loop' is below 11 others, beyond the maximum nesting depth (10)")
	require.Equal(t, 10, strings.Count(err.Error(), "Step 'again'")-1, "%v", err)
}

func TestACancelGoesDown(t *testing.T) {
	t.Parallel()
	b := newBundle(t, nested(), engine.Config{})
	w := b.worker(t, "w")
	id := b.execute(t, map[string]any{"word": "x"})
	w.run("before")(`{"n": 1}`)
	running := w.claim(1)[0]
	w.start(running)
	child := b.children(t, id)["below"].ID
	status, err := b.Cancel(t.Context(), id)
	require.NoError(t, err)
	require.Equal(t, core.JobRunning, status)
	eventually(t, "the child's step is to stop", func() bool { return len(w.stops()) == 1 })
	completion := fail(running)
	completion.Stopped = "cancelled"
	require.Equal(t, []string{"accepted"}, w.report(completion))
	require.Equal(t, core.JobCancelled, b.awaitEnd(t, child))
	require.Equal(t, core.JobCancelled, b.awaitEnd(t, id))
	_, states := b.states(t, id)
	require.Equal(t, map[string]core.StepStatus{"before": "completed", "below": "cancelled", "after": "cancelled"}, states)
	require.Empty(t, w.claim(5))
}

func TestAChildThatIsCancelledFailsItsStep(t *testing.T) {
	t.Parallel()
	b := newBundle(t, nested(), engine.Config{})
	id := b.execute(t, map[string]any{"word": "x"})
	b.worker(t, "w").run("before")(`{"n": 1}`)
	child := b.children(t, id)["below"].ID
	_, err := b.Cancel(t.Context(), child)
	require.NoError(t, err)
	require.Equal(t, core.JobFailed, b.awaitEnd(t, id))
	failed, err := b.store.FailedSteps(t.Context(), id)
	require.NoError(t, err)
	require.Equal(t, fmt.Sprintf("Child job %s cancelled", child), failed[0].ErrorMessage)
}

func TestATimeoutGoesDown(t *testing.T) {
	t.Parallel()
	for name, limit := range map[string]func(ws *core.Workspace){
		"of the step": func(ws *core.Workspace) {
			step := ws.Tasks["task"].Flow["below"]
			step.Timeout = core.Duration(50 * time.Millisecond)
			ws.Tasks["task"].Flow["below"] = step
		},
		"of the task": func(ws *core.Workspace) { ws.Tasks["task"].Timeout = core.Duration(50 * time.Millisecond) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ws := nested()
			limit(ws)
			b := newBundle(t, ws, engine.Config{SweepInterval: 10 * time.Millisecond})
			w := b.worker(t, "w")
			id := b.execute(t, map[string]any{"word": "x"})
			w.run("before")(`{"n": 1}`)
			if name == "of the task" {
				eventually(t, "the child is there, or too late", func() bool { return len(b.children(t, id)) == 1 || b.awaitEnd(t, id).Terminal() })
			}
			require.Equal(t, core.JobFailed, b.awaitEnd(t, id))
			for _, child := range b.children(t, id) {
				require.Equal(t, core.JobCancelled, b.awaitEnd(t, child.ID))
			}
			failed, err := b.store.FailedSteps(t.Context(), id)
			require.NoError(t, err)
			for _, step := range failed {
				require.Contains(t, step.ErrorMessage, "imed out after 50ms")
			}
		})
	}
}

// What a server that dies leaves undone between two levels is done by the next sweep.
func TestTheSweepRelatesJobs(t *testing.T) {
	t.Parallel()
	b := newBundle(t, nested(), engine.Config{})
	w := b.worker(t, "w")
	ended, cancelled := b.execute(t, map[string]any{"word": "x"}), b.execute(t, map[string]any{"word": "x"})
	for range 2 {
		w.run("before")(`{"n": 1}`)
	}
	b.stop()
	b.exec(t, "update job set status = 'failed', completed_at = now() where parent_job_id = $1", ended)
	b.exec(t, "update job set cancel_requested_at = now() where job_id = $1", cancelled)
	b.exec(t, "update job_step set stop_reason = 'cancelled', stop_requested_at = now() where job_id = $1 and status = 'running'", cancelled)
	b.exec(t, "update job_step set status = 'cancelled', completed_at = now() where job_id = $1 and status = 'pending'", cancelled)
	b.exec(t, "update job set open_steps = 1 where job_id = $1", cancelled)
	b.Engine = b.run(t, engine.Config{SweepInterval: 10 * time.Millisecond})
	require.Equal(t, core.JobFailed, b.awaitEnd(t, ended))
	require.Equal(t, core.JobCancelled, b.awaitEnd(t, cancelled))
	require.Equal(t, core.JobCancelled, b.awaitEnd(t, b.children(t, cancelled)["below"].ID))
}

// Two workers report the last two dependencies of a step at the same time: its task is run once.
func TestOneChild(t *testing.T) {
	t.Parallel()
	ws := nested()
	ws.Tasks["task"].Flow = map[string]core.FlowStep{
		"a": {}, "b": {}, "below": {Action: "run", DependsOn: []string{"a", "b"}, Input: map[string]any{"n": "{{ a.output }}{{ b.output }}"}},
	}
	for name, step := range ws.Tasks["task"].Flow {
		if step.Action == "" {
			step.Action = "act"
			ws.Tasks["task"].Flow[name] = step
		}
	}
	b := newBundle(t, ws, engine.Config{})
	second := b.run(t, engine.Config{})
	w := b.worker(t, "w")
	for range 30 {
		id := b.execute(t, nil)
		steps := w.claim(2)
		w.start(steps...)
		done := make(chan struct{})
		go func() {
			defer close(done)
			(&worker{t, second, w.id}).report(succeed(steps[0], "1"))
		}()
		w.report(succeed(steps[1], "2"))
		<-done
		children := b.children(t, id)
		require.Equal(t, []string{"below"}, slices.Collect(maps.Keys(children)))
		require.Contains(t, string(children["below"].Input), "12")
		w.work()
		require.Equal(t, core.JobCompleted, b.awaitEnd(t, id))
	}
}
