package e2e

import (
	"context"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/stroem/stroem/core/api"
	"github.com/stroem/stroem/core/client"
	"github.com/stroem/stroem/core/coretest"
)

func TestCancelWhileRunning(t *testing.T) {
	t.Parallel()
	s := newSystem(t, workspace(t, `
actions:
  polite: {type: shell, cmd: "trap 'echo stopping; exit 7' TERM; echo started; while :; do sleep 0.05; done"}
  ok: {type: shell, cmd: "true"}
tasks:
  long:
    flow:
      polite: {action: polite}
      never: {action: ok, depends_on: [polite]}
`), nil)
	s.startWorker("w", nil)
	id := s.execute("default", "long", nil)
	s.eventually("the step has started", func(ctx context.Context) bool {
		logs, err := s.Logs(ctx, id, client.LogQuery{Wait: 5 * time.Second})
		return err == nil && strings.Contains(logs.Logs, "started")
	})
	start := time.Now()
	cancelled, err := s.Cancel(t.Context(), id)
	require.NoError(t, err)
	require.Contains(t, []string{"running", "cancelled"}, cancelled.Status, "the step may have ended by now")
	job := s.wait(id)
	require.Less(t, time.Since(start), 5*time.Second, "the worker hears of it through its open claim")
	require.Equal(t, "cancelled", job.Status)
	require.Equal(t, []string{"cancelled", "cancelled"}, []string{job.Steps[0].Status, job.Steps[1].Status})
	logs, err := s.Logs(t.Context(), id, client.LogQuery{})
	require.NoError(t, err)
	require.Contains(t, logs.Logs, "stopping", "the step was asked politely first")
	again, err := s.Cancel(t.Context(), id)
	require.NoError(t, err)
	require.Equal(t, "cancelled", again.Status)
}

func TestTagsThatNobodyHas(t *testing.T) {
	t.Parallel()
	s := newSystem(t, workspace(t, `
actions:
  special: {type: shell, cmd: "echo ran", tags: [gpu]}
tasks:
  special: {flow: {special: {action: special}}}
`), nil)
	s.startWorker("plain", nil)
	id := s.execute("default", "special", nil)
	job, err := s.Job(t.Context(), id, 0)
	require.NoError(t, err)
	require.Equal(t, "ready", job.Steps[0].Status)
	require.NotNil(t, job.Steps[0].WaitingReason)
	require.Contains(t, *job.Steps[0].WaitingReason, "gpu, shell")
	s.startWorker("gpu", settings{"tags": []string{"gpu"}})
	job = s.wait(id)
	require.Equal(t, "completed", job.Status)
	require.Nil(t, job.Steps[0].WaitingReason)
}

func TestTwoWorkersShareTheWork(t *testing.T) {
	t.Parallel()
	dir := coretest.TempDir(t)
	s := newSystem(t, workspace(t, `
actions:
  meet:
    type: shell
    # Each step waits for the other one: they can only end if both workers run one.
    cmd: 'touch "$INPUT_DIR/$STEP"; until [ -e "$INPUT_DIR/$OTHER" ]; do sleep 0.02; done'
    env: {STEP: "{{ input.me }}", OTHER: "{{ input.other }}"}
tasks:
  meet:
    input: {dir: {type: string, required: true}}
    flow:
      left: {action: meet, timeout: 30s, input: {dir: "{{ input.dir }}", me: left, other: right}}
      right: {action: meet, timeout: 30s, input: {dir: "{{ input.dir }}", me: right, other: left}}
`), nil)
	s.startWorker("one", settings{"max_concurrent": 1})
	s.startWorker("two", settings{"max_concurrent": 1})
	job := s.wait(s.execute("default", "meet", map[string]any{"dir": dir}))
	require.Equal(t, "completed", job.Status, describeSteps(job))
	require.NotEqual(t, *job.Steps[0].WorkerID, *job.Steps[1].WorkerID)
}

