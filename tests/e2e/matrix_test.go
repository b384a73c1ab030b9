package e2e

import (
	"context"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"github.com/stroem/stroem/core/api"
	"github.com/stroem/stroem/core/client"
	"github.com/stroem/stroem/core/coretest"
	"github.com/stroem/stroem/core/failpoint"
	"github.com/stroem/stroem/tests/s3server"
)

// matrixWorkspace has everything that follows from something else: steps, tasks in tasks, hooks, and a trigger that is added
// when both servers run. Each step notes in DIR that it ran.
const matrixWorkspace = `
actions:
  note: {type: shell, cmd: 'echo ran >>"DIR/$STROEM_JOB_ID.$STROEM_STEP_NAME"; echo noted'}
  fail: {type: shell, cmd: 'echo ran >>"DIR/$STROEM_JOB_ID.$STROEM_STEP_NAME"; exit 3'}
  hold: {type: shell, cmd: 'echo ran >>"DIR/$STROEM_JOB_ID.$STROEM_STEP_NAME"; sleep 300'}
  far: {type: shell, tags: [far], cmd: 'echo ran >>"DIR/$STROEM_JOB_ID.$STROEM_STEP_NAME"; sleep 300'}
  below: {type: task, task: below}
  held: {type: task, task: held}
tasks:
  whole:
    flow:
      first: {action: note}
      child: {action: below, depends_on: [first]}
      last: {action: note, depends_on: [child]}
    on_success: [{action: note}, {action: below}]
    on_error: [{action: fail}]
  broken:
    flow:
      only: {action: fail}
      after: {action: note, depends_on: [only]}
    on_success: [{action: note}]
    on_error: [{action: note}, {action: fail}]
  below: {flow: {only: {action: note}}}
  held: {flow: {only: {action: hold}}}
  tree: {flow: {child: {action: held}}}
  lost:
    flow: {only: {action: far}}
    on_error: [{action: note}]
  tick: {flow: {only: {action: note}}}
`

const matrixTrigger = `
triggers: {every-second: {type: scheduler, cron: "* * * * * *", task: tick}}
`

// TestCrashMatrix kills a server at each failpoint while it leads and takes all requests; a second one goes on alone. What
// is promised has to hold after each. The table in docs/reliability.md is written by this test.
func TestCrashMatrix(t *testing.T) {
	t.Parallel()
	program, err := failpoints()
	require.NoError(t, err)
	results := make([]string, len(failpoint.Points))
	var points errgroup.Group
	points.SetLimit(6) // they mostly wait; -parallel counts what computes
	for i, point := range failpoint.Points {
		points.Go(func() error {
			t.Run(point.Name, func(t *testing.T) {
				results[i] = crashAt(t, program, point.Name)
			})
			return nil
		})
	}
	require.NoError(t, points.Wait())
	if !t.Failed() && !slices.Contains(results, "") { // else not all were asked for
		writeMatrix(t, results)
	}
}

// matrix is one run: two servers of which one will die, what stands before them, and their workers.
type matrix struct {
	*system // what both are reached by

	first, second *system
	database      string
	notes         string // directory
	jobs          map[string]string
	far           *process
	bucket        *s3server.Server // of the archive; nil: there is none
}

// crashAt returns what it looked at, all of which was as it has to be.
func crashAt(t *testing.T, program, point string) string {
	t.Helper()
	m := newMatrix(t, program, point)
	kind, _, _ := strings.Cut(point, ".")
	if kind == "sweep" || kind == "takeover" {
		m.farJob()
	}
	m.request("whole")
	m.request("broken")
	m.request("tree")
	m.cancelTree()
	if m.far != nil {
		m.far.kill()
	}
	if kind == "takeover" {
		m.startFar()
	}
	m.eventually("the server dies at "+point, func(context.Context) bool {
		select {
		case <-m.first.server.done:
			return true
		default:
			return false
		}
	})
	status, ok := m.first.server.cmd.ProcessState.Sys().(syscall.WaitStatus)
	require.True(t, ok && status.Signal() == syscall.SIGKILL, "it ended otherwise: %s", m.first.server.cmd.ProcessState)
	result := m.check()
	if m.bucket != nil {
		m.checkArchive()
	}
	return result
}

