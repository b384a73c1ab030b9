package worker

import (
	"log/slog"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/stroem/stroem/core/config"
	"github.com/stroem/stroem/core/pluginhost"
)

// The worker's own sections reach the bundled plugins, and are what makes it a fault if one of these cannot work.
func TestOwnSectionsConfigureBundledPlugins(t *testing.T) {
	t.Parallel()
	plugins := func(c config.Worker) map[string]pluginhost.PluginConfig {
		got, err := hostConfig(c, slog.Default())
		require.NoError(t, err)
		return got.Plugins
	}
	require.Equal(t, map[string]pluginhost.PluginConfig{
		"runner-docker": {Config: map[string]any{}, Optional: true},
		"runner-kube":   {Config: map[string]any{}, Optional: true},
	}, plugins(config.Worker{}))

	got := plugins(config.Worker{
		RunnerImage: "runner:1", Docker: &config.Docker{}, Kubernetes: &config.Kubernetes{Namespace: "jobs", RunnerStartupConfigMap: "scripts"},
		Plugins: config.Plugins{Entries: map[string]config.Plugin{"runner-docker": {SHA256: "ab", Config: config.Settings{"user": "1000"}}}},
	})
	require.Equal(t, map[string]any{"runner_image": "runner:1", "user": "1000"}, got["runner-docker"].Config)
	require.Equal(t, "ab", got["runner-docker"].SHA256)
	require.Equal(t, map[string]any{"runner_image": "runner:1", "namespace": "jobs", "runner_startup_configmap": "scripts"}, got["runner-kube"].Config)
	require.False(t, got["runner-docker"].Optional || got["runner-kube"].Optional)

	_, err := hostConfig(config.Worker{
		Docker:  &config.Docker{Host: "tcp://here:1"},
		Plugins: config.Plugins{Entries: map[string]config.Plugin{"runner-docker": {Config: config.Settings{"host": "tcp://there:1"}}}},
	}, slog.Default())
	require.EqualError(t, err, "plugins.runner-docker.config.host: docker.host sets it as well; keep one of them")
}
