package pluginhost_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/stroem/stroem/core/pluginhost"
	"github.com/stroem/stroem/pluginapi"
)

const patience = 30 * time.Second

// install makes a plugin directory in which the test program goes by the given names.
func install(t *testing.T, files ...string) string {
	t.Helper()
	dir := t.TempDir()
	content, err := os.ReadFile(self())
	require.NoError(t, err)
	for _, file := range files {
		require.NoError(t, os.WriteFile(filepath.Join(dir, file), content, 0o700))
	}
	return dir
}

// host starts the runners of a directory and stops them when the test ends.
func host(t *testing.T, dir string, plugins map[string]pluginhost.PluginConfig) *pluginhost.Host {
	t.Helper()
	h, err := newHost(t, dir, plugins)
	require.NoError(t, err)
	require.NoError(t, h.Start(t.Context()))
	return h
}

func newHost(t *testing.T, dir string, plugins map[string]pluginhost.PluginConfig) (*pluginhost.Host, error) {
	t.Helper()
	h, err := pluginhost.New(pluginhost.Config{
		Dir: dir, Kinds: []pluginapi.Kind{pluginapi.KindRunner}, Plugins: plugins, Logger: slog.New(slog.NewTextHandler(t.Output(), nil)),
		Limits: pluginhost.Limits{
			HealthInterval: 20 * time.Millisecond, HealthTimeout: 500 * time.Millisecond, Misses: 2, Start: 10 * time.Second,
			BackoffMin: quickBackoff, BackoffMax: quickBackoff, Exit: 5 * time.Second,
		},
	})
	if err == nil {
		t.Cleanup(func() {
			ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), time.Second)
			defer cancel()
			require.NoError(t, h.Close(ctx))
		})
	}
	return h, err
}

// until waits until the only plugin is as the condition says.
func until(t *testing.T, h *pluginhost.Host, what string, condition func(pluginhost.Status) bool) pluginhost.Status {
	t.Helper()
	limit := time.After(patience)
	for {
		changed := h.Changed()
		if status := h.Plugins()[0]; condition(status) {
			return status
		}
		select {
		case <-changed:
		case <-limit:
			require.FailNow(t, "it does not come to it that "+what, "%+v", h.Plugins()[0])
		}
	}
}

// output is what a run prints.
type output struct {
	mu   sync.Mutex
	text bytes.Buffer
	any  chan struct{}
	once sync.Once
}

func newOutput() *output { return &output{any: make(chan struct{})} }

func (o *output) Started([]byte) error { return nil }
func (o *output) Stdout() io.Writer    { return o }
func (o *output) Stderr() io.Writer    { return o }

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	defer o.once.Do(func() { close(o.any) })
	return o.text.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String()
}

func request(t *testing.T, what string, env map[string]string) *pluginapi.RunRequest {
	return &pluginapi.RunRequest{
		RunID: "run", Type: "test.runner-a", Spec: json.RawMessage(`{"do": "` + what + `"}`), Env: env, ScratchDir: t.TempDir(),
	}
}

func TestAPluginGetsReadyAndRuns(t *testing.T) {
	t.Setenv("STROEM_TEST_SECRET", "of the host")
	h := host(t, install(t, "runner-a", "source-x", "README"), map[string]pluginhost.PluginConfig{
		"runner-a": {Env: map[string]string{"GIVEN": "by the operator"}, Config: map[string]any{"color": "red"}},
	})
	require.Len(t, h.Plugins(), 1, "other kinds and other files are no business of this host")
	status := h.Plugins()[0]
	require.Equal(t, pluginhost.StateReady, status.State, status.LastError)
	require.Equal(t, "1.2.3", status.Version)
	require.Len(t, h.ActionTypes(), 1)
	runner, ok := h.Runner("test.runner-a", "")
	require.True(t, ok)
	out := newOutput()
	result, err := runner.Run(t.Context(), request(t, "env", nil), out)
	require.NoError(t, err)
	require.Zero(t, result.ExitCode)
	require.Contains(t, out.String(), "GIVEN=by the operator")
	require.NotContains(t, out.String(), "STROEM_TEST_SECRET")
	_, err = runner.Run(t.Context(), request(t, "nonsense", nil), newOutput())
	require.ErrorContains(t, err, "runner(a): ")
	require.Equal(t, pluginapi.CodeInvalid, pluginapi.CodeOf(err))
}

