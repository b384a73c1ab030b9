package main

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/stroem/stroem/core/api"
)

// against runs a command against a server that gives one answer to everything.
func against(t *testing.T, status int, answer any, args ...string) (stdout string, err error) {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		_ = json.NewEncoder(w).Encode(answer)
	}))
	defer server.Close()
	return execute(t, append([]string{"--server", server.URL}, args...)...)
}

// execute runs a command.
func execute(t *testing.T, args ...string) (stdout string, err error) {
	t.Helper()
	root := (&app{configDir: t.TempDir()}).command()
	var out bytes.Buffer
	root.SetOut(&out)
	root.SetErr(&out)
	root.SetArgs(args)
	err = root.ExecuteContext(t.Context())
	return out.String(), err
}

func synced(ago time.Duration) *api.WorkspaceSync {
	at, checked := time.Now().Add(-ago), time.Now().Add(-3*time.Second)
	return &api.WorkspaceSync{
		Revision: "0123456789abcdef", Author: "Ada", Message: "mend it\n\nat last", Time: &at, CheckedAt: &checked,
	}
}

func TestWorkspacesAreListed(t *testing.T) {
	t.Parallel()
	list := []api.Workspace{
		{Name: "good", TasksCount: 3, ActionsCount: 2, Sync: synced(5 * time.Minute)},
		{Name: "old", Sync: synced(72 * time.Hour), Error: "revision x has errors:\x1b[31m a.yaml:1:2: no\nmore"},
		{Name: "never", Error: "the source plugin source-git is not available"},
	}
	out, err := against(t, 200, list, "workspaces")
	require.NoError(t, err)
	lines := strings.Split(out, "\n")
	require.Regexp(t, `^NAME +TASKS +ACTIONS +REVISION +AGE +AUTHOR +CHECKED +ERROR$`, lines[0])
	require.Regexp(t, `^good +3 +2 +0123456789ab +5m +Ada +[345]s +-$`, lines[1])
	require.Regexp(t, `^old +0 +0 +0123456789ab +3d +Ada +[345]s +revision x has errors:\x{FFFD}\[31m a.yaml:1:2: no$`, lines[2])
	require.Regexp(t, `^never +0 +0 +- +- +- +- +the source plugin source-git is not available$`, lines[3])
	out, err = against(t, 200, list, "workspaces", "-o", "json")
	require.NoError(t, err)
	var got []api.Workspace
	require.NoError(t, json.Unmarshal([]byte(out), &got))
	require.Len(t, got, 3)
	out, err = against(t, 200, []api.Workspace{}, "workspaces")
	require.NoError(t, err)
	require.Equal(t, "No workspaces found.\n", out)
}

func TestWorkspaceIsRefreshed(t *testing.T) {
	t.Parallel()
	w := api.Workspace{Name: "ops", Sync: synced(3 * time.Hour)}
	out, err := against(t, 200, w, "workspaces", "refresh", "ops")
	require.NoError(t, err)
	require.Equal(t, "Workspace ops uses revision 0123456789ab (by Ada, 3h old): mend it\n", out)

	w.Error = "revision 2 has errors: a.yaml:1:2: error: no (and 1 more)"
	w.Errors = []api.Diagnostic{{File: "a.yaml", Line: 1, Column: 2, Message: "no"}, {Message: "neither"}}
	out, err = against(t, 200, w, "workspaces", "refresh", "ops")
	require.EqualError(t, err, "workspace ops is not up to date: \n  a.yaml:1:2: no\n  neither")
	require.Contains(t, out, "uses revision 0123456789ab", "the one before")
	out, err = against(t, 200, w, "workspaces", "refresh", "ops", "-o", "json")
	require.Error(t, err)
	require.Contains(t, out, `"line": 1`)

	_, err = against(t, 200, api.Workspace{Name: "ops", Error: "no route"}, "workspaces", "refresh", "ops")
	require.EqualError(t, err, "workspace ops is not up to date: no route")
	_, err = against(t, 404, api.Error{Error: "Workspace 'ops' not found", Code: "not_found"}, "workspaces", "refresh", "ops")
	require.EqualError(t, err, "Server returned 404: Workspace 'ops' not found")
	_, err = against(t, 200, w, "workspaces", "refresh")
	var exit *exitError
	require.ErrorAs(t, err, &exit)
	require.Equal(t, exitUsage, exit.code)
}
