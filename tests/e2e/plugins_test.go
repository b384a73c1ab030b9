package e2e

import (
	"context"
	"encoding/json"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/stroem/stroem/core/api"
	"github.com/stroem/stroem/core/coretest"
	"github.com/stroem/stroem/tests/httptarget"
)

const examples = "../../pluginapi/examples"

// example is one of the example plugins, which offer the same action type.
type example struct {
	name  string // of the plugin's file
	build func() (path string, err error)
	needs string // what it cannot be built without, besides Go
}

var exampleGo = example{"runner-example.http", sync.OnceValues(func() (string, error) {
	path := filepath.Join(bin, "examples", "runner-example.http")
	cmd := exec.CommandContext(context.Background(), "go", "build", "-trimpath", "-o", path, ".")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOWORK=off")
	return path, in(examples+"/runner-http", cmd)
}), ""}

var exampleNode = example{"runner-example.http-node", sync.OnceValues(func() (string, error) {
	dir := filepath.Join(bin, "examples", "runner-node")
	for _, part := range []string{"lib", "proto", "schema"} {
		if err := os.CopyFS(filepath.Join(dir, part), os.DirFS(filepath.Join(examples, "runner-node", part))); err != nil {
			return "", err
		}
	}
	for name, mode := range map[string]os.FileMode{"plugin.js": 0o755, "package.json": 0o644, "package-lock.json": 0o644} {
		content, err := os.ReadFile(filepath.Join(examples, "runner-node", name))
		if err != nil {
			return "", err
		}
		if err := os.WriteFile(filepath.Join(dir, name), content, mode); err != nil {
			return "", err
		}
	}
	cmd := exec.CommandContext(context.Background(), "npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--prefer-offline")
	return filepath.Join(dir, "plugin.js"), in(dir, cmd)
}), "npm"}

// in runs a command in a directory.
func in(dir string, cmd *exec.Cmd) error {
	cmd.Dir, cmd.Stdout, cmd.Stderr = dir, os.Stderr, os.Stderr
	return cmd.Run()
}

// path is where the plugin is, which is built once.
func (e example) path(t *testing.T) string {
	t.Helper()
	if _, err := exec.LookPath(e.needs); e.needs != "" && err != nil && !coretest.Required("node") {
		t.Skip(err)
	}
	path, err := e.build()
	require.NoError(t, err)
	return path
}

// target starts the server that requests go to.
func target(t *testing.T) string {
	t.Helper()
	server := httptest.NewServer(httptarget.Handler())
	t.Cleanup(server.Close)
	return server.URL
}

// withoutURL is a workspace in which the action of line 5 lacks what its type needs.
const withoutURL = `tasks:
  fetch: {flow: {fetch: {action: fetch}}}
actions:
  fetch:
    type: example.http_request
    method: GET
`

// TestExamplePlugins runs the scenario on a worker with each of the example plugins.
func TestExamplePlugins(t *testing.T) {
	t.Parallel()
	scenario, err := os.ReadFile("scenarios/plugins/http.yaml")
	require.NoError(t, err)
	expected, err := os.ReadFile("scenarios/plugins/http.json")
	require.NoError(t, err)
	for _, e := range []example{exampleGo, exampleNode} {
		t.Run(e.name, func(t *testing.T) {
			t.Parallel()
			path, server := e.path(t), target(t)
			s := newSystem(t, map[string]string{
				"http": workspace(t, string(scenario))["default"], "broken": workspace(t, withoutURL)["default"],
			}, nil)
			require.Len(t, s.problems("broken").Warnings, 1, "nobody knows the type yet")
			s.startWorker("w", settings{"plugins": settings{
				"dir": filepath.Join(bin, "plugins"), e.name: settings{"path": path},
			}})
			t.Run("schema", func(t *testing.T) {
				t.Parallel()
				of(s, t).checkSchemaError()
			})
			var expectations []expectation
			require.NoError(t, json.Unmarshal(expected, &expectations))
			for _, want := range expectations {
				t.Run(want.Task, func(t *testing.T) {
					t.Parallel()
					want.Input = map[string]any{"server": server}
					of(s, t).check("http", want)
				})
			}
		})
	}
}

