package server_test

import (
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	apiv1 "github.com/stroem/stroem/core/api"
	"github.com/stroem/stroem/core/coretest"
)

const fetch = `tasks:
  fetch:
    flow:
      get: {action: get}
actions:
  get:
    type: example.http_request
    method: GET
`

// described is a plugin of a third party, whose action type needs a url.
func described() []apiv1.Plugin {
	return []apiv1.Plugin{{Kind: "runner", Name: "example.http", Version: "1.0", State: "ready", ActionTypes: []apiv1.ActionType{{
		Name: "example.http_request", Tag: "http",
		SpecSchema: json.RawMessage(`{"type": "object", "required": ["url"], "additionalProperties": false,
			"properties": {"url": {"type": "string"}, "method": {"type": "string"}}}`),
	}}}}
}

// listed waits until a server shows its only workspace as wanted.
func listed(t *testing.T, api *api, wanted func(c *assert.CollectT, w apiv1.Workspace)) {
	t.Helper()
	require.EventuallyWithT(t, func(c *assert.CollectT) {
		list, err := api.Workspaces(t.Context())
		if assert.NoError(c, err) && assert.Len(c, list, 1) {
			wanted(c, list[0])
		}
	}, patience, 20*time.Millisecond)
}

// TestActionTypesOfThirdParties has a worker describe a type that a workspace uses: from then on every server holds the
// workspace against its schema, without anything being installed on it.
func TestActionTypesOfThirdParties(t *testing.T) {
	t.Parallel()
	files := folder(t, map[string]string{"flows.yaml": fetch})
	c := load(t, coretest.Postgres(t), "workspaces: {main: {type: folder, path: "+files+"}}\nsecrets: {key: "+key(1)+"}")
	first, _ := start(t, c)
	c.DataDir = t.TempDir()
	second, _ := start(t, c)
	for _, api := range []*api{first, second} {
		listed(t, api, func(c *assert.CollectT, w apiv1.Workspace) {
			assert.Empty(c, w.Error)
			if assert.Len(c, w.Warnings, 1) {
				assert.Contains(c, w.Warnings[0].Message, "example.http_request")
			}
		})
	}
	created, err := first.Execute(t.Context(), "main", "fetch", apiv1.ExecuteRequest{}, "")
	require.NoError(t, err)
	job, err := first.Job(t.Context(), created.JobID, 0)
	require.NoError(t, err)
	require.Contains(t, *job.Steps[0].WaitingReason, "No active worker runs actions of type example.http_request")

	worker := first.WithToken("a token for the tests of the server")
	registered, err := worker.Register(t.Context(), apiv1.Register{Name: "w", Tags: []string{"http", "example.http_request"}, Plugins: described()})
	require.NoError(t, err)
	for _, api := range []*api{first, second} {
		listed(t, api, func(c *assert.CollectT, w apiv1.Workspace) {
			assert.Contains(c, w.Error, "flows.yaml:7")
			if assert.Len(c, w.Errors, 1) {
				assert.Equal(c, apiv1.Diagnostic{
					File: "flows.yaml", Line: 7, Column: 5, Message: "an action of type example.http_request needs 'url'",
				}, w.Errors[0])
			}
			assert.Equal(c, 1, w.TasksCount, "what is in use stays in use")
		})
	}
	job, err = first.Job(t.Context(), created.JobID, 0)
	require.NoError(t, err)
	require.Nil(t, job.Steps[0].WaitingReason)

	require.NoError(t, os.WriteFile(filepath.Join(files, "flows.yaml"), []byte(fetch+"    url: http://localhost/\n"), 0o600))
	listed(t, second, func(c *assert.CollectT, w apiv1.Workspace) {
		assert.Empty(c, w.Error)
		assert.Empty(c, w.Warnings)
	})

	plugins := described()
	plugins[0].State, plugins[0].LastError, plugins[0].Restarts = "backoff", "the process ended: signal: killed", 3
	own := worker.WithToken(registered.Token)
	require.NoError(t, own.Heartbeat(t.Context(), apiv1.Heartbeat{Plugins: plugins}))
	job, err = second.Job(t.Context(), created.JobID, 0)
	require.NoError(t, err)
	require.Contains(t, *job.Steps[0].WaitingReason, "it comes with the plugin example.http")
	hosted, err := second.Plugins(t.Context())
	require.NoError(t, err)
	require.Len(t, hosted, 2)
	require.Equal(t, []string{"server", "folder", "ready"}, []string{hosted[0].Host, hosted[0].Name, hosted[0].State})
	require.Equal(t, []string{"w", "example.http", "backoff", "the process ended: signal: killed"},
		[]string{hosted[1].Host, hosted[1].Name, hosted[1].State, hosted[1].LastError})
	require.Equal(t, 3, hosted[1].Restarts)
}

