package httpapi_test

import (
	"testing"

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
