package e2e

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/stroem/stroem/core/api"
)

// hasty has the server give up a worker soon.
var hasty = settings{"recovery": settings{"heartbeat_timeout_secs": 4, "sweep_interval_secs": 1}}

const sleeping = `
actions:
  family:
    type: shell
    cmd: |
      sleep 300 &
      echo "$$ $!" >"$INPUT_DIR/pids.tmp"
      mv "$INPUT_DIR/pids.tmp" "$INPUT_DIR/pids"
      wait
  near: {type: shell, cmd: "true", tags: [frozen]}
  silent:
    type: shell
    cmd: 'echo ran >>"$INPUT_DIR/$STROEM_JOB_ID"; sleep "$INPUT_SECONDS"'
tasks:
  near: {flow: {s: {action: near}}}
  family:
    input: {dir: {type: string, required: true}}
    flow: {s: {action: family, input: {dir: "{{ input.dir }}"}}}
  silent:
    input: {dir: {type: string, required: true}, seconds: {type: integer, required: true}}
    flow: {s: {action: silent, input: {dir: "{{ input.dir }}", seconds: "{{ input.seconds }}"}}}
`

func TestNothingSurvivesWorkerOrPlugin(t *testing.T) {
	t.Parallel()
	for name, victim := range map[string]func(*testing.T, *process) int{
		"worker": func(_ *testing.T, w *process) int { return w.pid() },
		"plugin": func(t *testing.T, w *process) int { t.Helper(); return child(t, w.pid(), "runner-shell") },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			s := newSystem(t, workspace(t, sleeping), nil)
			w := s.startWorker("w", nil)
			id := s.execute("default", "family", map[string]any{"dir": dir})
			var pids []string
			s.eventually("the step runs", func(context.Context) bool {
				content, err := os.ReadFile(filepath.Join(dir, "pids"))
				pids = strings.Fields(string(content))
				return err == nil
			})
			require.Len(t, pids, 2)
			pids = append(pids, strconv.Itoa(child(t, w.pid(), "runner-shell")))
			for _, pid := range pids {
				require.True(t, alive(pid), pid)
			}
			killed := time.Now()
			require.NoError(t, syscall.Kill(victim(t, w), syscall.SIGKILL))
			s.eventually("the step's processes and the plugin are gone", func(context.Context) bool {
				return !slices.ContainsFunc(pids, alive)
			})
			require.Less(t, time.Since(killed), 3*time.Second)
			if name == "worker" {
				w = s.startWorker("w", nil) // the server learns from it that the older one is gone
			}
			job := s.wait(id)
			require.Equal(t, "failed", job.Status)
			require.NotEmpty(t, *job.Steps[0].ErrorMessage)
			again := s.execute("default", "silent", map[string]any{"dir": dir, "seconds": 0})
			require.Equal(t, "completed", s.wait(again).Status, "and then work goes on")
			require.True(t, alive(strconv.Itoa(w.pid())))
		})
	}
}

// alive tells whether a process exists and is no zombie.
func alive(pid string) bool {
	stat, err := os.ReadFile("/proc/" + pid + "/stat")
	if err != nil {
		return false
	}
	_, rest, _ := strings.Cut(string(stat), ") ")
	return !strings.HasPrefix(rest, "Z")
}

func TestASilentStepIsHandedOutOnce(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := newSystem(t, workspace(t, sleeping), hasty)
	s.startWorker("one", nil)
	s.startWorker("two", nil)
	id := s.execute("default", "silent", map[string]any{"dir": dir, "seconds": 30})
	job := s.wait(id)
	require.Equal(t, "completed", job.Status)
	require.GreaterOrEqual(t, job.CompletedAt.Sub(*job.StartedAt), 30*time.Second, "its worker was heard of all the time")
	require.Equal(t, map[string]int{id: 1}, runsOf(t, dir))
}

// A worker that is stopped while its claim is open gets steps of which it knows nothing yet: they are claimed, and not
// started. Others run them, and the worker, when it goes on, does not.
func TestAWorkerThatIsStoppedRightAfterItsClaim(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := newSystem(t, workspace(t, sleeping), hasty)
	frozen := s.startWorker("frozen", settings{"tags": []string{"frozen"}, "max_concurrent": 4})
	// While this step runs the next claim is made, for the other slots.
	warm := s.execute("default", "silent", map[string]any{"dir": dir, "seconds": 1})
	require.Equal(t, "completed", s.wait(warm).Status)
	frozen.freeze()
	ids := s.executeSilent(dir, 3, 30)
	s.eventually("a step is claimed", func(ctx context.Context) bool {
		return slices.ContainsFunc(s.firstSteps(ctx, ids), func(step api.Step) bool {
			require.Nil(t, step.StartedAt, "nobody can have started it")
			return step.Status == "running"
		})
	})
	other := s.startWorker("other", settings{"max_concurrent": 4})
	s.eventually("the other worker runs all steps", func(ctx context.Context) bool {
		steps := s.firstSteps(ctx, ids)
		return len(steps) == len(ids) && !slices.ContainsFunc(steps, func(step api.Step) bool { return step.StartedAt == nil })
	})
	s.thaw(frozen)
	for _, id := range ids {
		require.Equal(t, "completed", s.wait(id).Status)
	}
	frozen.stop()
	other.stop() // after that nothing can run any more
	want := map[string]int{warm: 1}
	for _, id := range ids {
		want[id] = 1
	}
	require.Equal(t, want, runsOf(t, dir))
}