func TestAWorkspaceThatChangesAndBreaks(t *testing.T) {
	t.Parallel()
	workspaces := workspace(t, "actions: {a: {type: shell, cmd: 'echo one'}}\ntasks: {t: {flow: {a: {action: a}}}}\n")
	s := newSystem(t, workspaces, nil)
	s.startWorker("w", nil)
	file := filepath.Join(workspaces["default"], ".workflows", "test.yaml")
	require.Equal(t, "completed", s.wait(s.execute("default", "t", nil)).Status)
	require.NoError(t, os.WriteFile(file, []byte("actions: {a: {type: shell, cmd: 'echo two'}}\ntasks: {t: {flow: {a: {action: b}}}}\n"), 0o600))
	s.eventually("the error is shown with its place", func(ctx context.Context) bool {
		list, err := s.Workspaces(ctx)
		return err == nil && len(list[0].Errors) > 0 && list[0].Errors[0].Line == 2
	})
	require.Equal(t, "completed", s.wait(s.execute("default", "t", nil)).Status, "the last good revision goes on working")
	require.NoError(t, os.WriteFile(file, []byte("actions: {a: {type: shell, cmd: 'echo two'}}\ntasks: {new: {flow: {a: {action: a}}}}\n"), 0o600))
	s.eventually("the new task is there", func(ctx context.Context) bool {
		tasks, err := s.Tasks(ctx, "default")
		return err == nil && len(tasks) == 1 && tasks[0].Name == "new"
	})
	require.Equal(t, "completed", s.wait(s.execute("default", "new", nil)).Status)
}

func TestDrain(t *testing.T) {
	t.Parallel()
	s := newSystem(t, workspace(t, `
actions:
  short: {type: shell, cmd: "echo started; sleep 1; echo done"}
  long: {type: shell, cmd: "echo started; sleep 60"}
tasks:
  short: {flow: {s: {action: short}}}
  long: {flow: {s: {action: long}}}
`), nil)
	w := s.startWorker("w", settings{"drain_secs": 3})
	ids := []string{s.execute("default", "short", nil), s.execute("default", "long", nil)}
	for _, id := range ids {
		s.eventually("the step has started", func(ctx context.Context) bool {
			logs, err := s.Logs(ctx, id, client.LogQuery{Wait: 5 * time.Second})
			return err == nil && strings.Contains(logs.Logs, "started")
		})
	}
	w.stop()
	require.Equal(t, "completed", s.wait(ids[0]).Status, "a step that ends within the drain time ends well")
	long := s.wait(ids[1])
	require.Equal(t, "failed", long.Status)
	require.Contains(t, *long.Steps[0].ErrorMessage, "shut down")
}

func TestBadInputIsRefusedAndStoresNothing(t *testing.T) {
	t.Parallel()
	s := newSystem(t, workspace(t, `
actions: {a: {type: shell, cmd: "true"}}
tasks:
  t:
    input: {n: {type: integer, required: true}}
    flow: {a: {action: a}}
`), nil)
	_, err := s.Execute(t.Context(), "default", "t", api.ExecuteRequest{}, "")
	require.ErrorContains(t, err, "n is required")
	_, err = s.Execute(t.Context(), "default", "nope", api.ExecuteRequest{}, "")
	require.ErrorContains(t, err, "Server returned 404: Task not found")
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+s.listen+"/api/workspaces/default/tasks/t/execute",
		strings.NewReader(`{"input": {"n": 1}, "`+strings.Repeat("x", 10<<20)+`": 1}`))
	require.NoError(t, err)
	request.Header.Set("Content-Type", "application/json")
	if response, err := http.DefaultClient.Do(request); err == nil { // the server may close the connection before all is sent
		require.Equal(t, http.StatusRequestEntityTooLarge, response.StatusCode)
		require.NoError(t, response.Body.Close())
	}
	_, total, err := s.Jobs(t.Context(), client.JobFilter{})
	require.NoError(t, err)
	require.Zero(t, total)
}
