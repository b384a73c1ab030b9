package httpapi_test

import (
	"context"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/stroem/stroem/core"
	"github.com/stroem/stroem/core/api"
)

// tarball asks for a tarball as a worker does.
func (b *bundle) tarball(token, path, lease string, match ...string) answer {
	b.t.Helper()
	header := map[string]string{}
	if lease != "" {
		header["X-Stroem-Lease"] = lease
	}
	for _, tag := range match {
		header["If-None-Match"] = tag
	}
	return b.do(call{method: "GET", path: path, token: token, header: header})
}

func TestTarball(t *testing.T) {
	t.Parallel()
	b := newBundle(t)
	token := b.register("w")
	b.execute()
	step := b.claim(token)
	require.Equal(t, "digest1", step.RevisionDigest)
	of := "?step_id=" + strconv.FormatInt(step.StepID, 10)
	require.Equal(t, "/worker/workspace/default.tar.gz?revision=rev-1&"+of[1:], step.WorkspaceURL)
	for _, path := range []string{step.WorkspaceURL, "/worker/workspace/default.tar.gz" + of, "/worker/workspace/default" + of} {
		a := b.tarball(token, path, step.Lease, `"other"`)
		require.Equal(t, http.StatusOK, a.status, path)
		require.Equal(t, "a tarball", string(a.body))
		require.Equal(t, "application/gzip", a.header.Get("Content-Type"))
		require.Equal(t, `"rev-1"`, a.header.Get("ETag"))
		require.Equal(t, "rev-1", a.header.Get("X-Revision"))
	}
	for match, status := range map[string]int{
		`"rev-1"`: 304, "rev-1": 304, `"a", "rev-1"`: 304, `W/"rev-1"`: 200, `"rev-10"`: 200, "rev": 200, `""`: 200,
	} {
		a := b.tarball(token, step.WorkspaceURL, step.Lease, match)
		require.Equal(t, status, a.status, match)
		require.Equal(t, `"rev-1"`, a.header.Get("ETag"), "a 304 has it too")
		require.Equal(t, "rev-1", a.header.Get("X-Revision"))
		if status == http.StatusNotModified {
			require.Empty(t, a.body)
		}
	}
	requireError(t, b.get(step.WorkspaceURL), 401)
	requireError(t, b.tarball(workerToken, step.WorkspaceURL, step.Lease), 401)
	for _, path := range []string{"nope.tar.gz" + of, "nope", ".tar.gz" + of, "..%2Fdefault.tar.gz" + of, "default.tar.gz.tar.gz" + of} {
		requireError(t, b.tarball(token, "/worker/workspace/"+path, step.Lease), 404, "not found")
	}
	requireError(t, b.tarball(token, "/worker/workspace/default?step_id=x", step.Lease), 400, "step_id")
	requireError(t, b.tarball(token, "/worker/workspace/default?step_id=0", step.Lease), 400, "step_id")
}

