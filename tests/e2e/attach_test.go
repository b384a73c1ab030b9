package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/stroem/stroem/core/client"
)

const kept = `
actions:
  count:
    type: example.keeper
    cmd: |
      echo ran >>"$INPUT_DIR/$STROEM_JOB_ID"
      echo 'OUTPUT: {"token": "{{ secret.token }}"}'
      i=0
      while [ $i -lt 300 ]; do
        i=$((i + 1))
        echo "line $i"
        [ $((i % 10)) != 0 ] || echo "note $i" >&2
        sleep 0.015
      done
      test -e "$STROEM_INPUT"
  check: {type: shell, cmd: 'test "$INPUT_TOKEN" = very-secret'}
  hang: {type: example.keeper, cmd: "echo running; sleep 300"}
secrets: {token: very-secret}
tasks:
  count:
    input: {dir: {type: string, required: true}}
    flow:
      s: {action: count, input: {dir: "{{ input.dir }}"}}
      check: {action: check, depends_on: [s], input: {token: "{{ s.output.token }}"}}
  hang: {timeout: 30s, flow: {s: {action: hang}}}
`

// keeper are settings of a worker with a plugin whose steps outlive it.
func keeper(args ...string) settings {
	return settings{"max_concurrent": 1, "plugins": settings{
		"dir":                   filepath.Join(bin, "plugins"),
		"runner-example.keeper": settings{"path": filepath.Join(bin, "test-plugins", "runner-example.keeper"), "args": args},
	}}
}

// A step whose worker or plugin is killed in the middle, more than once, goes on, and nobody sees that anything has happened.
func TestAStepOutlivesItsWorkerAndItsPlugin(t *testing.T) {
	t.Parallel()
	for name, victims := range map[string][]string{
		"worker": {"worker", "worker"}, "plugin": {"plugin", "plugin"}, "both": {"worker", "plugin"}, "both the other way": {"plugin", "worker"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			outlives(t, victims)
		})
	}
}

func outlives(t *testing.T, victims []string) {
	t.Helper()
	dir := t.TempDir()
	s := newSystem(t, workspace(t, kept), nil)
	w := s.startWorker("w", keeper())
	id := s.execute("default", "count", map[string]any{"dir": dir})
	for i, victim := range victims {
		s.eventually(fmt.Sprint(i, ": enough lines are stored"), func(ctx context.Context) bool {
			page, err := s.Logs(ctx, id, client.LogQuery{})
			return err == nil && page.Total >= int64(50+100*i)
		})
		if victim == "plugin" {
			require.NoError(t, syscall.Kill(child(t, w.pid(), "runner-example.keeper"), syscall.SIGKILL))
			continue
		}
		w.kill()
		w = s.startWorker("w", keeper())
	}
	job := s.wait(id)
	require.Equal(t, "completed", job.Status, "what was put out before the first kill is an output, unmasked")
	require.Equal(t, map[string]int{id: 1}, runsOf(t, dir))
	want := map[string][]string{"stdout": {`OUTPUT: {"token": "••••••"}`}}
	for i := 1; i <= 300; i++ {
		want["stdout"] = append(want["stdout"], fmt.Sprintf("line %d", i))
		if i%10 == 0 {
			want["stderr"] = append(want["stderr"], fmt.Sprintf("note %d", i))
		}
	}
	require.Equal(t, want, s.linesOf(id))
	require.Empty(t, s.scratch("w"), "nothing is left")
	require.NoFileExists(t, s.removals("w"))
}

// A step that cannot be taken up fails as soon as the worker is back, which first has its plugin remove what is left of it.
func TestAStepThatOutlivesItsWorkerInVain(t *testing.T) {
	t.Parallel()
	for name, args := range map[string][2][]string{
		"never attachable":   {{"-no-attach"}, {"-no-attach"}},
		"attachable no more": {nil, {"-no-attach"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSystem(t, workspace(t, kept), nil)
			w := s.startWorker("w", keeper(args[0]...))
			id := s.execute("default", "hang", nil)
			s.running(id)
			w.kill()
			require.NotEmpty(t, stepProcesses(t, id))
			killed := time.Now()
			s.startWorker("w", keeper(args[1]...))
			job := s.wait(id)
			require.Equal(t, "failed", job.Status)
			require.Contains(t, *job.Steps[0].ErrorMessage, "Worker replaced")
			require.Less(t, time.Since(killed), 20*time.Second, "at once, and not when its worker is given up or its time is over")
			s.eventually("what was left of it is removed", func(context.Context) bool {
				removed, err := os.ReadFile(s.removals("w"))
				return err == nil && strings.HasPrefix(string(removed), id+".") && len(stepProcesses(t, id)) == 0 && len(s.scratch("w")) == 0
			})
		})
	}
}

// A step is stopped by the worker that has taken it up, too.
func TestAStepThatWasTakenUpIsCancelled(t *testing.T) {
	t.Parallel()
	s := newSystem(t, workspace(t, kept), nil)
	w := s.startWorker("w", keeper())
	id := s.execute("default", "hang", nil)
	s.running(id)
	w.kill()
	_, err := s.Cancel(t.Context(), id)
	require.NoError(t, err)
	s.startWorker("w", keeper())
	require.Equal(t, "cancelled", s.wait(id).Status)
	s.eventually("its processes are gone", func(context.Context) bool { return len(stepProcesses(t, id)) == 0 })
}

// linesOf returns the lines of a job's log by their stream.
func (s *system) linesOf(job string) map[string][]string {
	s.t.Helper()
	page, err := s.Logs(s.t.Context(), job, client.LogQuery{})
	require.NoError(s.t, err)
	lines := map[string][]string{}
	for text := range strings.Lines(page.Logs) {
		var line struct{ Stream, Line string }
		require.NoError(s.t, json.Unmarshal([]byte(text), &line))
		lines[line.Stream] = append(lines[line.Stream], line.Line)
	}
	return lines
}

// running waits until the step of a job has written something.
func (s *system) running(job string) {
	s.t.Helper()
	s.eventually("the step runs", func(ctx context.Context) bool {
		page, err := s.Logs(ctx, job, client.LogQuery{})
		return err == nil && page.Total > 0
	})
}

// removals is where the plugin of a worker notes which runs it has removed.
func (s *system) removals(worker string) string {
	return filepath.Join(s.dir, worker, "plugins", "runner-example.keeper", "removed")
}

// scratch lists what is in a worker's scratch directory.
func (s *system) scratch(worker string) []os.DirEntry {
	s.t.Helper()
	entries, err := os.ReadDir(filepath.Join(s.dir, worker, "scratch", worker))
	require.NoError(s.t, err)
	return entries
}
