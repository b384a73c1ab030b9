package e2e

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/stroem/stroem/core/coretest"
)

const late = `
actions:
  late:
    type: shell
    tags: [frozen]
    cmd: |
      echo ran >>"DIR/late"
      while ! [ -e "DIR/released" ]; do sleep 0.05; done
      echo ran >>"DIR/done"
  near: {type: shell, cmd: "true", tags: [frozen]}
  tell: {type: shell, tags: [other], cmd: 'echo told >>"DIR/told"'}
tasks:
  near: {flow: {s: {action: near}}}
  late:
    flow: {s: {action: late}}
    on_success: [{action: tell}]
    on_error: [{action: tell}]
`

// A worker that is stopped for longer than its heartbeat may take is given up, and the hooks of its job fire. Its step ends
// well in the meantime; when the worker goes on and says so, it is too late: the job stays as it is, and nothing is told again.
func TestALateCompletionIsRefused(t *testing.T) {
	t.Parallel()
	dir, database := t.TempDir(), coretest.Postgres(t)
	s := newSystemOn(t, database, workspace(t, strings.ReplaceAll(late, "DIR", dir)), hasty)
	frozen := s.startWorker("frozen", settings{"tags": []string{"frozen"}, "max_concurrent": 4})
	s.startWorker("other", settings{"tags": []string{"other"}})
	id := s.execute("default", "late", nil)
	s.eventually("the step runs", func(context.Context) bool { return runsOf(t, dir)["late"] == 1 })
	frozen.freeze()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "released"), nil, 0o600))
	s.eventually("the step has ended well", func(context.Context) bool { return runsOf(t, dir)["done"] == 1 })
	before := s.wait(id)
	require.Equal(t, "failed", before.Status)
	require.Contains(t, *before.Steps[0].ErrorMessage, "Worker heartbeat timeout")
	require.Len(t, before.HookJobs, 1)
	require.Equal(t, "completed", s.wait(before.HookJobs[0].JobID).Status)
	require.Equal(t, 1, runsOf(t, dir)["told"], "its fate is told")
	before = s.wait(id) // with its hook

	conn, err := pgx.Connect(t.Context(), database)
	require.NoError(t, err)
	defer func() { require.NoError(t, conn.Close(context.WithoutCancel(t.Context()))) }()
	var unheard bool
	reported := func(ctx context.Context) bool {
		require.NoError(t, conn.QueryRow(ctx, "select stop_reason is not null from job_step where job_id = $1", id).Scan(&unheard))
		return !unheard
	}
	require.False(t, reported(t.Context()), "nobody has said yet how it ended")
	s.thaw(frozen)
	s.eventually("the worker has said how it ended", reported)
	after, err := s.Job(t.Context(), id, 0)
	require.NoError(t, err)
	require.Equal(t, before, after)
	var hooks int
	require.NoError(t, conn.QueryRow(t.Context(), "select count(*) from job where origin_job_id = $1", id).Scan(&hooks))
	require.Equal(t, 1, hooks, "and nothing is told twice")
	require.Equal(t, map[string]int{"late": 1, "done": 1, "told": 1, "released": 0}, runsOf(t, dir))
}
