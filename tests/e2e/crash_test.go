package e2e

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/stroem/stroem/core/api"
	"github.com/stroem/stroem/core/client"
	"github.com/stroem/stroem/core/coretest"
	"github.com/stroem/stroem/core/pgserver"
	"github.com/stroem/stroem/core/postgres"
)

// Each step notes that it ran in a file of its own, so that a second run shows, whoever started it.
const counted = `
actions:
  count:
    type: shell
    cmd: |
      echo ran >>"$INPUT_DIR/$STROEM_JOB_ID.$STROEM_STEP_NAME"
      sleep 0.0$((RANDOM_DIGIT))
      echo "OUTPUT: \"$STROEM_JOB_ID\""
    env: {RANDOM_DIGIT: "{{ input.digit }}"}
tasks:
  count:
    input: {dir: {type: string, required: true}, digit: {type: integer, default: 1}}
    flow:
      first: {action: count, input: {dir: "{{ input.dir }}", digit: "{{ input.digit }}"}}
      second: {action: count, depends_on: [first], input: {dir: "{{ input.dir }}", digit: "{{ input.digit }}"}}
`

const crashJobs = 200

// crash runs 200 jobs, calls kill in the middle, and checks that every job has ended, that no step ran twice, and that
// no accepted result is lost.
func crash(t *testing.T, s *system, kill func(context.Context)) {
	t.Helper()
	dir := t.TempDir()
	ids := make([]string, crashJobs)
	var group sync.WaitGroup
	for from := range 4 {
		group.Go(func() {
			for i := from; i < crashJobs; i += 4 {
				ids[i] = s.executeUntilAccepted(t.Context(), i, dir)
			}
		})
	}
	s.eventually("a third of the jobs has completed", func(ctx context.Context) bool {
		_, n, err := s.Jobs(ctx, client.JobFilter{Statuses: []string{"completed"}, Limit: 1})
		return err == nil && n >= crashJobs/3
	})
	kill(t.Context())
	group.Wait()
	completed := 0
	for _, id := range ids {
		job := s.waitThroughOutage(id)
		if job.Status == "completed" {
			completed++
		}
		for _, step := range job.Steps {
			checkRuns(t, dir, job, step)
		}
	}
	require.GreaterOrEqual(t, completed, crashJobs/3)
	t.Logf("%d of %d jobs completed, the others failed with the crash", completed, crashJobs)
}

func (s *system) executeUntilAccepted(ctx context.Context, i int, dir string) string {
	for {
		created, err := s.Execute(ctx, "default", "count", api.ExecuteRequest{Input: map[string]any{"dir": dir, "digit": i % 10}}, "job "+strconv.Itoa(i))
		if err == nil {
			return created.JobID
		}
		if ctx.Err() != nil {
			return ""
		}
		<-time.After(20 * time.Millisecond)
	}
}

// waitThroughOutage is wait for a server that may be away.
func (s *system) waitThroughOutage(id string) (job api.JobDetail) {
	s.t.Helper()
	s.eventually("job "+id+" has ended", func(ctx context.Context) bool {
		var err error
		job, err = s.Job(ctx, id, 5*time.Second)
		return err == nil && job.CompletedAt != nil
	})
	return job
}

func checkRuns(t *testing.T, dir string, job api.JobDetail, step api.Step) {
	t.Helper()
	content, err := os.ReadFile(filepath.Join(dir, job.JobID+"."+step.StepName))
	if err != nil {
		require.ErrorIs(t, err, os.ErrNotExist)
	}
	runs := bytes.Count(content, []byte("\n"))
	require.LessOrEqual(t, runs, 1, "step %s of job %s ran %d times", step.StepName, job.JobID, runs)
	switch step.Status {
	case "completed":
		require.Equal(t, 1, runs)
		require.Equal(t, job.JobID, step.Output)
	case "skipped":
		require.Zero(t, runs)
	case "failed":
		require.NotNil(t, step.ErrorMessage)
	default:
		require.Fail(t, "the job has ended and a step has not", "%s is %s", step.StepName, step.Status)
	}
}

func TestKillTheWorker(t *testing.T) {
	t.Parallel()
	s := newSystem(t, workspace(t, counted), nil)
	w := s.startWorker("w", settings{"max_concurrent": 4})
	crash(t, s, func(context.Context) {
		w.kill()
		s.startWorker("w", settings{"max_concurrent": 4})
	})
}

func TestKillTheServer(t *testing.T) {
	t.Parallel()
	s := newSystem(t, workspace(t, counted), nil)
	s.startWorker("w", settings{"max_concurrent": 4})
	crash(t, s, func(context.Context) {
		s.server.kill()
		s.startServer()
	})
}

func TestKillTheShellPlugin(t *testing.T) {
	t.Parallel()
	s := newSystem(t, workspace(t, counted), nil)
	w := s.startWorker("w", settings{"max_concurrent": 4})
	crash(t, s, func(context.Context) {
		plugin := child(t, w.pid(), "runner-shell")
		require.NoError(t, syscall.Kill(plugin, syscall.SIGKILL))
	})
}

