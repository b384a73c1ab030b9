package main

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/stroem/stroem/core/api"
)

// askLogs runs logs against a server that answers with this, and returns what it was asked for.
func askLogs(t *testing.T, handle http.HandlerFunc, args ...string) (out string, asked *url.URL, err error) {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked = r.URL
		handle(w, r)
	}))
	defer server.Close()
	out, err = execute(t, append([]string{"--server", server.URL, "logs", "7"}, args...)...)
	return out, asked, err
}

func TestLogsAreFiltered(t *testing.T) {
	t.Parallel()
	page := func(w http.ResponseWriter, _ *http.Request) {
		_ = json.NewEncoder(w).Encode(api.Logs{Logs: storedLines, From: 1, Next: 5, Total: 4})
	}
	out, asked, err := askLogs(t, page, "--grep", "a&b", "-i", "--stream", "stderr", "--since", "1h", "--until", "2026-01-02T03:04:05+01:00", "--step", "x")
	require.NoError(t, err)
	require.Equal(t, strings.Split(storedLines, "\n"), strings.Split(out, "\n"), "into a pipe as it is stored")
	q := asked.Query()
	since, err := time.Parse(time.RFC3339, q.Get("since"))
	require.NoError(t, err)
	require.WithinDuration(t, time.Now().Add(-time.Hour), since, time.Minute)
	q.Del("since")
	require.Equal(t, "/api/jobs/7/steps/x/logs", asked.Path)
	require.Equal(t, "ignore_case=true&q=a%26b&stream=stderr&until=2026-01-02T02%3A04%3A05Z", q.Encode())
	_, asked, err = askLogs(t, page, "--regexp", `^a+$`, "--tail", "3")
	require.NoError(t, err)
	require.Equal(t, "q=%5Ea%2B%24&regex=true&tail=3", asked.RawQuery)

	for _, args := range [][]string{
		{"--grep", "a", "--regexp", "b"},
		{"-i"},
		{"--stream", "both"},
		{"--tail", "-1"},
		{"--since", "then"},
		{"--until", "-1h"},
		{"--follow", "--grep", "a"},
		{"--follow", "--since", "1h"},
		{"--download", "x", "--follow"},
		{"--download", "x", "--tail", "1"},
	} {
		_, asked, err := askLogs(t, page, args...)
		var usage *exitError
		require.ErrorAs(t, err, &usage, "%v", args)
		require.Equal(t, exitUsage, usage.code)
		require.Nil(t, asked)
	}
}

func TestHitsAreShown(t *testing.T) {
	t.Parallel()
	text := "one \x1b[2Jtwo one"
	for colour, want := range map[bool]string{
		false: "a | one \uFFFD[2Jtwo one\n",
		true:  "\x1b[36ma\x1b[0m | \x1b[1;31mone\x1b[0m \uFFFD[2Jtwo \x1b[1;31mone\x1b[0m\n",
	} {
		var out bytes.Buffer
		view := logView{out: &printer{w: &out, colour: colour}}
		require.NoError(t, view.hit(api.LogFound{Line: 1, Step: "a", Stream: "stdout", Text: &text, Matches: [][2]int{{0, 3}, {3, 3}, {12, 15}, {14, 99}}}))
		require.Equal(t, want, out.String())
	}
}

func TestLogsAreDownloaded(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "job.log")
	zipped := func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Encoding", "gzip")
		zip := gzip.NewWriter(w)
		_, _ = zip.Write([]byte("\x1b[31mred\x1b[0m\n"))
		_ = zip.Close()
	}
	out, asked, err := askLogs(t, zipped, "--download", file, "--step", "a")
	require.NoError(t, err)
	require.Empty(t, out)
	require.Equal(t, "/api/jobs/7/steps/a/logs/raw", asked.String())
	got, err := os.ReadFile(file)
	require.NoError(t, err)
	require.Equal(t, "\x1b[31mred\x1b[0m\n", string(got))
	out, asked, err = askLogs(t, zipped, "--download", "-", "--raw", "--grep", "x")
	require.NoError(t, err)
	require.Equal(t, "\x1b[31mred\x1b[0m\n", out)
	require.Equal(t, "/api/jobs/7/logs/raw?format=jsonl&q=x", asked.String())

	_, _, err = askLogs(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "1000")
		_, _ = w.Write([]byte("part"))
	}, "--download", file)
	require.ErrorContains(t, err, "unexpected EOF")
	got, err = os.ReadFile(file)
	require.NoError(t, err)
	require.Equal(t, "\x1b[31mred\x1b[0m\n", string(got), "what was there is kept")
	entries, err := os.ReadDir(filepath.Dir(file))
	require.NoError(t, err)
	require.Len(t, entries, 1, "nothing is left")
}
