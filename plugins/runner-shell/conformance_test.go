//go:build unix

package main

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/stroem/stroem/pluginapi"
	"github.com/stroem/stroem/pluginapi/plugintest"
)

var binaryDir string

func TestMain(m *testing.M) {
	plugintest.Init()
	if host := os.Getenv(actAsHost); host != "" {
		hostMain(host)
		return
	}
	if os.Getenv(actAsDaemon) != "" {
		daemonMain()
		return
	}
	var err error
	if binaryDir, err = os.MkdirTemp("", "runner-shell-test"); err != nil {
		panic(err)
	}
	goleak.VerifyTestMain(m, goleak.Cleanup(func(code int) {
		_ = os.RemoveAll(binaryDir)
		os.Exit(code)
	}))
}

// buildBinary compiles the plugin once.
var buildBinary = sync.OnceValues(func() (string, error) {
	return plugintest.Build(context.Background(), binaryDir, ".")
})

func binary(t *testing.T) string {
	t.Helper()
	path, err := buildBinary()
	require.NoError(t, err)
	return path
}

func newTestRunner() *runner { return newRunner(pluginapi.NewLogger()) }

func TestConformance(t *testing.T) {
	t.Parallel()
	opts := plugintest.RunnerOptions{
		Config:    json.RawMessage(`{"pass_env": ["STROEM_TEST_PASSED"]}`),
		BadConfig: json.RawMessage(`{"pass_enw": []}`),
	}
	t.Run("in process", func(t *testing.T) {
		t.Parallel()
		plugintest.TestRunner(t, plugintest.InProcess(newTestRunner), opts)
	})
	t.Run("binary", func(t *testing.T) {
		t.Parallel()
		plugintest.TestRunner(t, plugintest.Binary(binary(t)), opts)
	})
}

// workspace writes files, executable if they begin with a shebang, into a new directory.
func workspace(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		path := filepath.Join(dir, name)
		require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o750))
		mode := os.FileMode(0o600)
		if len(text) > 2 && text[:2] == "#!" {
			mode = 0o700
		}
		require.NoError(t, os.WriteFile(path, []byte(text), mode))
	}
	return dir
}