// problems is what the server says of a workspace.
func (s *system) problems(name string) api.Workspace {
	s.t.Helper()
	list, err := s.Workspaces(s.t.Context())
	require.NoError(s.t, err)
	for _, w := range list {
		if w.Name == name {
			return w
		}
	}
	require.Fail(s.t, "there is no workspace "+name)
	return api.Workspace{}
}

// checkSchemaError checks that the schema that the worker's plugin brought along is what workspaces are held against.
func (s *system) checkSchemaError() {
	s.eventually("the workspace is held against the schema", func(context.Context) bool { return s.problems("broken").Error != "" })
	require.Equal(s.t, []api.Diagnostic{{
		File: ".workflows/test.yaml", Line: 5, Column: 5, Message: "an action of type example.http_request needs 'url'",
	}}, s.problems("broken").Errors)
	require.Empty(s.t, s.problems("http").Error)
	require.Empty(s.t, s.problems("http").Warnings)
	types, err := s.ActionTypes(s.t.Context())
	require.NoError(s.t, err)
	var schema struct{ Required []string }
	for _, offered := range types {
		if offered.Name == "example.http_request" {
			require.NoError(s.t, json.Unmarshal(offered.Schema, &schema))
		}
	}
	require.Equal(s.t, []string{"url"}, schema.Required)
}

// TestValidateWithPlugin checks workspaces with the schemas of plugins, while no server and no worker runs.
func TestValidateWithPlugin(t *testing.T) {
	t.Parallel()
	dir := workspace(t, withoutURL)["default"]
	unchecked := (&system{t: t}).stroem("validate", dir)
	require.Zero(t, unchecked.code, unchecked.stdout)
	require.Contains(t, unchecked.stdout, ".workflows/test.yaml:5:11: warning: no plugin that is known here runs actions of type 'example.http_request'")
	for _, e := range []example{exampleGo, exampleNode} {
		t.Run(e.name, func(t *testing.T) {
			t.Parallel()
			s, path := &system{t: t}, e.path(t)
			got := s.stroem("validate", "--plugin", path, dir)
			require.Equal(t, 1, got.code)
			require.Contains(t, got.stdout, ".workflows/test.yaml:5:5: error: an action of type example.http_request needs 'url'\n")
			require.NotContains(t, got.stdout, "warning")
			got = s.stroem("validate", "--plugin", path, "scenarios/plugins/http.yaml")
			require.Equal(t, "[OK] scenarios/plugins/http.yaml\n", got.stdout, got.stderr)
		})
	}
	doubtful := workspace(t, `
actions:
  host: {type: example.http_request, url: "http://"}
  later: {type: example.http_request, url: "{{ input.url }}"}
  twice:
    type: example.http_request
    url: http://localhost/
    headers:
      accept: text/plain
      Accept: text/html
`)["default"]
	found := (&system{t: t}).stroem("validate", "--plugin", exampleGo.path(t), doubtful)
	require.Equal(t, 1, found.code)
	require.Contains(t, found.stdout, "test.yaml:3:43: error: 'url' names no host\n", "the plugin says what its schema cannot")
	require.Contains(t, found.stdout, "test.yaml:9:15: warning: 'Accept' and 'accept' are the same header: one of them is sent\n")
	require.NotContains(t, found.stdout, "test.yaml:4:")
	for plugin, want := range map[string]string{
		filepath.Join(bin, "stroem"):                        "Unrecognized remote plugin message",
		filepath.Join(bin, "plugins", "source-folder"):      "is a source: only runners have action types",
		filepath.Join(bin, "plugins", "there-is-none-such"): "there-is-none-such: no such file or directory",
		filepath.Join("scenarios", "plugins", "http.yaml"):  "http.yaml: permission denied",
	} {
		got := (&system{t: t}).stroem("validate", "--plugin", plugin, dir)
		require.Equal(t, 1, got.code)
		require.Contains(t, got.stderr, want)
		require.Empty(t, got.stdout)
	}
}
