package httpapi_test

import (
	"encoding/json"
	"net/http"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/stroem/stroem/core"
	"github.com/stroem/stroem/core/access"
	"github.com/stroem/stroem/core/api"
	"github.com/stroem/stroem/core/httpapi"
)

// storeJob stores a job without steps.
func (b *bundle) storeJob(task string, source core.SourceType, sourceID string) string {
	b.t.Helper()
	id := uuid.Must(uuid.NewV7())
	require.NoError(b.t, b.store.CreateJobs(b.t.Context(), []core.NewJob{{
		Job: core.Job{
			ID: id, Workspace: "default", TaskName: task, Mode: "distributed", Status: core.JobPending, SourceType: source, SourceID: sourceID,
			DefinitionHash: []byte("hash"), Input: json.RawMessage(`{}`),
		},
		Definition: json.RawMessage(`{"task":{"flow":{}},"actions":{}}`),
	}}))
	return id.String()
}

// TestRulesOfAccess looks at all that tells of a task at what is hidden, and what may be seen alone.
func TestRulesOfAccess(t *testing.T) {
	t.Parallel()
	b := newBundle(t, secured, func(_ *bundle, c *httpapi.Config) {
		c.Policy = access.New([]access.Rule{
			{Workspace: "default", Tasks: []string{"needy"}, Allow: access.LevelNone},
			{Workspace: "default", Tasks: []string{"deep/*"}, Allow: access.LevelView},
			{Workspace: "v*", Allow: access.LevelNone},
		})
	})
	operator, viewer, admin := b.as("operator"), b.as("viewer"), b.as("admin")
	const hook = "/01999b6e-0000-7000-8000-000000000000/on_error[0]"
	hidden := []string{b.storeJob("needy", core.SourceTrigger, ""), b.storeJob("_hook:tell", core.SourceHook, "default/needy"+hook)}
	shown := []string{b.storeJob("task", core.SourceTrigger, ""), b.storeJob("_hook:tell", core.SourceHook, "default/task"+hook)}
	viewed := b.storeJob("deep/typed", core.SourceTrigger, "")
	ids := func(a answer) (list []string) {
		for _, job := range into[[]api.Job](t, a) {
			list = append(list, job.JobID)
		}
		return list
	}
	for name, who := range map[string]*bundle{"operator": operator, "viewer": viewer} {
		for _, id := range hidden {
			for _, path := range []string{"", "/logs", "/steps/a/logs"} {
				requireError(t, who.get("/api/jobs/"+id+path), http.StatusNotFound, "Job not found")
			}
		}
		requireError(t, operator.do(call{method: "POST", path: "/api/jobs/" + hidden[0] + "/cancel"}), http.StatusNotFound, "Job not found")
		list := who.get("/api/jobs?limit=2")
		require.Equal(t, "3", list.header.Get("X-Total-Count"), name)
		require.ElementsMatch(t, append(shown, viewed), ids(who.get("/api/jobs")), name)
		require.Empty(t, ids(who.get("/api/jobs?workspace=default&task_name=needy")), name)
		for _, id := range append(shown, viewed) {
			require.Equal(t, http.StatusOK, who.get("/api/jobs/"+id).status)
		}
		var workspaces []string
		for _, w := range into[[]api.Workspace](t, who.get("/api/workspaces")) {
			workspaces = append(workspaces, w.Name)
		}
		require.Equal(t, []string{"default", "other"}, workspaces, name)
		var tasks []string
		for _, task := range into[[]api.TaskItem](t, who.get("/api/workspaces/default/tasks")) {
			tasks = append(tasks, task.Name)
		}
		require.Equal(t, []string{"deep/typed", "task"}, tasks, name)
		requireError(t, who.get("/api/workspaces/default/tasks/needy"), http.StatusNotFound, "not found")
		requireError(t, who.get("/api/workspaces/vault/tasks"), http.StatusNotFound, "Workspace 'vault' not found")
		for _, trigger := range into[[]api.Trigger](t, who.get("/api/workspaces/default/triggers")) {
			require.NotEqual(t, "needy", trigger.Task, name)
		}
		requireError(t, who.get("/api/workspaces/default/triggers/typed/deliveries"), http.StatusNotFound, "Trigger not found")
	}
	execute := func(who *bundle, task string) answer {
		return who.do(call{method: "POST", path: "/api/workspaces/default/tasks/" + task + "/execute", body: `{"input":{"n":1}}`})
	}
	requireError(t, execute(operator, "needy"), http.StatusNotFound)
	requireError(t, execute(operator, "deep%2Ftyped"), http.StatusForbidden)
	requireError(t, operator.do(call{method: "POST", path: "/api/jobs/" + viewed + "/cancel"}), http.StatusForbidden)
	requireError(t, execute(viewer, "task"), http.StatusForbidden)
	require.Equal(t, http.StatusOK, execute(operator, "task").status)
	require.Equal(t, http.StatusOK, execute(admin, "needy").status)
	require.Len(t, ids(admin.get("/api/jobs")), 7)
	require.Len(t, into[[]api.Workspace](t, admin.get("/api/workspaces")), 3)
}

// What a trusted proxy says of the protocol counts for cookies and headers.
func TestHTTPSAtAProxy(t *testing.T) {
	t.Parallel()
	said := map[string]string{"X-Forwarded-Proto": "https"}
	b := newBundle(t, func(_ *bundle, c *httpapi.Config) { c.Proxies = local })
	require.NotEmpty(t, b.do(call{method: "GET", path: "/livez", header: said}).header.Get("Strict-Transport-Security"))
	require.Empty(t, b.get("/livez").header.Get("Strict-Transport-Security"))
	require.Empty(t, newBundle(t).do(call{method: "GET", path: "/livez", header: said}).header.Get("Strict-Transport-Security"))
}