// A worker gets the files of workspaces whose steps it runs, and no others.
func TestTarballNeedsALease(t *testing.T) {
	t.Parallel()
	b := newBundle(t)
	token, other := b.register("w"), b.register("other")
	b.execute()
	step := b.claim(token)
	of := "step_id=" + strconv.FormatInt(step.StepID, 10)
	for name, a := range map[string]answer{
		"no lease":           b.tarball(token, step.WorkspaceURL, ""),
		"a wrong lease":      b.tarball(token, step.WorkspaceURL, step.Lease[1:]+step.Lease[:1]+"x"),
		"no step":            b.tarball(token, "/worker/workspace/default.tar.gz?revision=rev-1", step.Lease),
		"another step":       b.tarball(token, "/worker/workspace/default.tar.gz?step_id=99999999", step.Lease),
		"another worker":     b.tarball(other, step.WorkspaceURL, step.Lease),
		"another workspace":  b.tarball(token, "/worker/workspace/other.tar.gz?"+of, step.Lease),
		"another revision":   b.tarball(token, "/worker/workspace/default.tar.gz?revision=rev-0&"+of, step.Lease),
		"no revision at all": b.tarball(token, "/worker/workspace/default.tar.gz?revision=..%2F..&"+of, step.Lease),
	} {
		require.Equal(t, http.StatusForbidden, a.status, name)
		requireError(t, a, 403, "lease")
	}

	// A new revision comes: the job has its own, and may have the new one, too.
	b.workspaces.mu.Lock()
	b.workspaces.revision = "rev-2"
	b.workspaces.mu.Unlock()
	require.NoError(t, os.WriteFile(filepath.Join(b.workspaces.dir, "default-rev-2-digest1.tar.gz"), []byte("newer"), 0o600))
	require.Equal(t, "a tarball", string(b.tarball(token, step.WorkspaceURL, step.Lease).body))
	newer := b.tarball(token, "/worker/workspace/default.tar.gz?"+of, step.Lease, "rev-1")
	require.Equal(t, "newer", string(newer.body), "without a revision it is the current one")
	require.Equal(t, `"rev-2"`, newer.header.Get("ETag"))
	require.Equal(t, http.StatusNotModified, b.tarball(token, "/worker/workspace/default.tar.gz?"+of, step.Lease, "rev-2").status)
	require.NoError(t, os.Remove(filepath.Join(b.workspaces.dir, "default-rev-1-digest1.tar.gz")))
	gone := b.tarball(token, step.WorkspaceURL, step.Lease)
	requireError(t, gone, 404, `has no revision "rev-1"`)
	require.Empty(t, gone.header.Get("ETag"))

	into[api.Status](t, b.do(call{
		method: "POST", path: "/worker/jobs/" + step.JobID + "/steps/a/start", token: token, body: "{}", header: map[string]string{"X-Stroem-Lease": step.Lease},
	}))
	require.Equal(t, http.StatusOK, b.tarball(token, "/worker/workspace/default?"+of, step.Lease).status, "it runs")
	into[api.Status](t, b.do(call{
		method: "POST", path: "/worker/jobs/" + step.JobID + "/steps/a/complete", token: token, body: `{}`, header: map[string]string{"X-Stroem-Lease": step.Lease},
	}))
	requireError(t, b.tarball(token, "/worker/workspace/default?"+of, step.Lease), 409, "step has ended")
}

// A workspace token opens the files of its step's revision, as long as the attempt lasts, and nothing else.
func TestWorkspaceToken(t *testing.T) {
	t.Parallel()
	b := newBundle(t)
	token, other := b.register("w"), b.register("other")
	b.execute()
	step := b.claim(token)
	ask := func(token, lease string) answer {
		return b.do(call{
			method: "POST", path: "/worker/steps/workspace_token", token: token, header: map[string]string{"X-Stroem-Lease": lease},
			body: `{"step_id": ` + strconv.FormatInt(step.StepID, 10) + `}`,
		})
	}
	requireError(t, ask(other, step.Lease), 403, "lease")
	requireError(t, ask(token, step.Lease[1:]), 403, "lease")
	a := ask(token, step.Lease)
	b.validateAs("post", "/worker/steps/workspace_token", a)
	made := into[api.WorkspaceToken](t, a)
	require.WithinRange(t, made.ExpiresAt, time.Now().Add(59*time.Minute), time.Now().Add(time.Hour))

	require.Equal(t, "a tarball", string(b.tarball(made.Token, step.WorkspaceURL, "").body))
	of := "step_id=" + strconv.FormatInt(step.StepID, 10)
	for name, path := range map[string]string{
		"another workspace": "/worker/workspace/other.tar.gz?revision=rev-1&" + of,
		"another revision":  "/worker/workspace/default.tar.gz?revision=rev-2&" + of,
		"no revision":       "/worker/workspace/default.tar.gz?" + of,
		"another step":      "/worker/workspace/default.tar.gz?revision=rev-1&step_id=1",
	} {
		requireError(t, b.tarball(made.Token, path, ""), 401, "workspace token")
		require.NotEqual(t, step.WorkspaceURL, path, name)
	}
	for name, wrong := range map[string]string{
		"changed": made.Token[:len(made.Token)-4] + "AAAA", "cut": made.Token[:len(made.Token)-8], "empty": "stroem_ws_",
		"no base64": "stroem_ws_%%%", "a lease": "stroem_ws_" + step.Lease,
	} {
		require.Equal(t, http.StatusUnauthorized, b.tarball(wrong, step.WorkspaceURL, "").status, name)
	}
	for _, path := range []string{"/worker/heartbeat", "/worker/steps/complete", "/worker/jobs/claim", "/worker/steps/workspace_token", "/worker/register"} {
		require.Equal(t, http.StatusUnauthorized, b.do(call{method: "POST", path: path, token: made.Token, body: "{}"}).status, path)
	}
	for _, path := range []string{"start", "complete"} {
		into[api.Status](t, b.do(call{
			method: "POST", path: "/worker/jobs/" + step.JobID + "/steps/a/" + path, token: token, body: "{}", header: map[string]string{"X-Stroem-Lease": step.Lease},
		}))
	}
	requireError(t, b.tarball(made.Token, step.WorkspaceURL, ""), 401, "its step has ended")
}

