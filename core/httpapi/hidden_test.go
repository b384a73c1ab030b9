package httpapi_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/stroem/stroem/core"
	"github.com/stroem/stroem/core/access"
	"github.com/stroem/stroem/core/api"
	"github.com/stroem/stroem/core/httpapi"
)

// A name that two webhooks have tells nobody of a workspace or a task that is hidden from them.
func TestWarningsDoNotTellWhatIsHidden(t *testing.T) {
	t.Parallel()
	b := newBundle(t, secured, func(b *bundle, c *httpapi.Config) {
		for trigger, name := range map[string]string{"a": "open", "b": "typed"} {
			b.loaded["vault"].Triggers[trigger] = &core.Trigger{Type: "webhook", Name: name, Task: "secretive", Enabled: true}
		}
		c.Policy = access.New([]access.Rule{
			{Workspace: "vault", Allow: access.LevelNone}, {Workspace: "default", Tasks: []string{"needy"}, Allow: access.LevelNone},
		})
	})
	list := into[[]api.Workspace](t, b.as("operator").get("/api/workspaces"))
	require.Equal(t, "default", list[0].Name)
	require.Equal(t, []api.Diagnostic{{Message: "the webhook name 'open' is used in the workspaces default, a hidden one: requests go to default"}}, list[0].Warnings)
	list = into[[]api.Workspace](t, b.as("admin").get("/api/workspaces"))
	require.Len(t, list[0].Warnings, 2)
	require.Contains(t, list[0].Warnings[0].Message, "default, vault")
}

// A job that may be seen does not name the task whose hook has started it, if that is hidden.
func TestJobsOfHooksDoNotNameHiddenTasks(t *testing.T) {
	t.Parallel()
	b := newBundle(t, secured, func(b *bundle, c *httpapi.Config) {
		b.loaded["default"].Actions["run"] = &core.Action{Type: core.TypeTask, Task: "task"}
		b.loaded["default"].Tasks["hush"] = &core.Task{
			Flow: map[string]core.FlowStep{"a": {Action: "act"}}, OnSuccess: []core.Hook{{Action: "run"}},
		}
		c.Policy = access.New([]access.Rule{{Workspace: "default", Tasks: []string{"hush"}, Allow: access.LevelNone}})
	})
	admin := b.as("admin")
	id := into[api.ExecuteResponse](t, admin.do(call{method: "POST", path: "/api/workspaces/default/tasks/hush/execute"})).JobID
	worker := b.register("w")
	step := b.claim(worker)
	for _, c := range []call{
		{path: "/worker/steps/start", body: `{"steps":[{"step_id":` + fmt.Sprint(step.StepID) + `,"lease":"` + step.Lease + `"}]}`},
		{path: "/worker/steps/complete", body: `{"completions":[{"step_id":` + fmt.Sprint(step.StepID) + `,"lease":"` + step.Lease + `","exit_code":0}]}`},
	} {
		c.method, c.token = "POST", worker
		a := b.do(c)
		require.Contains(t, string(a.body), "accepted", "%s", a.body)
	}
	var hooks []api.Job
	require.Eventually(t, func() bool {
		hooks = into[api.JobDetail](t, admin.get("/api/jobs/"+id)).HookJobs
		return len(hooks) == 1
	}, 10*time.Second, 10*time.Millisecond)
	require.Contains(t, *hooks[0].SourceID, "hush")
	operator := b.as("operator")
	list := operator.get("/api/jobs")
	require.Len(t, into[[]api.Job](t, list), 1)
	for _, a := range []answer{list, operator.get("/api/jobs/" + hooks[0].JobID)} {
		require.Equal(t, 200, a.status)
		require.NotContains(t, string(a.body), "hush")
	}
}
