//go:build unix

package pluginhost_test

import (
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/stroem/stroem/core/pluginhost"
)

func TestDiagnosticsOfPlugins(t *testing.T) {
	t.Parallel()
	s := start(t, one(script{}))
	s.text("log")
	record := s.logbook.await(t, "disk is nearly full")
	require.Equal(t, "WARN", record["level"])
	require.Equal(t, "runner-test", record["plugin"])
	require.Equal(t, map[string]any{"free": 3.0}, record["fields"])
	require.NotContains(t, record, "@timestamp")
	record = s.logbook.await(t, "plain words")
	require.Equal(t, "INFO", record["level"])
	require.Equal(t, "runner-test", record["plugin"])
}

func TestWhatPluginsPrint(t *testing.T) {
	t.Parallel()
	s := start(t, one(script{Print: []string{
		`{"@level": "error", "@message": "as hclog", "@module": "m", "n": [1, {"a": null}]}`,
		`{"@level": 7, "@message": "odd level"}`, `{"@message": {"no": "text"}}`,
		`{"level": "warn", "msg": "another logger"}`, `null`, `[1]`, `"a string"`, `   `, "\x00\xff",
		strings.Repeat("long", 20_000), // more than a line may have
		"panic: at the disco", "goroutine 1 [running]:",
	}}))
	record := s.logbook.await(t, "as hclog")
	require.Equal(t, "ERROR", record["level"])
	require.Equal(t, map[string]any{"n": []any{1.0, map[string]any{"a": nil}}}, record["fields"])
	require.Equal(t, "ERROR", s.logbook.await(t, "goroutine 1 [running]:")["level"], "the trace of a panic is an error")
	require.Equal(t, "ERROR", s.logbook.await(t, "panic: at the disco")["level"])
	for _, text := range []string{
		"odd level", `{"@message": {"no": "text"}}`, `{"level": "warn", "msg": "another logger"}`, "null", "[1]", `"a string"`,
	} {
		require.Equal(t, "INFO", s.logbook.await(t, text)["level"])
	}
	s.logbook.await(t, strings.Repeat("long", 16<<10))
	require.Equal(t, pluginhost.StateReady, s.status("runner-test").State)
}

// TestPluginsCannotPassForTheHost has a plugin that repeats the host's own keys. The text of a record is looked at: a parser
// shows one of two equal keys.
func TestPluginsCannotPassForTheHost(t *testing.T) {
	t.Parallel()
	s := start(t, one(script{Print: []string{
		`{"@message": "me", "@level": "warn", "plugin": "runner-other", "level": "DEBUG", "msg": "nobody", "time": "never", "fields": 1, "": 2}`,
	}}))
	record := s.logbook.await(t, "me")
	require.Equal(t, "runner-test", record["plugin"])
	require.Equal(t, "WARN", record["level"])
	require.Equal(t, map[string]any{
		"plugin": "runner-other", "level": "DEBUG", "msg": "nobody", "time": "never", "fields": 1.0, "": 2.0,
	}, record["fields"])
	text := s.logbook.String()
	mine := text[strings.Index(text, `"msg":"me"`):]
	mine, _, _ = strings.Cut(mine, `"fields"`)
	require.Equal(t, `"msg":"me","plugin":"runner-test",`, mine)
}

func TestLastWordsOfAPlugin(t *testing.T) {
	t.Parallel()
	s := start(t, one(script{Exit: atStart, Print: []string{"there is no engine"}}), limits(func(l *pluginhost.Limits) { l.Starts = 1 }))
	require.Equal(t, pluginhost.StateFailed, s.status("runner-test").State)
	require.Equal(t, "INFO", s.logbook.await(t, "there is no engine")["level"])
}

func TestChattyPluginLosesLines(t *testing.T) {
	t.Parallel()
	lines := make([]string, 3000)
	for i := range lines {
		lines[i] = fmt.Sprintf("line %d", i)
	}
	s := start(t, one(script{Print: lines}))
	require.Equal(t, pluginhost.StateReady, s.status("runner-test").State)
	const dropped = "plugin printed too much; lines were dropped"
	for found, _ := s.logbook.find("msg", dropped); len(found) == 0; found, _ = s.logbook.find("msg", dropped) {
		s.text("log") // it is told before the next line that is let through
	}
	require.Greater(t, s.logbook.await(t, dropped)["lines"], 0.0)
	require.Less(t, strings.Count(s.logbook.String(), `"msg":"line `), 3000)
}

func TestPluginsKnowTheLogLevel(t *testing.T) {
	t.Parallel()
	for _, level := range []slog.Level{slog.LevelDebug, slog.LevelInfo, slog.LevelWarn, slog.LevelError} {
		t.Run(level.String(), func(t *testing.T) {
			t.Parallel()
			s := start(t, one(script{}), func(c *pluginhost.Config) {
				c.Logger = slog.New(slog.NewJSONHandler(newLogbook(), &slog.HandlerOptions{Level: level}))
			})
			require.Contains(t, s.text("env"), "="+level.String()+"\n")
		})
	}
}
