//go:build unix

package pluginhost_test

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/stroem/stroem/core/pluginhost"
	"github.com/stroem/stroem/pluginapi"
)

// one is a stage with a single plugin.
func one(s script) map[string]script { return map[string]script{"runner-test": s} }

func TestStart(t *testing.T) {
	t.Parallel()
	began := time.Now()
	s := start(t, map[string]script{"runner-test": {Types: []string{"test", "shell/test"}}, "source-other": {}})
	require.Len(t, s.host.Plugins(), 1, "a host runs its own kinds only")
	status := s.status("runner-test")
	require.Equal(t, []string{strconv.Itoa(status.PID)}, s.journal("start"))
	require.WithinRange(t, status.Since, began, time.Now())
	status.PID, status.Since = 0, time.Time{} // the rest is known beforehand
	types := []pluginapi.ActionType{{Name: "test", Tag: "test"}, {Name: "shell", Runner: "test", Tag: "test"}}
	require.Equal(t, pluginhost.Status{
		File: "runner-test", Name: "test", Kind: pluginapi.KindRunner, Version: "1.2.3",
		Path: filepath.Join(s.dir, "runner-test"), State: pluginhost.StateReady, ActionTypes: types,
	}, status)
	require.Equal(t, types, s.host.ActionTypes())
	require.Equal(t, []string{"{}"}, s.journal("configure"), "it is configured once")
	_, ok := s.host.Runner("shell", "test")
	require.True(t, ok)
	_, ok = s.host.Runner("shell", "")
	require.False(t, ok, "a runner is known by both parts of the key")
	description, err := s.runner().Describe(t.Context())
	require.NoError(t, err)
	require.Equal(t, "test", description.Name)
	require.ErrorContains(t, s.runner().Configure(t.Context(), &pluginapi.Config{}), "runner(test): plugins are configured by their host")
}

const colorSchema = `{"type": "object", "properties": {"color": {"enum": ["red", "green"]}, "token": {"type": "integer"}},
	"required": ["color"], "additionalProperties": false}`

func TestBadConfigurationIsFinal(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		script script
		config map[string]any
		want   string
	}{
		"missing":      {script{Schema: colorSchema}, nil, `plugins.runner-test.config: missing "color"`},
		"unknown":      {script{Schema: colorSchema}, map[string]any{"color": "red", "size": 1}, `plugins.runner-test.config: unknown "size"`},
		"wrong":        {script{Schema: colorSchema}, map[string]any{"color": "blue"}, `plugins.runner-test.config.color: the plugin's schema asks for enum: ["red", "green"]`},
		"not wanted":   {script{}, map[string]any{"color": "red"}, "this plugin has no configuration; leave it out"},
		"refused":      {script{Schema: colorSchema, Refuse: "red is out"}, map[string]any{"color": "red"}, "configure: runner(test): /color: red is out"},
		"not a schema": {script{Schema: `{"type": 3}`}, nil, "schema of its configuration: not a JSON schema"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := start(t, one(c.script), configure(func(p *pluginhost.PluginConfig) { p.Config = c.config }))
			status := s.status("runner-test")
			require.Equal(t, pluginhost.StateFailed, status.State)
			require.Contains(t, status.LastError, c.want)
			require.Len(t, s.journal("start"), 1, "it must not be started again")
			require.Empty(t, s.host.ActionTypes())
			found, _ := s.logbook.find("level", "ERROR")
			require.Len(t, found, 1, "a plugin that has failed is logged once")
		})
	}
}

