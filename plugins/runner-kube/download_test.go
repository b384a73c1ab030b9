package main

import (
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestWorkspaceThatCannotBeDownloaded(t *testing.T) {
	t.Parallel()
	r, _ := newTestRunner(t, nil)
	workspace := serveFiles(t, nil)
	workspace.Token = "wrong-token"
	_, out, err := run(t, r, request(t, map[string]any{"cmd": ":"}, &workspace))
	require.ErrorContains(t, err, "Failed to download workspace")
	require.ErrorContains(t, err, "401")
	require.NotContains(t, err.Error()+text(out), "wrong-token")
}

// TestDownloadThatBreaksOff has the server die in the middle of an archive, twice.
func TestDownloadThatBreaksOff(t *testing.T) {
	t.Parallel()
	r, _ := newTestRunner(t, nil)
	var asked atomic.Int64
	workspace := serveFilesBy(t, map[string]string{"a": strings.Repeat("a", 1000), "b": "content\n"}, func(w http.ResponseWriter, archive []byte) {
		if asked.Add(1) <= 2 {
			_, _ = w.Write(archive[:len(archive)/2])
			_ = http.NewResponseController(w).Flush()
			panic(http.ErrAbortHandler) // the connection breaks
		}
		_, _ = w.Write(archive)
	})
	result, out, err := run(t, r, request(t, map[string]any{"cmd": "cat b; ls"}, &workspace))
	require.NoError(t, err)
	require.Zero(t, result.ExitCode, result.Message)
	require.Equal(t, "content\na\nb\n", stdout(out))
}