func TestKillPostgreSQL(t *testing.T) {
	t.Parallel()
	dir, err := os.MkdirTemp("", "stroem-e2e-pg-")
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, os.RemoveAll(dir)) })
	require.NoError(t, os.Chmod(dir, 0o711))
	options := pgserver.Options{Dir: filepath.Join(dir, "pg")}
	database, err := pgserver.Start(t.Context(), options)
	if err != nil && !coretest.Required("postgres") {
		t.Skip(err)
	}
	require.NoError(t, err)
	t.Cleanup(func() { database.Stop() })
	options.Port = database.Port()
	require.NoError(t, postgres.Migrate(t.Context(), database.URL()))
	s := newSystemOn(t, database.URL(), workspace(t, counted), nil)
	s.startWorker("w", settings{"max_concurrent": 4})
	crash(t, s, func(ctx context.Context) {
		database.Kill()
		s.eventually("PostgreSQL is back", func(context.Context) bool {
			// Until the orphaned backends have ended, a new server does not start.
			restarted, err := pgserver.Start(context.WithoutCancel(ctx), options)
			if err == nil {
				database = restarted
			}
			return err == nil
		})
	})
}

// child returns the process that pid started and whose program has the given name.
func child(t *testing.T, pid int, program string) int {
	t.Helper()
	entries, err := os.ReadDir("/proc")
	require.NoError(t, err)
	for _, entry := range entries {
		candidate, err := strconv.Atoi(entry.Name())
		if err != nil {
			continue
		}
		stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", candidate))
		if err != nil {
			continue
		}
		// pid (name) state ppid …
		name, rest, _ := strings.Cut(string(stat[bytes.IndexByte(stat, '(')+1:]), ")")
		if fields := strings.Fields(rest); len(fields) > 1 && fields[1] == strconv.Itoa(pid) && name == program {
			return candidate
		}
	}
	t.Fatalf("process %d has no child %s", pid, program)
	return 0
}

const sleeping = `
actions:
  family:
    type: shell
    cmd: |
      sleep 300 &
      echo "$$ $!" >"$INPUT_DIR/pids.tmp"
      mv "$INPUT_DIR/pids.tmp" "$INPUT_DIR/pids"
      wait
  silent:
    type: shell
    cmd: 'echo ran >>"$INPUT_DIR/$STROEM_JOB_ID"; sleep "$INPUT_SECONDS"'
tasks:
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
			s.execute("default", "family", map[string]any{"dir": dir})
			var pids []string
			s.eventually("the step runs", func(context.Context) bool {
				content, err := os.ReadFile(filepath.Join(dir, "pids"))
				pids = strings.Fields(string(content))
				return err == nil
			})
			require.Len(t, pids, 2)
			require.NoError(t, syscall.Kill(victim(t, w), syscall.SIGKILL))
			require.Eventually(t, func() bool { return !alive(pids[0]) && !alive(pids[1]) }, 3*time.Second, 20*time.Millisecond,
				"the step's processes are gone within three seconds")
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
	s := newSystem(t, workspace(t, sleeping), settings{"recovery": settings{"heartbeat_timeout_secs": 4, "sweep_interval_secs": 1}})
	s.startWorker("one", nil)
	s.startWorker("two", nil)
	id := s.execute("default", "silent", map[string]any{"dir": dir, "seconds": 30})
	require.Equal(t, "completed", s.wait(id).Status)
	require.Equal(t, 1, runsOf(t, dir)[id])
}

func TestAWorkerThatIsStoppedRightAfterItsClaim(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := newSystem(t, workspace(t, sleeping), settings{"recovery": settings{"heartbeat_timeout_secs": 4, "sweep_interval_secs": 1}})
	frozen := s.startWorker("frozen", settings{"max_concurrent": 8})
	var ids []string
	for range 8 {
		ids = append(ids, s.execute("default", "silent", map[string]any{"dir": dir, "seconds": 2}))
	}
	s.eventually("a step is claimed", func(ctx context.Context) bool {
		job, err := s.Job(ctx, ids[0], 0)
		return err == nil && job.Steps[0].Status == "running"
	})
	frozen.signal(syscall.SIGSTOP)
	s.startWorker("other", nil)
	before := map[string]api.JobDetail{}
	for _, id := range ids {
		before[id] = s.waitThroughOutage(id)
		require.Contains(t, []string{"completed", "failed"}, before[id].Status)
	}
	frozen.signal(syscall.SIGCONT)
	s.eventually("the frozen worker is back", func(ctx context.Context) bool {
		workers, err := s.Workers(ctx, 10, 0)
		return err == nil && len(workers) == 2 && workers[0].Status == "active" && workers[1].Status == "active"
	})
	for _, id := range ids {
		// A step whose start the server had accepted may still run once, but what became of it is decided.
		requireAtMostOneRun(t, dir, id)
		job, err := s.Job(t.Context(), id, 0)
		require.NoError(t, err)
		require.Equal(t, before[id], job, "its late reports change nothing")
	}
}

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

// requireAtMostOneRun checks that a step ran once, or not at all if its worker was lost before.
func requireAtMostOneRun(t *testing.T, dir, job string) {
	t.Helper()
	require.LessOrEqual(t, runsOf(t, dir)[job], 1)
}
