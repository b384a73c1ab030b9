package main

import (
	"encoding/json"
	"log/slog"
	"os"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/stroem/stroem/pluginapi"
	"github.com/stroem/stroem/pluginapi/plugintest"
)

func TestMain(m *testing.M) {
	plugintest.Init() // some cases need a host that can die: the test program itself acts as one
	os.Exit(m.Run())
}

// TestConformance runs the suite that every runner should pass, on the plugin in this process and on the program.
func TestConformance(t *testing.T) {
	t.Parallel()
	server := serve(t)
	spec := func(path string) json.RawMessage {
		return json.RawMessage(`{"output_status": false, "url": "` + server + path + `"}`)
	}
	opts := plugintest.RunnerOptions{
		Config:    json.RawMessage(`{"max_response_bytes": 1000000000}`), // endless has to last
		BadConfig: json.RawMessage(`{"max_response_bytes": "many"}`),
		// A request needs a server, so the examples cannot be in the plugin's description. An HTTP request does not know
		// signals: there is no stubborn one, and none is killed.
		Examples: map[string]pluginapi.Examples{"example.http_request": {
			Succeed: spec("/ok"), Fail: spec("/fail"), Long: spec("/long"), Large: spec("/large"),
			Unterminated: spec("/unterminated"), Endless: spec("/endless"),
		}},
	}
	t.Run("in process", func(t *testing.T) {
		t.Parallel()
		newPlugin := func() *runner { return newRunner(slog.New(slog.DiscardHandler)) }
		plugintest.TestRunner(t, plugintest.InProcess(newPlugin), opts)
	})
	t.Run("program", func(t *testing.T) {
		t.Parallel()
		path, err := plugintest.Build(t.Context(), t.TempDir(), ".")
		require.NoError(t, err)
		plugintest.TestRunner(t, plugintest.Binary(path), opts)
	})
}
