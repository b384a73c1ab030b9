package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/docker/docker/client"
	"github.com/stretchr/testify/require"

	"github.com/stroem/stroem/pluginapi"
	"github.com/stroem/stroem/pluginapi/hostapi"
	"github.com/stroem/stroem/pluginapi/plugintest"
)

// fixture is a configured runner behind a connection, and a request to it. What the run leaves fails the test.
type fixture struct {
	api    *client.Client
	runner *hostapi.Runner
	req    *pluginapi.RunRequest
	out    *plugintest.Recorder
}

// doc is a JSON object.
type doc = map[string]any

var lastRun atomic.Int64

func newRunID() string { return fmt.Sprintf("test.%d.%d", os.Getpid(), lastRun.Add(1)) }

// setup prepares a run of the spec, with more settings than the usual ones; its image is that for tests unless it names one.
func setup(t *testing.T, actionType string, spec, more doc) *fixture {
	t.Helper()
	if _, ok := spec["image"]; !ok {
		spec["image"] = testImage(t)
	}
	return setupOn(t, engine(t), actionType, spec, more)
}

// setupOn is setup with the engine on which to look for what is left.
func setupOn(t *testing.T, api *client.Client, actionType string, spec, more doc) *fixture {
	t.Helper()
	data, err := json.Marshal(spec)
	require.NoError(t, err)
	id := newRunID()
	t.Cleanup(func() { nothingLeft(t, api, id) })
	f := &fixture{api: api, out: plugintest.NewRecorder(), req: &pluginapi.RunRequest{
		RunID: id, Type: actionType, Spec: data, Env: map[string]string{"GREETING": "hello"},
		ScratchDir: t.TempDir(), StopGrace: 10 * time.Second,
		Labels: map[string]string{"job_id": "0b62-66a491c5", "step": "A Step", "task": "task", "workspace": "ws"},
	}}
	if actionType == typeShell {
		f.req.Runner, f.req.Workspace.Dir = "docker", t.TempDir()
	}
	f.runner = hostapi.NewRunner(plugintest.InProcess(newTestRunner)(t), "runner(docker)")
	require.NoError(t, f.runner.Configure(t.Context(), &pluginapi.Config{Settings: settings(t, more)}))
	return f
}

// files writes files into the workspace, executable if they begin with a shebang.
func (f *fixture) files(t *testing.T, files map[string]string) *fixture {
	t.Helper()
	for name, text := range files {
		path := filepath.Join(f.req.Workspace.Dir, name)
		require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
		mode := os.FileMode(0o644)
		if strings.HasPrefix(text, "#!") {
			mode = 0o755
		}
		require.NoError(t, os.WriteFile(path, []byte(text), mode))
	}
	return f
}

// outcome is what a test wants of a run.
type outcome struct {
	stdout, stderr string
	result         pluginapi.Result
	message        string // a part of the result's
}

func (f *fixture) want(t *testing.T, want outcome) {
	t.Helper()
	got, err := f.runner.Run(t.Context(), f.req, f.out)
	require.NoError(t, err)
	stdout, stderr, _ := f.out.Text()
	require.Equal(t, want.stdout, stdout)
	if code := want.result.ExitCode; code != codeNotFound && code != codeNotExecutable { // each shell says that in its own way
		require.Equal(t, want.stderr, stderr)
	}
	require.Contains(t, got.Message, want.message)
	if want.message != "" {
		got.Message = ""
	}
	require.Equal(t, want.result, *got)
}
