package main

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/stroem/stroem/core/api"
)

func TestWorkersAreListed(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)
	list := []api.Worker{
		{Name: "w", Status: "active", Tags: []string{"gpu", "shell"}, TokenName: "default", LastHeartbeat: &at, WorkerID: "1"},
		{Name: "ci-1", Status: "inactive", TokenName: "ci", RevokedAt: &at, WorkerID: "2"},
	}
	for _, spelling := range [][]string{{"worker", "list"}, {"worker"}, {"workers"}, {"workers", "list"}} {
		out, err := against(t, 200, list, spelling...)
		require.NoError(t, err)
		lines := strings.Split(out, "\n")
		require.Regexp(t, `^NAME +STATUS +TAGS +TOKEN +LAST HEARTBEAT +ID$`, lines[0])
		require.Regexp(t, `^w +active +gpu,shell +default +\S.* +1$`, lines[1])
		require.Regexp(t, `^ci-1 +revoked +ci +- +2$`, lines[2])
	}
	out, err := against(t, 200, list, "worker", "list", "--output", "json")
	require.NoError(t, err)
	var got []api.Worker
	require.NoError(t, json.Unmarshal([]byte(out), &got))
	require.Equal(t, list, got)
	out, err = against(t, 200, []api.Worker{}, "worker", "list")
	require.NoError(t, err)
	require.Equal(t, "No workers found.\n", out)
	_, err = against(t, 200, list, "worker", "lsit")
	require.Error(t, err)
}

const someWorker = "00000000-0000-4000-8000-000000000007"

// serveWorkers answers as a server with 501 workers does, the last of which is called last, and notes what is asked for.
func serveWorkers(t *testing.T, asked *[]string) string {
	t.Helper()
	answer := func(w http.ResponseWriter, v any) {
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(v)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /api/workers", func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Query().Get("offset") == "500" {
			answer(w, []api.Worker{{Name: "last", WorkerID: someWorker}})
			return
		}
		answer(w, make([]api.Worker, 500))
	})
	for _, what := range []string{"revoke", "restore"} {
		mux.HandleFunc("POST /api/workers/{id}/"+what, func(w http.ResponseWriter, r *http.Request) {
			*asked = append(*asked, what+" "+r.PathValue("id"))
			answer(w, api.RevokedWorker{Worker: api.Worker{Name: "last", WorkerID: someWorker}, Requeued: 2, Ended: 1})
		})
	}
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	return server.URL
}

func TestRevokeAndUndo(t *testing.T) {
	t.Parallel()
	var asked []string
	url := serveWorkers(t, &asked)
	out, err := execute(t, "worker", "revoke", "last", "--server", url)
	require.NoError(t, err)
	require.Equal(t, "Worker last is revoked: 1 step that it was running has ended as failed or cancelled, 2 steps that it had not started "+
		"are ready for others. Nobody registers under its name until: stroem worker revoke last --undo\n", out)
	out, err = execute(t, "workers", "revoke", someWorker, "--server", url, "-o", "json")
	require.NoError(t, err)
	require.Contains(t, out, `"requeued": 2`)
	out, err = execute(t, "worker", "revoke", "last", "--undo", "--server", url)
	require.NoError(t, err)
	require.Equal(t, "Workers may register as last again.\n", out)
	require.Equal(t, []string{"revoke " + someWorker, "revoke " + someWorker, "restore " + someWorker}, asked)
	_, err = execute(t, "worker", "revoke", "las", "--server", url)
	require.EqualError(t, err, `no worker is called "las": stroem worker list shows their names`)
	require.Len(t, asked, 3, "part of a name is no name")
	require.Equal(t, "it had no steps", fate(&api.RevokedWorker{}))
}