func TestConfigurationErrorsNameTheKey(t *testing.T) {
	t.Parallel()
	const schema = `{"type": "object", "properties": {"registries": {"type": "array", "items": {"type": "object",
		"properties": {"host": {}, "port": {"type": "integer", "minimum": 1}}, "required": ["host"], "additionalProperties": false}}}}`
	for name, c := range map[string]struct{ registry, want string }{
		"type":    {`{"host": "h", "port": "p"}`, `plugins.runner-test.config.registries.port: the plugin's schema asks for type: "integer"`},
		"bound":   {`{"host": "h", "port": 0}`, `plugins.runner-test.config.registries.port: the plugin's schema asks for minimum: 1`},
		"missing": {`{}`, `plugins.runner-test.config.registries: missing "host"`},
		"unknown": {`{"host": "h", "prot": 1}`, `plugins.runner-test.config.registries: unknown "prot"`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var registry any
			require.NoError(t, json.Unmarshal([]byte(c.registry), &registry))
			s := start(t, one(script{Schema: schema}), configure(func(p *pluginhost.PluginConfig) {
				p.Config = map[string]any{"registries": []any{registry}}
			}))
			require.Equal(t, c.want, s.status("runner-test").LastError)
		})
	}
}

func TestConfigurationErrorsKeepSecrets(t *testing.T) {
	t.Parallel()
	s := start(t, one(script{Schema: colorSchema}), configure(func(p *pluginhost.PluginConfig) {
		p.Config = map[string]any{"color": "red", "token": "hunter2"}
	}))
	require.Contains(t, s.status("runner-test").LastError, `plugins.runner-test.config.token: the plugin's schema asks for type: "integer"`)
	require.NotContains(t, s.logbook.String()+s.status("runner-test").LastError, "hunter2")
}

func TestOtherThanItsFileName(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		script script
		want   string
	}{
		"kind":             {script{Kind: pluginapi.KindSource}, "is named as a runner, but is a source"},
		"name":             {script{Name: "other"}, "it has to be installed or configured as runner-other"},
		"a path":           {script{Name: "../test"}, `calls itself "../test"`},
		"no action type":   {script{Types: []string{}}, "a runner with 0 action types"},
		"twice":            {script{Types: []string{"test", "test"}}, "action type test: described twice"},
		"type with a path": {script{Types: []string{"../x"}}, "is not a name for it"},
		"upper case":       {script{Types: []string{"Test"}}, "in lower case"},
		"other vendor":     {script{Types: []string{"acme.test"}}, "a plugin called test can only have types called without a dot"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := start(t, one(c.script))
			status := s.status("runner-test")
			require.Equal(t, pluginhost.StateFailed, status.State)
			require.Contains(t, status.LastError, c.want)
			require.Empty(t, s.journal("configure"))
			require.Len(t, s.journal("start"), 1)
		})
	}
}

func TestTwoPluginsOfOneActionType(t *testing.T) {
	t.Parallel()
	s := prepare(t, map[string]script{
		"runner-a": {Types: []string{"a", "shell/local"}},
		"runner-b": {Types: []string{"b", "shell/local"}},
		"runner-c": {Types: []string{"shell/other"}},
	})
	err := s.host.Start(t.Context())
	require.ErrorIs(t, err, pluginhost.ErrConflict)
	require.ErrorContains(t, err, filepath.Join(s.dir, "runner-a"))
	require.ErrorContains(t, err, filepath.Join(s.dir, "runner-b"))
	require.ErrorContains(t, err, "both run shell (runner local)")
	require.Equal(t, pluginhost.StateReady, s.status("runner-c").State)
}

// TestConflictWithAPluginThatHasFailed has a plugin that comes up only when the other one, which offers the same, has failed
// for good: whether there is a conflict does not depend on what starts or dies first.
func TestConflictWithAPluginThatHasFailed(t *testing.T) {
	t.Parallel()
	s := start(t, map[string]script{"runner-test": {}, "runner-late": {Types: []string{"test"}, Await: "go"}},
		limits(func(l *pluginhost.Limits) { l.Starts = 1 << 20 }))
	rewrite(t, filepath.Join(s.dir, "runner-test"), 0o600)
	require.NoError(t, syscall.Kill(s.status("runner-test").PID, syscall.SIGKILL))
	s.awaitState(pluginhost.StateFailed)
	require.Empty(t, s.host.ActionTypes())
	require.NoError(t, os.WriteFile(filepath.Join(s.talk, "go"), nil, 0o600))
	status := s.await("runner-late", "failed", func(status pluginhost.Status) bool { return status.State == pluginhost.StateFailed })
	require.Contains(t, status.LastError, "two plugins offer the same: ")
	require.Contains(t, status.LastError, filepath.Join(s.dir, "runner-test"))
}

