package server

import (
	"log/slog"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/stroem/stroem/core/config"
	"github.com/stroem/stroem/core/pluginhost"
	"github.com/stroem/stroem/pluginapi"
)

// TestArchiveConfiguresItsPlugin looks at what each plugin gets, and which of them run.
func TestArchiveConfiguresItsPlugin(t *testing.T) {
	t.Parallel()
	environ := []string{"PATH=/bin", "AWS_PROFILE=server", "AWS_ACCESS_KEY_ID=id", "AWSX=no", "STROEM__DB__URL=secret"}
	own := config.Plugins{Entries: map[string]config.Plugin{
		"logstore-s3":      {SHA256: "ab", Env: map[string]config.Secret{"AWS_PROFILE": "logs"}},
		"logstore-acme.x":  {Config: config.Settings{"dir": "/logs"}},
		"source-acme.more": {Env: map[string]config.Secret{"A": "b"}},
	}}
	host := func(l config.LogStorage) pluginhost.Config {
		return New(config.Server{LogStorage: l, Plugins: own, DataDir: "/data"}, slog.Default()).hostConfig(environ)
	}

	got := host(config.LogStorage{})
	require.Empty(t, got.Only)
	require.Equal(t, map[string]string{"AWS_PROFILE": "logs"}, got.Plugins["logstore-s3"].Env)

	got = host(config.LogStorage{S3: &config.S3{Bucket: "b", Region: "r", Prefix: "logs/"}})
	require.Equal(t, []string{"logstore-s3"}, got.Only)
	require.Contains(t, got.Kinds, pluginapi.KindLogStore)
	require.Equal(t, pluginhost.PluginConfig{
		SHA256: "ab", Env: map[string]string{"AWS_PROFILE": "logs", "AWS_ACCESS_KEY_ID": "id"},
		Config: map[string]any{"bucket": "b", "region": "r", "prefix": "logs/"},
	}, got.Plugins["logstore-s3"])
	require.Equal(t, map[string]string{"A": "b"}, got.Plugins["source-acme.more"].Env, "nobody else gets to see them")

	got = host(config.LogStorage{Plugin: "acme.x"})
	require.Equal(t, []string{"logstore-acme.x"}, got.Only)
	require.Equal(t, map[string]any{"dir": "/logs"}, got.Plugins["logstore-acme.x"].Config)
	require.Empty(t, got.Plugins["logstore-acme.x"].Env)
}

func TestLogStoreIsThatOfTheConfiguration(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]config.LogStorage{"": {}, "s3": {S3: &config.S3{Bucket: "b", Region: "r"}}, "acme.x": {Plugin: "acme.x"}} {
		s := New(config.Server{LogStorage: c, Plugins: config.Plugins{Dir: t.TempDir()}}, slog.New(slog.DiscardHandler))
		host, err := pluginhost.New(s.hostConfig(nil))
		require.NoError(t, err)
		_, ok := s.logStore(host)
		require.Equal(t, name != "", ok, name)
		require.NoError(t, host.Close(t.Context()))
	}
}
