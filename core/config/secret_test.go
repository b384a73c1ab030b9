package config_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"

	"github.com/stroem/stroem/core/config"
)

func TestSecretsStayHidden(t *testing.T) {
	t.Parallel()
	c, err := config.LoadServer(filepath.Join("testdata", "server.yaml"), []string{
		"STROEM__DB__URL=postgres://u:HUSH@db/x",
		"STROEM__WORKER_TOKEN=HUSH",
		"STROEM__WORKER_TOKENS__CI__TOKEN=HUSHHUSHHUSHHUSH",
		"STROEM__AUTH__JWT_SECRET=HUSHHUSHHUSHHUSHHUSHHUSHHUSHHUSH",
		"STROEM__AUTH__INITIAL_USER__PASSWORD=HUSHHUSH",
		"STROEM__AUTH__PROVIDERS__CORP__CLIENT_SECRET=HUSH",
		"STROEM__WORKSPACES__OPS__AUTH__TOKEN=HUSH",
		"STROEM__WORKSPACES__OPS__URL=https://me:HUSH@git.example.com/x",
		"STROEM__PLUGINS__SOURCE_GIT__ENV__TOKEN=HUSH",
		"STROEM__PLUGINS__SOURCE_GIT__CONFIG__API_KEY=HUSH",
	})
	require.NoError(t, err)
	var out bytes.Buffer
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%d", "%x"} {
		fmt.Fprintf(&out, verb, c)
		fmt.Fprintf(&out, verb, c.WorkerToken)
		fmt.Fprintf(&out, verb, c.WorkerTokens)
		fmt.Fprintf(&out, verb, c.Workspaces)
	}
	printed, err := yaml.Marshal(c)
	require.NoError(t, err)
	out.Write(printed)
	coded, err := json.Marshal(c.Auth)
	require.NoError(t, err)
	out.Write(coded)
	slog.New(slog.NewTextHandler(&out, nil)).Info("config", "c", c, "token", c.WorkerToken, "ws", c.Workspaces["ops"].Settings)
	require.NotContains(t, out.String(), "HUSH")
	require.NotContains(t, out.String(), fmt.Sprintf("%x", "HUSH"))
	require.Contains(t, string(printed), "[redacted]")

	raw, err := c.Workspaces["ops"].Settings.JSON()
	require.NoError(t, err)
	require.JSONEq(t, `{"url":"https://me:HUSH@git.example.com/x","ref":"1.10","auth":{"type":"token","token":"HUSH"}}`, string(raw))
}

func TestPrintedConfigLoadsAgain(t *testing.T) {
	t.Parallel()
	c, err := config.LoadWorker(filepath.Join("testdata", "worker.yaml"), nil)
	require.NoError(t, err)
	printed, err := yaml.Marshal(c)
	require.NoError(t, err)
	again, err := config.LoadWorker(write(t, string(printed)), []string{"STROEM__WORKER_TOKEN=t"})
	require.NoError(t, err)
	require.Equal(t, c, again)
}
