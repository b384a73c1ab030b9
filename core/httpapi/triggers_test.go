package httpapi_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/stroem/stroem/core"
	"github.com/stroem/stroem/core/api"
)

// TestTriggersTellOfTheirLastUse looks at fires and deliveries beside the triggers that they are of.
func TestTriggersTellOfTheirLastUse(t *testing.T) {
	t.Parallel()
	b := newBundle(t)
	at := time.Date(2026, 3, 4, 3, 0, 0, 0, time.UTC)
	for i, reason := range []string{"an older one", "Task not found"} {
		require.NoError(t, b.store.RecordFire(t.Context(), core.Fire{
			Workspace: "default", Trigger: "nightly", At: at.Add(time.Duration(i) * time.Hour), Reason: reason,
		}))
	}
	accepted := into[api.WebhookAccepted](t, b.do(call{method: "POST", path: "/hooks/open", body: "{}"}))
	require.Equal(t, 401, b.do(call{method: "POST", path: "/hooks/push"}).status)
	uses := map[string]*api.TriggerUse{}
	for _, trigger := range into[[]api.Trigger](t, b.get("/api/workspaces/default/triggers")) {
		uses[trigger.Name] = trigger.Last
	}
	require.Len(t, uses, 7)
	require.Equal(t, "Task not found", *uses["nightly"].Reason)
	require.WithinDuration(t, time.Now(), uses["nightly"].At, time.Minute)
	require.Equal(t, accepted.JobID, *uses["open"].JobID)
	require.Nil(t, uses["open"].Reason)
	require.Nil(t, uses["push"].JobID)
	require.Equal(t, "no secret and no signature", *uses["push"].Reason)
	require.Nil(t, uses["off"])
	require.Nil(t, uses["typed"])
}
