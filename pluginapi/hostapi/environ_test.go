package hostapi_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/stroem/stroem/pluginapi/hostapi"
)

func TestPluginsSeeFewVariables(t *testing.T) {
	t.Parallel()
	passed := []string{
		"PATH=/bin", "LC_ALL=C", "https_proxy=http://proxy", "ALL_PROXY=socks5://proxy", "Path=C:\\", "TZ=", "HOME",
		"KUBERNETES_SERVICE_HOST=10.96.0.1", "KUBERNETES_SERVICE_PORT=443",
	}
	hidden := []string{
		"STROEM_TEST_DATABASE_PASSWORD=hunter2", "STROEM__WORKER_TOKEN=hunter2", "LCD=1", "LD_PRELOAD=x", "PATHS=/x", "SSH_AUTH_SOCK=/x", "=C:=C:\\",
		"KUBERNETES_SERVICE_PORT_HTTPS=443", "POSTGRES_SERVICE_HOST=10.96.0.2",
	}
	require.Equal(t, passed, hostapi.Environ(append(hidden, passed...)))
	require.Empty(t, hostapi.Environ(hidden))
}