// TestPluginsAreShownToMonitoring looks at the probes and the metrics.
func TestPluginsAreShownToMonitoring(t *testing.T) {
	t.Parallel()
	c := load(t, coretest.Postgres(t), "workspaces: {main: {type: folder, path: "+t.TempDir()+"}}")
	api, _ := start(t, c)
	ready(t, api)
	_, err := api.WithToken("a token for the tests of the server").Register(t.Context(), apiv1.Register{Name: "w", Plugins: described()})
	require.NoError(t, err)
	health, err := api.Health(t.Context())
	require.NoError(t, err)
	require.Equal(t, "ok", health.Components["plugins"])
	require.Len(t, health.Plugins, 1)
	require.Equal(t, []string{"source", "folder", "ready"}, []string{health.Plugins[0].Kind, health.Plugins[0].Name, health.Plugins[0].State})
	require.WithinDuration(t, time.Now(), *health.Plugins[0].Since, time.Hour)
	figures := get(t, api.Address+"/metrics")
	for _, line := range []string{
		`stroem_plugin_ready{plugin="source-folder",version="` + health.Plugins[0].Version + `",worker=""} 1`,
		`stroem_plugin_state{plugin="runner-example.http",state="ready",version="1.0",worker="w"} 1`,
		`stroem_plugin_restarts_total{plugin="runner-example.http",version="1.0",worker="w"} 0`,
		"stroem_workers_active 1",
	} {
		require.Contains(t, figures, line+"\n")
	}
}

// TestMetricsElsewhere serves them at an address of their own, which the log tells, and nowhere else.
func TestMetricsElsewhere(t *testing.T) {
	t.Parallel()
	c := load(t, coretest.Postgres(t), "metrics: {listen: '127.0.0.1:0'}")
	told := make(chan string, 1)
	api, stop := startLogging(t, c, slog.New(&addresses{told: told}))
	address := <-told
	require.Contains(t, get(t, "http://"+address+"/metrics"), "stroem_build_info")
	require.Contains(t, get(t, api.Address+"/metrics"), "Metrics are not served here")
	require.NoError(t, stop())
	_, err := new(net.Dialer).DialContext(t.Context(), "tcp", address)
	require.Error(t, err, "the address is free again")
}

// addresses is a log that passes on where metrics are served.
type addresses struct{ told chan<- string }

func (*addresses) Enabled(context.Context, slog.Level) bool { return true }
func (a *addresses) WithAttrs([]slog.Attr) slog.Handler     { return a }
func (a *addresses) WithGroup(string) slog.Handler          { return a }

func (a *addresses) Handle(_ context.Context, r slog.Record) error {
	if r.Message == "metrics" {
		r.Attrs(func(attr slog.Attr) bool {
			a.told <- attr.Value.String()
			return false
		})
	}
	return nil
}

// get is what is served at an address.
func get(t *testing.T, url string) string {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, http.NoBody)
	require.NoError(t, err)
	transport := &http.Transport{}
	defer transport.CloseIdleConnections()
	response, err := (&http.Client{Transport: transport}).Do(request)
	require.NoError(t, err)
	defer func() { require.NoError(t, response.Body.Close()) }()
	data, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	return string(data)
}
