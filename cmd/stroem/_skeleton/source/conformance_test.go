package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"sync/atomic"
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
	plugintest.TestSource(t, plugintest.Binary(binary), plugintest.SourceOptions{
		BadConfig:  json.RawMessage(`{"no_such_key": 1}`),
		New:        newWorkspace,
		Executable: []string{},
		Missing:    func(t plugintest.TB) json.RawMessage { return serve(t, http.NotFound) },
	})
}

// newWorkspace makes a workspace for the suite: its settings, its files, and how to change them.
func newWorkspace(t plugintest.TB) (json.RawMessage, map[string]string, func() map[string]string) {
	var text atomic.Value
	text.Store("tasks: {}\n")
	url := serve(t, func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, text.Load().(string)) })
	files := func() map[string]string { return map[string]string{fileName: text.Load().(string)} }
	return url, files(), func() map[string]string {
		text.Store("tasks: {a: {}}\n")
		return files()
	}
}

// serve starts a web server and returns the settings of the workspace there.
func serve(t plugintest.TB, handler http.HandlerFunc) json.RawMessage {
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	return json.RawMessage(fmt.Sprintf(`{"url": %q}`, server.URL))
}
