package server

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/stroem/stroem/core"
	"github.com/stroem/stroem/core/auth"
	"github.com/stroem/stroem/core/config"
	"github.com/stroem/stroem/core/coretest"
)

// recorded is an audit log that keeps its entries for the test.
type recorded struct {
	entries []core.AuditEntry
	err     error
}

func (r *recorded) RecordAudit(_ context.Context, entries ...core.AuditEntry) error {
	r.entries = append(r.entries, entries...)
	return r.err
}

func TestChangesOfUsersAreRecorded(t *testing.T) {
	t.Parallel()
	users, err := OpenUsers(t.Context(), config.DB{URL: config.Secret(coretest.Postgres(t)), Timeout: 30 * time.Second}, "root")
	require.NoError(t, err)
	defer users.Close()
	log := &recorded{}
	users.audit = log
	const email = "ada@example.org"
	_, err = users.Add(t.Context(), auth.NewUser{Email: email, Role: core.RoleViewer})
	require.NoError(t, err)
	_, err = users.SetRole(t.Context(), "ADA@example.org", core.RoleOperator)
	require.NoError(t, err)
	_, err = users.SetDisabled(t.Context(), email, true)
	require.NoError(t, err)
	_, err = users.SetPassword(t.Context(), email, "correct horse")
	require.NoError(t, err)
	entry := func(action string, details map[string]any) core.AuditEntry {
		return core.AuditEntry{
			Actor: core.Actor{Type: core.ActorOperator, Name: "root"}, Action: action, Target: email, Result: core.AuditOK, Details: details,
		}
	}
	require.Equal(t, []core.AuditEntry{
		entry("user.create", map[string]any{"role": "viewer"}), entry("user.change", map[string]any{"role": "operator"}),
		entry("user.change", map[string]any{"disabled": true}), entry("user.change", map[string]any{"password": "changed"}),
	}, log.entries)

	_, err = users.SetPassword(t.Context(), email, "short")
	require.Error(t, err)
	_, err = users.SetRole(t.Context(), "nobody@example.org", core.RoleAdmin)
	require.Error(t, err)
	require.Len(t, log.entries, 4, "what did not happen is not in it")

	log.err = errors.New("no")
	_, err = users.SetDisabled(t.Context(), email, false)
	require.ErrorContains(t, err, "was changed, and that is not in the audit log")
}
