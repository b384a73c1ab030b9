package e2e

import (
	"context"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// Tokens of workers change with a server that is started anew, while a step runs that could not be taken up: first the token that
// its worker has is called otherwise, then there is another one, to which the worker is moved; then the old one goes.
func TestTokensAreRotatedWithoutLoss(t *testing.T) {
	t.Parallel()
	const newer = "another token of the end-to-end tests"
	s := newSystem(t, workspace(t, counted), nil)
	restart := func(config settings) {
		t.Helper()
		s.server.stop()
		delete(s.serverConfig, "worker_token")
		s.serverConfig["worker_tokens"] = config
		s.startServer()
	}
	running := func(dir string) string {
		t.Helper()
		id := s.execute("default", "count", map[string]any{"dir": dir, "hold": true})
		s.eventually("the step runs", func(context.Context) bool { return runsOf(t, dir)[id+".first"] == 1 })
		return id
	}
	end := func(dir, id string) {
		t.Helper()
		require.NoError(t, os.WriteFile(filepath.Join(dir, "released"), nil, 0o600))
		job := s.wait(id)
		require.Equal(t, "completed", job.Status, "%s", describeSteps(job))
		require.Equal(t, map[string]int{id + ".first": 1, id + ".second": 1, "released": 0}, runsOf(t, dir), "nothing runs twice")
	}
	w := s.startWorker("w", settings{"drain_secs": 60})
	dir := t.TempDir()
	id := running(dir)
	old := settings{"token": token, "workers": []string{"w*"}, "tags": []string{"shell"}}
	restart(settings{"old": old})
	s.eventually("the worker goes on under the name that its token has now", func(ctx context.Context) bool {
		workers, err := s.Workers(ctx, 10, 0)
		require.NoError(t, err)
		require.Len(t, workers, 1, "it is the same worker")
		return workers[0].TokenName == "old"
	})
	end(dir, id)

	restart(settings{"old": old, "new": settings{"token": newer}})
	dir = t.TempDir()
	id = running(dir)
	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		w.stop() // waits for its step
	}()
	s.startWorker("w2", settings{"worker_token": newer})
	end(dir, id)
	<-stopped
	restart(settings{"new": settings{"token": newer}})
	dir = t.TempDir()
	end(dir, running(dir))

	late := start(t, "late", "stroem-worker", filepath.Join(s.dir, "w.yaml"))
	<-late.done
	require.Contains(t, late.log.String(), "register: Server returned 401: Invalid worker token")
}

func TestAWorkerIsRevoked(t *testing.T) {
	t.Parallel()
	s := newSystem(t, workspace(t, counted), nil)
	w := s.startWorker("w", nil)
	dir := t.TempDir()
	id := s.execute("default", "count", map[string]any{"dir": dir, "hold": true})
	s.eventually("the step runs", func(context.Context) bool { return runsOf(t, dir)[id+".first"] == 1 })
	got := s.stroem("worker", "revoke", "w")
	require.Zero(t, got.code, got.stderr)
	require.Equal(t, "Worker w is revoked: 1 step that it was running has ended as failed or cancelled. "+
		"Nobody registers under its name until: stroem worker revoke w --undo\n", got.stdout)
	job := s.wait(id)
	require.Equal(t, "failed", job.Status)
	require.Contains(t, *job.Steps[0].ErrorMessage, "Worker revoked")
	<-w.done
	require.Contains(t, w.log.String(), "stroem-worker: this worker was revoked")
	require.Regexp(t, `(?m)^w +revoked +shell +default `, s.stroem("worker", "list").stdout)
	again := start(t, "again", "stroem-worker", filepath.Join(s.dir, "w.yaml"))
	<-again.done
	require.Contains(t, again.log.String(), "register: Server returned 403: This worker was revoked.")

	id = s.execute("default", "count", map[string]any{"dir": t.TempDir()})
	require.Equal(t, "Workers may register as w again.\n", s.stroem("worker", "revoke", "w", "--undo").stdout)
	s.startWorker("w", nil)
	require.Equal(t, "completed", s.wait(id).Status)
}
