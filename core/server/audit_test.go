package server_test

import (
	"net/url"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/stroem/stroem/core"
	apiv1 "github.com/stroem/stroem/core/api"
	"github.com/stroem/stroem/core/client"
	"github.com/stroem/stroem/core/config"
	"github.com/stroem/stroem/core/coretest"
	"github.com/stroem/stroem/core/postgres"
	"github.com/stroem/stroem/core/version"
)

// audited are the entries of an action, newest first, without what differs each time.
func (a *api) audited(t *testing.T, action string) []apiv1.AuditEntry {
	t.Helper()
	host, err := os.Hostname()
	require.NoError(t, err)
	list, total, err := a.Audit(t.Context(), client.AuditFilter{Actor: "system", Action: action})
	require.NoError(t, err)
	require.Len(t, list, total)
	for i, e := range list {
		require.WithinDuration(t, time.Now(), e.At, time.Minute)
		require.Equal(t, host, e.Actor)
		require.Nil(t, e.RemoteAddress)
		require.Nil(t, e.RequestID)
		list[i] = apiv1.AuditEntry{Target: e.Target, Result: e.Result, Details: e.Details}
	}
	return list
}

// TestStartsAreAudited starts a server twice with one configuration, then with another secret and with another setting.
func TestStartsAreAudited(t *testing.T) {
	t.Parallel()
	c := load(t, coretest.Postgres(t), "")
	var addresses []string
	run := func(c config.Server) []apiv1.AuditEntry {
		api, stop := start(t, c)
		address, err := url.Parse(api.Address)
		require.NoError(t, err)
		addresses = append([]string{address.Host}, addresses...)
		list := api.audited(t, "server.start")
		require.NoError(t, stop())
		return list
	}
	require.Len(t, run(c), 1)
	require.Len(t, run(c), 2)
	c.WorkerToken = "another token for the tests of the server"
	require.Len(t, run(c), 3)
	c.Retention.AuditDays = 7
	list := run(c)
	sum, err := c.Fingerprint()
	require.NoError(t, err)
	require.Equal(t, map[string]any{"version": version.Version, "config_sha256": sum}, list[0].Details)
	require.NotEqual(t, list[0].Details, list[1].Details)
	require.Equal(t, list[1].Details, list[2].Details, "secrets do not show")
	require.Equal(t, list[2].Details, list[3].Details)
	for i, e := range list {
		require.Equal(t, addresses[i], e.Target)
		require.Equal(t, "ok", e.Result)
	}
}

// TestLoadsAreAudited breaks a workspace and mends it.
func TestLoadsAreAudited(t *testing.T) {
	t.Parallel()
	dir := folder(t, map[string]string{"flows.yaml": hello})
	api, _ := start(t, load(t, coretest.Postgres(t), "workspaces: {ops: {type: folder, path: "+dir+"}}"))
	ready(t, api)
	write := func(content string) apiv1.Workspace { // at once, so that no poll sees half of it
		draft := filepath.Join(folder(t, map[string]string{"draft": content}), "draft")
		require.NoError(t, os.Rename(draft, filepath.Join(dir, "flows.yaml")))
		w, err := api.Refresh(t.Context(), "ops")
		require.NoError(t, err)
		return w
	}
	first, err := api.Workspaces(t.Context())
	require.NoError(t, err)
	broken := write("tasks: {x: {flow: {}}}")
	require.NotEmpty(t, broken.Error)
	mended := write(hello + "# another revision\n")
	require.Empty(t, mended.Error)
	list := api.audited(t, "workspace.load")
	require.Len(t, list, 3)
	loaded := func(w apiv1.Workspace) apiv1.AuditEntry {
		return apiv1.AuditEntry{Target: "ops", Result: "ok", Details: map[string]any{"revision": *w.Revision}}
	}
	require.Equal(t, loaded(mended), list[0])
	require.Equal(t, "failed", list[1].Result)
	require.Equal(t, "ops", list[1].Target)
	require.Equal(t, broken.Error, list[1].Details["error"])
	require.NotEmpty(t, list[1].Details["revision"])
	require.Len(t, list[1].Details, 2)
	require.Equal(t, loaded(first[0]), list[2])
	_, total, err := api.Audit(t.Context(), client.AuditFilter{Action: "workspace.refresh"})
	require.NoError(t, err)
	require.Equal(t, 2, total, "whoever asked for it is in entries of their own")
}

func TestTheInitialUserIsAudited(t *testing.T) {
	t.Parallel()
	database := coretest.Postgres(t)
	c := load(t, database, withUsers)
	for range 2 { // who is there already is not made again
		_, stop := start(t, c)
		require.NoError(t, stop())
	}
	store, err := postgres.Open(t.Context(), database, 2)
	require.NoError(t, err)
	defer store.Close()
	list, total, err := store.Audit(t.Context(), core.AuditFilter{Action: "user.create", Limit: 10})
	require.NoError(t, err)
	require.Equal(t, 1, total)
	require.Equal(t, []any{core.ActorSystem, "root@example.org"}, []any{list[0].Actor.Type, list[0].Target})
}
