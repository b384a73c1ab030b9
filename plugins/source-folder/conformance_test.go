package main

import (
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/stroem/stroem/pluginapi/plugintest"
)

func TestMain(m *testing.M) {
	plugintest.Init()
	os.Exit(m.Run())
}

func TestConformance(t *testing.T) {
	t.Parallel()
	binary, err := plugintest.Build(t.Context(), t.TempDir(), ".")
	require.NoError(t, err)
	opts := plugintest.SourceOptions{
		BadConfig: json.RawMessage(`{"path": "/"}`),
		Missing: func(t plugintest.TB) json.RawMessage {
			return encode(t, filepath.Join(t.TempDir(), "missing"))
		},
		New:        newWorkspace,
		Executable: []string{"bin/deep/run.sh"},
	}
	t.Run("in process", func(t *testing.T) {
		t.Parallel()
		plugintest.TestSource(t, plugintest.InProcess(newSource), opts)
	})
	t.Run("binary", func(t *testing.T) {
		t.Parallel()
		plugintest.TestSource(t, plugintest.Binary(binary), opts)
	})
}

func newWorkspace(t plugintest.TB) (json.RawMessage, map[string]string, func() map[string]string) {
	dir := t.TempDir()
	files := map[string]string{"flow.yaml": "tasks: {}\n", ".workflows/a.yml": "", "bin/deep/run.sh": "#!/bin/sh\n"}
	write(t, dir, files)
	return encode(t, dir), files, func() map[string]string {
		changed := maps.Clone(files)
		changed["bin/deep/run.sh"] = "#!/bin/no\n" // as long as it was
		write(t, dir, changed)
		return changed
	}
}

func encode(t plugintest.TB, path string) json.RawMessage {
	data, err := json.Marshal(settings{Path: path})
	if err != nil {
		t.Fatalf("encode settings: %v", err)
	}
	return data
}

func write(t plugintest.TB, dir string, files map[string]string) {
	t.Helper()
	for name, text := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o750); err != nil {
			t.Fatalf("%v", err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatalf("%v", err)
		}
		if strings.HasPrefix(text, "#!") {
			if err := os.Chmod(path, 0o700); err != nil {
				t.Fatalf("%v", err)
			}
		}
	}
}
