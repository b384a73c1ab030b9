package e2e

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/stroem/stroem/core/client"
)

const counting = `
actions:
  count:
    type: shell
    cmd: |
      i=0
      while [ $i -lt 300 ]; do
        i=$((i + 1))
        echo "line $i"
        [ $((i % 10)) != 0 ] || echo "note $i" >&2
        sleep 0.03
      done
      echo 'OUTPUT: {"lines": 300}'
      exit 3
tasks:
  count: {flow: {s: {action: count, continue_on_failure: true}}}
`

// A container whose worker or plugin is killed goes on, and ends with its own result; nothing of its output is lost or
// doubled.

func TestDockerOutlivesWorkerAndPlugin(t *testing.T) {
	t.Parallel()
	outlived(t, dockerEngine)
}

func TestKubeOutlivesWorkerAndPlugin(t *testing.T) {
	t.Parallel()
	outlived(t, kubeEngine)
}

func outlived(t *testing.T, start func(*testing.T) *engine) {
	t.Helper()
	for _, victim := range []string{"worker", "plugin", "both"} {
		t.Run(victim, func(t *testing.T) {
			t.Parallel()
			e := start(t)
			s := e.system(workspace(t, counting))
			w := e.startWorker(s, "w", 1)
			id := s.execute("default", "count", nil)
			s.eventually("it is under way", func(ctx context.Context) bool {
				page, err := s.Logs(ctx, id, client.LogQuery{})
				return err == nil && strings.Contains(page.Logs, `"line":"line 30"`)
			})
			plugin := child(t, w.pid(), e.plugin)
			if victim != "plugin" {
				w.kill()
			}
			if victim != "worker" {
				_ = syscall.Kill(plugin, syscall.SIGKILL) // one whose host is gone may have ended
			}
			if victim != "plugin" {
				e.startWorker(s, "w", 1)
			}
			job := s.wait(id)
			require.Equal(t, "completed", job.Status)
			require.Equal(t, "failed", job.Steps[0].Status)
			require.Contains(t, *job.Steps[0].ErrorMessage, "Exit code: 3")
			e.checkCount(s.linesOf(id))
			require.Empty(t, s.scratch("w"))
			e.nothingLeft(s)
		})
	}
}

// checkCount looks for every line, once and in order; a cluster does not tell stdout from stderr, nor order them.
func (e *engine) checkCount(lines map[string][]string) {
	isNote := func(line string) bool { return strings.HasPrefix(line, "note ") }
	stdout, stderr := lines["stdout"], lines["stderr"]
	if e.runner == "pod" {
		stderr = slices.DeleteFunc(slices.Clone(stdout), func(line string) bool { return !isNote(line) })
		stdout = slices.DeleteFunc(stdout, isNote)
	}
	var wantStdout, wantStderr []string
	for i := 1; i <= 300; i++ {
		wantStdout = append(wantStdout, fmt.Sprintf("line %d", i))
		if i%10 == 0 {
			wantStderr = append(wantStderr, fmt.Sprintf("note %d", i))
		}
	}
	require.Equal(e.t, append(wantStdout, `OUTPUT: {"lines": 300}`), stdout)
	require.Equal(e.t, wantStderr, stderr)
}
