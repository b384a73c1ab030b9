package e2e

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/stroem/stroem/core/client"
)

// A job sees one revision from its first step to its last, on whatever worker; the next job sees the newest one.
func TestAJobKeepsItsRevision(t *testing.T) {
	t.Parallel()
	gate := filepath.Join(t.TempDir(), "gate")
	workspaces := workspace(t, `
actions:
  wait: {type: shell, cmd: "cat version; until test -e '`+gate+`'; do sleep 0.05; done", tags: [first]}
  show: {type: shell, cmd: "cat version", tags: [second]}
tasks:
  both: {flow: {wait: {action: wait}, show: {action: show, depends_on: [wait]}}}
  show: {flow: {show: {action: show}}}
`)
	version := filepath.Join(workspaces["default"], "version")
	require.NoError(t, os.WriteFile(version, []byte("version-1\n"), 0o600))
	s := newSystem(t, workspaces, nil)
	s.startWorker("one", settings{"tags": []string{"first"}})
	s.startWorker("two", settings{"tags": []string{"second"}})
	old := s.execute("default", "both", nil)
	s.eventually("the first step runs", func(ctx context.Context) bool {
		logs, err := s.Logs(ctx, old, client.LogQuery{})
		return err == nil && strings.Contains(logs.Logs, "version-1")
	})

	require.NoError(t, os.WriteFile(version, []byte("version-2\n"), 0o600))
	refreshed := s.stroem("workspaces", "refresh", "default")
	require.Zero(t, refreshed.code, refreshed.stderr)
	next := s.wait(s.execute("default", "show", nil))
	require.Equal(t, "completed", next.Status)
	require.Contains(t, s.stepLog(next.JobID, "show"), "version-2")
	require.NoError(t, os.WriteFile(gate, nil, 0o600))
	job := s.wait(old)
	require.Equal(t, "completed", job.Status, describeSteps(job))
	require.NotEqual(t, *next.Revision, *job.Revision)
	require.Contains(t, s.stepLog(old, "show"), "version-1", "on a worker that has the newer revision alone")

	list, err := s.Workspaces(t.Context())
	require.NoError(t, err)
	require.Equal(t, *next.Revision, *list[0].Revision)
	require.Equal(t, *next.Revision, list[0].Sync.Revision)
	require.NotNil(t, list[0].Sync.CheckedAt)
}

func (s *system) stepLog(job, step string) string {
	s.t.Helper()
	logs, err := s.Logs(s.t.Context(), job, client.LogQuery{Step: step})
	require.NoError(s.t, err)
	return logs.Logs
}

// Workspaces that are bad in each their own way say so, and the good one beside them works.
func TestBadWorkspacesLeaveOthersAlone(t *testing.T) {
	t.Parallel()
	good := workspace(t, "actions: {a: {type: shell, cmd: 'echo hello'}}\ntasks: {t: {flow: {a: {action: a}}}}\n")["default"]
	broken, away := t.TempDir(), filepath.Join(t.TempDir(), "away")
	require.NoError(t, os.MkdirAll(filepath.Join(broken, ".workflows"), 0o755))
	for name, content := range map[string]string{"a.yaml": "tasks:\n  t: {flow: {x: {action: nope}}}\n", "b.yaml": "tasks: [\n", "c.yaml": "actions: {}\n"} {
		require.NoError(t, os.WriteFile(filepath.Join(broken, ".workflows", name), []byte(content), 0o600))
	}
	s := newSystem(t, nil, settings{"workspaces": settings{
		"good": settings{"type": "folder", "path": good}, "broken": settings{"type": "folder", "path": broken},
		"away":   settings{"type": "folder", "path": away},
		"absent": settings{"type": "acme.vault", "token": "hunter2"},
	}})
	s.startWorker("w", nil)
	require.Equal(t, "completed", s.wait(s.execute("good", "t", nil)).Status)
	list, err := s.Workspaces(t.Context())
	require.NoError(t, err)
	errs, files := map[string]string{}, map[string]bool{}
	for _, w := range list {
		errs[w.Name] = w.Error
		for _, e := range w.Errors {
			files[w.Name+" "+filepath.Base(e.File)] = e.Line > 0 && e.Column > 0
		}
	}
	require.Empty(t, errs["good"])
	require.Contains(t, errs["broken"], "has errors: .workflows/a.yaml:2:")
	require.Equal(t, map[string]bool{"broken a.yaml": true, "broken b.yaml": true}, files, "each file with its own")
	require.Contains(t, errs["away"], "does not exist")
	require.Contains(t, errs["absent"], "there is no file ")

	tasks := s.stroem("tasks")
	require.Zero(t, tasks.code)
	require.Regexp(t, `(?m)^t +good `, tasks.stdout)
	require.Contains(t, tasks.stderr, "Workspace away has no tasks yet: ")
	refreshed := s.stroem("workspaces", "refresh", "broken")
	require.Equal(t, 1, refreshed.code)
	require.Contains(t, refreshed.stderr, ".workflows/a.yaml:2:")
	require.Contains(t, refreshed.stderr, ".workflows/b.yaml:")

	require.NoError(t, os.Mkdir(away, 0o755))
	refreshed = s.stroem("workspaces", "refresh", "away")
	require.Zero(t, refreshed.code, refreshed.stderr)
	require.NotContains(t, s.server.log.String(), "hunter2")
}