func TestPluginsThatFailForGood(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		config pluginhost.PluginConfig
		want   string
	}{
		"an unknown setting":   {pluginhost.PluginConfig{Config: map[string]any{"colour": "red"}}, "colour"},
		"a refused setting":    {pluginhost.PluginConfig{Config: map[string]any{"color": "plaid"}}, "plaid is no color"},
		"another checksum":     {pluginhost.PluginConfig{SHA256: strings.Repeat("0", 64)}, "checksum"},
		"it ends at once":      {pluginhost.PluginConfig{Args: []string{exits}}, ""},
		"a place with no file": {pluginhost.PluginConfig{Path: "/nowhere/runner-a"}, "no such file"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := host(t, install(t, "runner-a"), map[string]pluginhost.PluginConfig{"runner-a": c.config})
			status := until(t, h, "it has failed", func(s pluginhost.Status) bool { return s.State == pluginhost.StateFailed })
			require.Contains(t, status.LastError, c.want)
			require.Empty(t, h.ActionTypes())
		})
	}
}

func TestARightChecksum(t *testing.T) {
	t.Parallel()
	content, err := os.ReadFile(self())
	require.NoError(t, err)
	sum := sha256.Sum256(content)
	h := host(t, install(t, "runner-a"), map[string]pluginhost.PluginConfig{"runner-a": {SHA256: hex.EncodeToString(sum[:])}})
	require.Equal(t, pluginhost.StateReady, h.Plugins()[0].State, h.Plugins()[0].LastError)
}

func TestTwoPluginsForOneType(t *testing.T) {
	t.Parallel()
	same := pluginhost.PluginConfig{Args: []string{"", "test.same"}}
	h, err := newHost(t, install(t, "runner-a", "runner-b"), map[string]pluginhost.PluginConfig{"runner-a": same, "runner-b": same})
	require.NoError(t, err)
	require.ErrorIs(t, h.Start(t.Context()), pluginhost.ErrConflict)
}

func TestNamesThatLeadElsewhere(t *testing.T) {
	t.Parallel()
	for _, file := range []string{"../runner-a", "runner-../../bin/sh", "runner-", "/bin/sh", "runner-a/b"} {
		_, err := newHost(t, install(t, "runner-a"), map[string]pluginhost.PluginConfig{file: {}})
		require.ErrorContains(t, err, "a plugin is called <kind>-<name>", file)
	}
	dir := install(t)
	require.NoError(t, os.Symlink(self(), filepath.Join(dir, "runner-link")))
	h := host(t, dir, nil)
	for _, status := range h.Plugins() {
		require.NotEqual(t, pluginhost.StateReady, status.State, "a link out of the directory")
	}
}

