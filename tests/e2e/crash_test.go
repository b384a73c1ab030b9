package e2e

import (
	"bytes"
	"cmp"
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

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/stroem/stroem/core/api"
	"github.com/stroem/stroem/core/client"
	"github.com/stroem/stroem/core/coretest"
	"github.com/stroem/stroem/core/pgserver"
	"github.com/stroem/stroem/core/postgres"
)

// Each step notes that it ran in a file of its own, so that a second run shows, whoever started it. One that is to hold
// goes on until the test releases it: it runs when the kill comes.
const counted = `
actions:
  count:
    type: shell
    cmd: |
      echo ran >>"$INPUT_DIR/$STROEM_JOB_ID.$STROEM_STEP_NAME"
      sleep "0.0$INPUT_DIGIT"
      while [ "$INPUT_HOLD" = true ] && ! [ -e "$INPUT_DIR/released" ]; do sleep 0.05; done
      echo "OUTPUT: \"$STROEM_JOB_ID\""
tasks:
  count:
    input: {dir: {type: string, required: true}, digit: {type: integer, default: 1}, hold: {type: boolean, default: false}}
    flow:
      first: {action: count, input: {dir: "{{ input.dir }}", digit: "{{ input.digit }}", hold: "{{ input.hold }}"}}
      second: {action: count, depends_on: [first], input: {dir: "{{ input.dir }}", digit: "{{ input.digit }}"}}
`

const (
	crashJobs  = 200
	crashSlots = 4 // steps that the worker runs at once
)

// crash is what a test kills in the middle of 200 jobs, and what may become of them.
type crash struct {
	*system

	kill      func(context.Context) // and starts it again
	stepsFail bool                  // the steps that run fail with it; else all jobs complete
	jobs      int                   // 0: crashJobs
}

// run checks that every job ends, that no step runs twice, that no accepted result is lost, and that nothing fails but
// the steps that ran when the kill came.
func (c crash) run(t *testing.T) {
	t.Helper()
	n := cmp.Or(c.jobs, crashJobs)
	dir := t.TempDir()
	ids := make([]string, n)
	ids[0] = c.execute("default", "count", map[string]any{"dir": dir, "hold": true})
	var group sync.WaitGroup
	for from := range 4 {
		group.Go(func() {
			for i := from + 1; i < n; i += 4 {
				ids[i] = c.executeUntilAccepted(t, i, dir)
			}
		})
	}
	var done []api.Job
	c.eventually("a third of the jobs has completed, and the first one runs", func(ctx context.Context) bool {
		var err error
		done, _, err = c.Jobs(ctx, client.JobFilter{Statuses: []string{"completed"}, Limit: n})
		return err == nil && len(done) >= n/3 && runsOf(t, dir)[ids[0]+".first"] == 1
	})
	require.Less(t, len(done), n-crashSlots, "the kill comes in the middle")
	accepted := map[string]api.JobDetail{}
	for _, job := range done[:n/3] {
		detail, err := c.Job(t.Context(), job.JobID, 0)
		require.NoError(t, err)
		accepted[job.JobID] = detail
	}
	c.kill(t.Context())
	require.NoError(t, os.WriteFile(filepath.Join(dir, "released"), nil, 0o600))
	group.Wait()
	jobs := map[string]api.JobDetail{}
	for _, id := range ids {
		jobs[id] = c.waitThroughOutage(id)
	}
	require.Len(t, jobs, n, "each request made one job, however often it was repeated")
	_, total, err := c.Jobs(t.Context(), client.JobFilter{Limit: 1})
	require.NoError(t, err)
	require.Equal(t, n, total)
	for id, before := range accepted {
		require.Equal(t, before, jobs[id], "an accepted result is lost")
	}
	runs, failed := runsOf(t, dir), 0
	for _, job := range jobs {
		require.Contains(t, []string{"completed", "failed"}, job.Status)
		if job.Status == "failed" {
			failed++
		} else {
			require.Equal(t, map[string]any{"second": job.JobID}, job.Output)
		}
		require.Len(t, job.Steps, 2)
		for _, step := range job.Steps {
			ran := runs[job.JobID+"."+step.StepName]
			checkRuns(t, ran, job, step)
			if step.Status == "failed" {
				t.Logf("step %s of job %s ran %d times: %s", step.StepName, job.JobID, ran, *step.ErrorMessage)
			}
		}
	}
	t.Logf("%d of %d jobs failed with the crash", failed, n)
	if !c.stepsFail {
		require.Zero(t, failed, "the steps went on")
		return
	}
	require.Equal(t, "failed", jobs[ids[0]].Status, "its step ended with the kill")
	require.LessOrEqual(t, failed, crashSlots, "and nothing else, not even what was on its way to the worker")
}

