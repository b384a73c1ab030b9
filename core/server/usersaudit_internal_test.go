package server

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/stroem/stroem/core"
	"github.com/stroem/stroem/core/auth"
	"github.com/stroem/stroem/core/config"
	"github.com/stroem/stroem/core/coretest"
)

func TestChangesOfUsersAreRecorded(t *testing.T) {
	t.Parallel()
	users, err := OpenUsers(t.Context(), config.DB{URL: config.Secret(coretest.Postgres(t)), Timeout: 30 * time.Second}, "root")
	require.NoError(t, err)
	defer users.Close()
	const email = "ada@example.org"
	_, err = users.Add(t.Context(), auth.NewUser{Email: email, Role: core.RoleViewer})
	require.NoError(t, err)
	_, err = users.SetRole(t.Context(), "ADA@example.org", core.RoleOperator)
	require.NoError(t, err)
	_, err = users.SetDisabled(t.Context(), email, true)
	require.NoError(t, err)
	_, err = users.SetPassword(t.Context(), email, "correct horse")
	require.NoError(t, err)
	_, err = users.SetPassword(t.Context(), email, "short")
	require.Error(t, err)
	_, err = users.SetRole(t.Context(), "nobody@example.org", core.RoleAdmin)
	require.Error(t, err)

	entries, _, err := users.store.Audit(t.Context(), core.AuditFilter{Limit: 10})
	require.NoError(t, err)
	want := []struct {
		action  string
		details map[string]any
	}{ // newest first; what did not happen is not in it
		{"user.change", map[string]any{"password": "changed"}},
		{"user.change", map[string]any{"disabled": true}},
		{"user.change", map[string]any{"role": "operator"}},
		{"user.create", map[string]any{"role": "viewer"}},
	}
	require.Len(t, entries, len(want))
	for i, entry := range entries {
		require.Equal(t, core.Actor{Type: core.ActorOperator, Name: "root"}, entry.Actor)
		require.Equal(t, email, entry.Target)
		require.Equal(t, core.AuditOK, entry.Result)
		require.Equal(t, want[i].action, entry.Action)
		require.Equal(t, want[i].details, entry.Details)
	}
}