func TestRefreshWorkspace(t *testing.T) {
	t.Parallel()
	b := newBundle(t)
	refresh := func(name string) answer {
		return b.do(call{method: "POST", path: "/api/workspaces/" + name + "/refresh"})
	}
	at := time.Date(2026, 1, 2, 2, 4, 5, 0, time.UTC)
	revision := "rev-1"
	good := api.Workspace{
		Name: "default", TasksCount: 2, ActionsCount: 1, Revision: &revision,
		Sync: &api.WorkspaceSync{Revision: "rev-1", Author: "Ada", Message: "made it", Time: &at, CheckedAt: &at},
	}
	a := refresh("default")
	require.Equal(t, good, into[api.Workspace](t, a))
	require.Contains(t, string(a.body), `"checked_at":"2026-01-02T02:04:05Z"`)
	b.validateAs("post", "/api/workspaces/{ws}/refresh", a)
	requireError(t, refresh("nope"), 404, "Workspace 'nope' not found")
	require.Equal(t, []string{"default"}, b.workspaces.refreshed)

	// What is wrong with the newest revision is told with the workspace, which is in use as it was.
	b.workspaces.refresh = func(context.Context) (string, error) {
		return "it is broken", core.Errorf(core.CodeInvalid, "", "it is broken")
	}
	good.Error = "it is broken"
	good.Errors = []api.Diagnostic{{File: "a.yaml", Line: 3, Column: 5, Message: "it is broken"}}
	good.Warnings = []api.Diagnostic{{File: "a.yaml", Line: 1, Column: 1, Message: "doubtful"}}
	require.Equal(t, good, into[api.Workspace](t, refresh("default")))
	require.Contains(t, into[[]api.Workspace](t, b.get("/api/workspaces")), good, "the list has it, too")
	b.validate("/api/workspaces", b.get("/api/workspaces"))
}

// A refresh that waits for a source does not hold up the end of the server.
func TestRefreshEndsWithTheServer(t *testing.T) {
	t.Parallel()
	b := newBundle(t)
	asked := make(chan struct{})
	b.workspaces.refresh = func(ctx context.Context) (string, error) {
		close(asked)
		<-ctx.Done()
		return "", ctx.Err()
	}
	answered := make(chan answer, 1)
	go func() { answered <- b.of(t).do(call{method: "POST", path: "/api/workspaces/default/refresh"}) }()
	<-asked
	require.NoError(t, b.api.Shutdown(t.Context()))
	requireError(t, <-answered, 503, "stopping")
}

// What a workspace has is nothing to the others.
func TestWorkspacesAreIsolated(t *testing.T) {
	t.Parallel()
	b := newBundle(t)
	b.workspaces.loaded["other"].Tasks = map[string]*core.Task{"own": {Flow: map[string]core.FlowStep{"a": {Action: "act"}}}}
	require.Len(t, into[[]api.TaskItem](t, b.get("/api/workspaces/other/tasks")), 1)
	requireError(t, b.get("/api/workspaces/other/tasks/task"), 404, "Task not found")
	requireError(t, b.get("/api/workspaces/default/tasks/own"), 404, "Task not found")
	requireError(t, b.do(call{method: "POST", path: "/api/workspaces/other/tasks/task/execute"}), 404, "Task not found")
	require.NotEqual(t, http.StatusOK, b.do(call{method: "POST", path: "/api/workspaces/other/tasks/own/execute"}).status,
		"the action is another workspace's")
	b.execute()
	require.Empty(t, into[[]api.Job](t, b.get("/api/jobs?workspace=other")))
	require.Equal(t, "default", into[[]api.Job](t, b.get("/api/jobs?workspace=default"))[0].Workspace)
}
