package config_test

import (
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/stroem/stroem/core/config"
)

func TestFingerprint(t *testing.T) {
	t.Parallel()
	fingerprint := func(env ...string) string {
		c, err := config.LoadServer(filepath.Join("testdata", "server.yaml"), env)
		require.NoError(t, err)
		sum, err := c.Fingerprint()
		require.NoError(t, err)
		require.Regexp(t, "^[0-9a-f]{64}$", sum)
		return sum
	}
	first := fingerprint()
	for range 20 {
		require.Equal(t, first, fingerprint())
	}
	for _, change := range []string{
		"STROEM__RETENTION__AUDIT_DAYS=4711", "STROEM__LISTEN=127.0.0.1:4711", "STROEM__WORKSPACES__OPS__REF=another", "STROEM__LOG__LEVEL=error",
	} {
		require.NotEqual(t, first, fingerprint(change), change)
	}
	for _, secret := range []string{
		"STROEM__WORKER_TOKEN=another", "STROEM__DB__URL=postgres://u:another@db/x", "STROEM__AUTH__JWT_SECRET=another one that is long enough to be taken",
		"STROEM__WORKSPACES__OPS__AUTH__TOKEN=another",
	} {
		require.Equal(t, first, fingerprint(secret), secret)
	}
}
