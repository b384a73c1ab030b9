package main

import (
	"encoding/json"
	"os"
	"testing"

	"github.com/stroem/stroem/pluginapi/plugintest"
)

func TestMain(m *testing.M) {
	plugintest.Init() // the suite starts this program as a host that it kills
	os.Exit(m.Run())
}

func TestConformance(t *testing.T) {
	binary, err := plugintest.Build(t.Context(), t.TempDir(), ".")
	if err != nil {
		t.Fatal(err)
	}
	plugintest.TestRunner(t, plugintest.Binary(binary), plugintest.RunnerOptions{
		BadConfig: json.RawMessage(`{"no_such_key": 1}`),
	})
}