func (s *system) executeUntilAccepted(t *testing.T, i int, dir string) (id string) {
	t.Helper()
	input := map[string]any{"dir": dir, "digit": i % 10}
	accepted := poll(t.Context(), func(ctx context.Context) bool {
		created, err := s.Execute(ctx, "default", "count", api.ExecuteRequest{Input: input}, "job "+strconv.Itoa(i))
		id = created.JobID
		return err == nil
	})
	assert.True(t, accepted, "job %d was not accepted", i)
	return id
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

// checkRuns compares how often a step ran with what the server says of it.
func checkRuns(t *testing.T, runs int, job api.JobDetail, step api.Step) {
	t.Helper()
	where := fmt.Sprintf("step %s of job %s is %s and ran %d times", step.StepName, job.JobID, step.Status, runs)
	require.Equal(t, 1, step.Attempt, where)
	switch step.Status {
	case "completed":
		require.Equal(t, 1, runs, where)
		require.Equal(t, job.JobID, step.Output, where)
	case "skipped":
		require.Zero(t, runs, where)
		require.Equal(t, "failed", job.Status, where)
	case "failed":
		require.LessOrEqual(t, runs, 1, where)
		require.Equal(t, "failed", job.Status, where)
		require.NotNil(t, step.ErrorMessage, where)
		require.NotEmpty(t, *step.ErrorMessage, where)
	default:
		require.Fail(t, "the job has ended and a step has not", where)
	}
}

func TestKillTheWorker(t *testing.T) {
	t.Parallel()
	s := newSystem(t, workspace(t, counted), nil)
	w := s.startWorker("w", settings{"max_concurrent": crashSlots})
	crash{s, func(context.Context) {
		w.kill()
		s.startWorker("w", settings{"max_concurrent": crashSlots})
	}, true, 0}.run(t)
}

func TestKillTheServer(t *testing.T) {
	t.Parallel()
	s := newSystem(t, workspace(t, counted), nil)
	s.startWorker("w", settings{"max_concurrent": crashSlots})
	crash{s, func(context.Context) {
		s.server.kill()
		s.startServer()
	}, false, 0}.run(t)
}

func TestKillTheShellPlugin(t *testing.T) {
	t.Parallel()
	s := newSystem(t, workspace(t, counted), nil)
	w := s.startWorker("w", settings{"max_concurrent": crashSlots})
	crash{s, func(context.Context) {
		require.NoError(t, syscall.Kill(child(t, w.pid(), "runner-shell"), syscall.SIGKILL))
	}, true, 0}.run(t)
}

func TestKillPostgreSQL(t *testing.T) {
	t.Parallel()
	dir, err := os.MkdirTemp("", "stroem-e2e-pg-") //nolint:usetesting // open to the user that PostgreSQL runs as
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, os.RemoveAll(dir)) })
	require.NoError(t, os.Chmod(dir, 0o711))
	options := pgserver.Options{Dir: filepath.Join(dir, "pg")}
	database, err := pgserver.Start(t.Context(), options)
	coretest.Started(t, err)
	t.Cleanup(func() { database.Stop() })
	options.Port = database.Port()
	require.NoError(t, postgres.Migrate(t.Context(), database.URL()))
	s := newSystemOn(t, database.URL(), workspace(t, counted), nil)
	s.startWorker("w", settings{"max_concurrent": crashSlots})
	crash{s, func(ctx context.Context) {
		database.Kill()
		s.eventually("PostgreSQL is back", func(context.Context) bool {
			// Until the orphaned backends have ended, a new server does not start.
			restarted, err := pgserver.Start(context.WithoutCancel(ctx), options)
			if err == nil {
				database = restarted
			}
			return err == nil
		})
	}, false, 0}.run(t)
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
		// pid (name, of which 15 characters are kept) state ppid …
		name, rest, _ := strings.Cut(string(stat[bytes.IndexByte(stat, '(')+1:]), ")")
		if fields := strings.Fields(rest); len(fields) > 1 && fields[1] == strconv.Itoa(pid) && name == program[:min(len(program), 15)] {
			return candidate
		}
	}
	t.Fatalf("process %d has no child %s", pid, program)
	return 0
}