// TestAKilledPlugin also has the plugin's children gone and a new process take over.
func TestAKilledPlugin(t *testing.T) {
	t.Parallel()
	h := host(t, install(t, "runner-a"), nil)
	runner, _ := h.Runner("test.runner-a", "")
	held := filepath.Join(t.TempDir(), "held")
	require.NoError(t, syscall.Mkfifo(held, 0o600))
	pipe, err := os.OpenFile(held, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	require.NoError(t, err)
	defer func() { require.NoError(t, pipe.Close()) }()
	out, ended := newOutput(), make(chan error, 1)
	go func() {
		_, err := runner.Run(context.WithoutCancel(t.Context()), request(t, "hold", map[string]string{"HELD": held}), out)
		ended <- err
	}()
	<-out.any
	pid, err := strconv.Atoi(strings.TrimSpace(out.String()))
	require.NoError(t, err)
	require.NoError(t, syscall.Kill(pid, syscall.SIGKILL))
	require.ErrorIs(t, <-ended, pluginhost.ErrPluginGone)
	require.NoError(t, pipe.SetReadDeadline(time.Now().Add(patience)))
	_, err = io.ReadAll(pipe) // ends when nobody holds the pipe open
	require.NoError(t, err, "the plugin's child lives on")
	status := until(t, h, "it is ready again", func(s pluginhost.Status) bool { return s.State == pluginhost.StateReady && s.Restarts > 0 })
	require.Equal(t, 1, status.Restarts)
	_, err = runner.Run(t.Context(), request(t, "env", nil), newOutput())
	require.NoError(t, err, "the same handle reaches the new process")
}

func TestHealth(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "health")
	h := host(t, install(t, "runner-a"), map[string]pluginhost.PluginConfig{
		"runner-a": {Args: []string{asFile}, Env: map[string]string{"STROEM_TEST_HEALTH": file}},
	})
	require.Len(t, h.ActionTypes(), 1)
	require.NoError(t, os.WriteFile(file, []byte("the engine is down"), 0o600))
	status := until(t, h, "it is unhealthy", func(s pluginhost.Status) bool { return s.State == pluginhost.StateUnhealthy })
	require.Contains(t, status.LastError, "the engine is down")
	require.Empty(t, h.ActionTypes(), "an unhealthy plugin is offered no work")
	require.NoError(t, os.WriteFile(file, nil, 0o600))
	status = until(t, h, "it is healthy", func(s pluginhost.Status) bool { return s.State == pluginhost.StateReady })
	require.Zero(t, status.Restarts)
	require.Len(t, h.ActionTypes(), 1)
}

func TestAPluginThatDoesNotAnswer(t *testing.T) {
	t.Parallel()
	h := host(t, install(t, "runner-a"), map[string]pluginhost.PluginConfig{"runner-a": {Args: []string{mute}}})
	until(t, h, "it is started again", func(s pluginhost.Status) bool { return s.Restarts > 0 || s.State == pluginhost.StateFailed })
	require.Empty(t, h.ActionTypes())
}

func TestAPluginThatHangsAtTheStart(t *testing.T) {
	t.Parallel()
	h, err := pluginhost.New(pluginhost.Config{
		Dir: install(t, "runner-a"), Kinds: []pluginapi.Kind{pluginapi.KindRunner}, Logger: slog.New(slog.DiscardHandler),
		Plugins: map[string]pluginhost.PluginConfig{"runner-a": {Args: []string{hangs}}},
		Limits:  pluginhost.Limits{Start: 200 * time.Millisecond, Starts: 2, BackoffMin: quickBackoff},
	})
	require.NoError(t, err)
	require.NoError(t, h.Start(t.Context()))
	until(t, h, "it has failed", func(s pluginhost.Status) bool { return s.State == pluginhost.StateFailed })
	require.NoError(t, h.Close(t.Context()))
}

func TestClosingStopsWhatRuns(t *testing.T) {
	t.Parallel()
	h := host(t, install(t, "runner-a"), nil)
	runner, _ := h.Runner("test.runner-a", "")
	out, ended := newOutput(), make(chan error, 1)
	go func() {
		_, err := runner.Run(context.WithoutCancel(t.Context()), request(t, "hold", map[string]string{"HELD": os.DevNull}), out)
		ended <- err
	}()
	<-out.any
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	require.NoError(t, h.Close(ctx))
	select {
	case err := <-ended:
		t.Log("the run:", err)
	case <-time.After(patience):
		require.Fail(t, "the run goes on")
	}
	_, err := runner.Run(t.Context(), request(t, "env", nil), newOutput())
	require.Error(t, err, "no run begins after the end")
}
