package e2e

import (
	"context"
	"fmt"
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
	for _, victim := range []string{"worker", "plugin"} {
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
			if victim == "plugin" {
				require.NoError(t, syscall.Kill(child(t, w.pid(), e.plugin), syscall.SIGKILL))
			} else {
				w.kill()
				e.startWorker(s, "w", 1)
			}
			job := s.wait(id)
			require.Equal(t, "completed", job.Status)
			require.Equal(t, "failed", job.Steps[0].Status)
			require.Contains(t, *job.Steps[0].ErrorMessage, "Exit code: 3")
			var want []string
			for i := range 300 {
				want = append(want, fmt.Sprintf("line %d", i+1))
			}
			require.Equal(t, append(want, `OUTPUT: {"lines": 300}`), s.linesOf(id)["stdout"])
			require.Empty(t, s.scratch("w"))
			e.nothingLeft(s)
		})
	}
}