func newMatrix(t *testing.T, program, point string) *matrix {
	t.Helper()
	m := &matrix{database: coretest.Postgres(t), notes: t.TempDir(), jobs: map[string]string{}}
	files := workspace(t, strings.ReplaceAll(matrixWorkspace, "DIR", m.notes))
	recovery := maps.Clone(soon) // the first server, which keeps the logs, is not started again
	extra := settings{"db": settings{"url": m.database, "max_connections": 4}, "secrets": oneKey, "recovery": recovery}
	if strings.HasPrefix(point, "sweep.") {
		hurry, _ := hasty["recovery"].(settings)
		maps.Copy(recovery, hurry)
	}
	if strings.HasPrefix(point, "upload.") {
		m.bucket = s3server.Start(t, s3server.Options{})
		maps.Copy(extra, archiveIn(m.bucket))
	}
	m.first = configure(t, m.database, files, extra)
	m.first.serverProgram, m.first.serverEnv = program, []string{failpoint.Variable + "=" + point}
	m.first.startServer()
	m.first.eventually("the first server leads", func(context.Context) bool {
		return strings.Contains(m.first.server.log.String(), "leading: ")
	})
	m.second = m.first.replica()
	m.system = &system{t: t, dir: coretest.TempDir(t), listen: balance(t, m.first.listen, m.second.listen)}
	var err error
	m.Client, err = client.New(client.Options{Server: "http://" + m.listen})
	require.NoError(t, err)
	t.Cleanup(m.Close)
	m.startWorker("near", nil)
	trigger := filepath.Join(files["default"], ".workflows", "trigger.yaml")
	require.NoError(t, os.WriteFile(trigger, []byte(matrixTrigger), 0o600))
	for _, server := range []*system{m.second, m.first} {
		_, _ = server.Refresh(t.Context(), "default") // it may die of it; the other one has the trigger
	}
	return m
}

func (m *matrix) startFar() {
	m.far = start(m.t, "far", "stroem-worker", writeYAML(m.t, filepath.Join(m.dir, "far.yaml"), settings{
		"server_url": "http://" + m.listen, "worker_token": token, "worker_name": "far", "tags": []string{"far"}, "max_concurrent": 1,
		"data_dir": filepath.Join(m.dir, "far"), "stop_grace_secs": 1, "drain_secs": 1, "plugins": settings{"dir": filepath.Join(bin, "plugins")},
	}))
}

// farJob starts a worker of which a step keeps the only slot.
func (m *matrix) farJob() {
	m.startFar()
	m.request("lost")
	m.held(m.jobs["lost"])
}

func (m *matrix) held(job string) {
	m.t.Helper()
	m.eventually("the step that is held runs", func(context.Context) bool {
		return runsOf(m.t, m.notes)[job+".only"] == 1
	})
}

// request asks for a job until there is an answer.
func (m *matrix) request(task string) {
	m.t.Helper()
	m.eventually(task+" is accepted", func(ctx context.Context) bool {
		created, err := m.Execute(ctx, "default", task, api.ExecuteRequest{}, "the only "+task)
		m.jobs[task] = created.JobID
		return err == nil
	})
}

// cancelTree cancels a job whose child runs.
func (m *matrix) cancelTree() {
	m.t.Helper()
	var below string
	m.eventually("the job has its child", func(ctx context.Context) bool {
		jobs, _, err := m.Jobs(ctx, client.JobFilter{Workspace: "default", TaskName: "held", Limit: 2})
		if err == nil && len(jobs) == 1 {
			below = jobs[0].JobID
		}
		return below != ""
	})
	m.held(below)
	m.eventually("it is cancelled", func(ctx context.Context) bool {
		_, err := m.Cancel(ctx, m.jobs["tree"])
		return err == nil
	})
	m.jobs["held"] = below
}
