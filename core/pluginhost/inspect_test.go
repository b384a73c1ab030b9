//go:build unix

package pluginhost_test

import (
	"log/slog"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/stroem/stroem/core/pluginhost"
	"github.com/stroem/stroem/pluginapi"
)

func TestInspect(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		script script
		want   string // part of the error
	}{
		"fine":           {script{Name: "acme.test", Types: []string{"acme.test"}, Refuse: "it is not configured"}, ""},
		"not a schema":   {script{Schema: `{"type": 3}`}, "cannot be used: schema of its configuration: not a JSON schema"},
		"no description": {script{Exit: "describe"}, "start the plugin"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var config pluginhost.PluginConfig
			s := prepare(t, one(c.script), configure(func(p *pluginhost.PluginConfig) { config = *p }))
			config.Path = filepath.Join(s.dir, "runner-test")
			description, err := pluginhost.Inspect(t.Context(), config, slog.New(slog.DiscardHandler))
			require.Len(t, s.journal("start"), 1)
			require.Empty(t, s.journal("configure"))
			if c.want != "" {
				require.ErrorContains(t, err, c.want)
				return
			}
			require.NoError(t, err)
			require.Equal(t, pluginapi.KindRunner, description.Kind)
			require.Equal(t, "acme.test", description.ActionTypes[0].Name)
		})
	}
	_, err := pluginhost.Inspect(t.Context(), pluginhost.PluginConfig{Path: "no-such-plugin"}, slog.New(slog.DiscardHandler))
	require.ErrorContains(t, err, "no-such-plugin")
}