// A worker that is stopped with steps that it has started is given up. What it says later changes nothing, and it is told
// to stop its steps.
func TestAWorkerThatIsStoppedWhileItsStepsRun(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := newSystem(t, workspace(t, sleeping), hasty)
	frozen := s.startWorker("frozen", settings{"tags": []string{"frozen"}, "max_concurrent": 4})
	ids := s.executeSilent(dir, 4, 300)
	s.eventually("the steps run", func(context.Context) bool { return len(runsOf(t, dir)) == len(ids) })
	frozen.freeze()
	other := s.startWorker("other", settings{"max_concurrent": 4})
	before := map[string]api.JobDetail{}
	want := map[string]int{}
	for _, id := range ids {
		before[id] = s.waitThroughOutage(id)
		require.Equal(t, "failed", before[id].Status, "its worker was lost")
		require.NotEmpty(t, *before[id].Steps[0].ErrorMessage)
		want[id] = 1
	}
	s.thaw(frozen)
	for _, id := range ids {
		job, err := s.Job(t.Context(), id, 0)
		require.NoError(t, err)
		require.Equal(t, before[id], job, "late reports change nothing")
	}
	s.eventually("the worker has stopped them", func(context.Context) bool {
		return !slices.ContainsFunc(ids, func(id string) bool { return len(stepProcesses(t, id)) > 0 })
	})
	frozen.stop()
	other.stop()
	require.Equal(t, want, runsOf(t, dir))
}

// A server that was stopped has heard of nobody, which says nothing of the workers.
func TestAServerThatWasStoppedGivesUpNobody(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := newSystem(t, workspace(t, sleeping), hasty)
	s.startWorker("w", nil)
	id := s.execute("default", "silent", map[string]any{"dir": dir, "seconds": 12})
	// The server judges workers from here on: it has led for as long as a worker may be silent.
	<-time.After(5 * time.Second)
	s.server.freeze()
	<-time.After(6 * time.Second) // longer than a worker may be silent
	s.server.signal(syscall.SIGCONT)
	require.Equal(t, "completed", s.waitThroughOutage(id).Status)
	require.Contains(t, s.server.log.String(), "stood still for ")
	require.Equal(t, map[string]int{id: 1}, runsOf(t, dir))
}

func (s *system) executeSilent(dir string, n, seconds int) (ids []string) {
	s.t.Helper()
	for range n {
		ids = append(ids, s.execute("default", "silent", map[string]any{"dir": dir, "seconds": seconds}))
	}
	return ids
}

// stepProcesses returns the processes of a job's steps.
func stepProcesses(t *testing.T, job string) (pids []string) {
	t.Helper()
	environments, err := filepath.Glob("/proc/[0-9]*/environ")
	require.NoError(t, err)
	for _, file := range environments {
		environment, _ := os.ReadFile(file) // it may have ended meanwhile
		if pid := filepath.Base(filepath.Dir(file)); bytes.Contains(environment, []byte("STROEM_JOB_ID="+job+"\x00")) && alive(pid) {
			pids = append(pids, pid)
		}
	}
	return pids
}

// firstSteps returns the first step of each job that the server tells of.
func (s *system) firstSteps(ctx context.Context, ids []string) (steps []api.Step) {
	for _, id := range ids {
		if job, err := s.Job(ctx, id, 0); err == nil {
			steps = append(steps, job.Steps[0])
		}
	}
	return steps
}

// thaw has a worker go on, and waits until it has heard what became of its steps and has done new work.
func (s *system) thaw(frozen *process) {
	s.t.Helper()
	near := s.execute("default", "near", nil)
	frozen.signal(syscall.SIGCONT)
	require.Equal(s.t, "completed", s.wait(near).Status)
}

// runsOf counts the lines of each file that steps wrote.
func runsOf(t *testing.T, dir string) map[string]int {
	t.Helper()
	runs := map[string]int{}
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	for _, entry := range entries {
		content, err := os.ReadFile(filepath.Join(dir, entry.Name()))
		require.NoError(t, err)
		runs[entry.Name()] = bytes.Count(content, []byte("\n"))
	}
	return runs
}