func TestActionTypesOfANewVersion(t *testing.T) {
	t.Parallel()
	s := start(t, map[string]script{"runner-test": {Types: []string{"test", "old"}}})
	_, ok := s.host.Runner("old", "")
	require.True(t, ok)
	require.NoError(t, os.WriteFile(filepath.Join(s.talk, "types"), []byte("test new"), 0o600))
	s.kill()
	s.awaitRestart()
	_, ok = s.host.Runner("new", "")
	require.True(t, ok)
	_, ok = s.host.Runner("old", "")
	require.False(t, ok)
}

func TestStartGivesUpWithItsContext(t *testing.T) {
	t.Parallel()
	s := prepare(t, one(script{Hang: atStart}))
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	require.ErrorIs(t, s.host.Start(ctx), context.DeadlineExceeded)
	require.NoError(t, s.host.Close(t.Context()), "a start under way does not hold up the end")
}

func TestEnvironment(t *testing.T) {
	// An unusual variable of the host, which all of these tests share; no other test looks at it.
	require.NoError(t, os.Setenv("STROEM_TEST_DATABASE_PASSWORD", "hunter2")) //nolint:usetesting // t.Setenv excludes t.Parallel
	t.Parallel()
	s := start(t, one(script{}), configure(func(p *pluginhost.PluginConfig) {
		p.Env["CONFIGURED"] = "yes"
		p.Env["HOME"] = "/elsewhere"
	}))
	env := strings.Split(strings.TrimSpace(s.text("env")), "\n")
	require.Contains(t, env, "CONFIGURED=yes")
	require.Contains(t, env, "PATH="+os.Getenv("PATH"))
	require.Contains(t, env, "HOME=/elsewhere", "the operator's word is the last")
	require.NotContains(t, strings.Join(env, "\n"), "hunter2")
}

func TestArguments(t *testing.T) {
	t.Parallel()
	s := start(t, one(script{}), configure(func(p *pluginhost.PluginConfig) { p.Args = []string{"-v", "two words", "$HOME"} }))
	require.Equal(t, []string{`["-v" "two words" "$HOME"]`}, s.journal("args"))
}

func TestSettingsOfAWorkspace(t *testing.T) {
	t.Parallel()
	const schema = `{"type": "object", "additionalProperties": false, "required": ["url"], "properties": {"url": {"type": "string"},
		"auth": {"type": "object", "properties": {"token": {"type": "string"}}}}}`
	s := start(t, map[string]script{"source-git": {Settings: schema}, "source-plain": {}, "source-broken": {Refuse: "not today"}}, serverKinds)
	for settings, want := range map[string]string{
		`{"url": "u", "auth": {"token": "t"}}`:   "",
		`{"auth": {"token": "hunter2"}}`:         `workspaces.ops: missing "url"`,
		`{"url": "u", "reff": "hunter2"}`:        `workspaces.ops: unknown "reff"`,
		`{"url": 5}`:                             `workspaces.ops.url: the plugin's schema asks for type: "string"`,
		`{"url": "u", "auth": "hunter2"}`:        `workspaces.ops.auth: the plugin's schema asks for type: "object"`,
		`{"url": "u", "auth": {"token": 12345}}`: `workspaces.ops.auth.token: the plugin's schema asks for type: "string"`,
	} {
		checked, err := s.host.CheckSettings("git", "workspaces.ops", json.RawMessage(settings))
		require.True(t, checked, settings)
		if want == "" {
			require.NoError(t, err)
			continue
		}
		require.EqualError(t, err, want)
	}
	checked, err := s.host.CheckSettings("plain", "workspaces.ops", json.RawMessage(`{"any": "thing"}`))
	require.NoError(t, err)
	require.True(t, checked, "a plugin without a schema takes what there is")
	for _, unknown := range []string{"none", "broken"} {
		checked, err = s.host.CheckSettings(unknown, "workspaces.ops", json.RawMessage(`{}`))
		require.NoError(t, err)
		require.False(t, checked, unknown)
	}
}
