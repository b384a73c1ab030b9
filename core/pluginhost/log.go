package pluginhost

import (
	"bytes"
	"context"
	"encoding/json"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"time"

	"golang.org/x/time/rate"
)

const (
	maxLogLine   = 64 << 10 // bytes; what is longer is cut off
	logsPerSec   = 100      // lines per plugin, on average; a long line counts as one for each KiB
	logsAtOnce   = 1000     // beyond the average
	panicGoes    = "panic: "
	fatalErrGoes = "fatal error: "
)

// logWriter takes what a plugin prints, line by line, into the host's log. A line is hclog's JSON or plain text. A
// plugin that prints without end loses lines; it is neither slowed down nor allowed to fill the host's log.
type logWriter struct {
	log   *slog.Logger
	level slog.Level    // of plain text
	limit *rate.Limiter // shared by all streams of a plugin

	line    []byte
	dropped int
	panicky bool // what follows is the trace of a panic
}

func newLogLimit() *rate.Limiter { return rate.NewLimiter(logsPerSec, logsAtOnce) }

// Write implements io.Writer; it never fails.
func (w *logWriter) Write(p []byte) (int, error) {
	n := len(p)
	for {
		end := bytes.IndexByte(p, '\n')
		if end < 0 {
			w.add(p)
			return n, nil
		}
		w.add(p[:end])
		w.emit()
		p = p[end+1:]
	}
}

func (w *logWriter) add(p []byte) {
	w.line = append(w.line, p[:min(len(p), maxLogLine-len(w.line))]...)
}

func (w *logWriter) emit() {
	line := w.line
	w.line = w.line[:0]
	if len(bytes.TrimSpace(line)) == 0 {
		return
	}
	if !w.limit.AllowN(time.Now(), 1+len(line)>>10) {
		w.dropped++
		return
	}
	if w.dropped > 0 {
		w.log.Warn("plugin printed too much; lines were dropped", "lines", w.dropped)
		w.dropped = 0
	}
	var record map[string]any
	if json.Unmarshal(line, &record) == nil {
		if message, ok := record["@message"].(string); ok {
			w.record(message, record)
			return
		}
	}
	w.plain(string(line)) // whatever JSON it may be otherwise
}

func (w *logWriter) plain(line string) {
	w.panicky = w.panicky || strings.HasPrefix(line, panicGoes) || strings.HasPrefix(line, fatalErrGoes)
	level := w.level
	if w.panicky {
		level = slog.LevelError
	}
	w.log.Log(context.Background(), level, line) //nolint:sloglint // the plugin's words
}

// record logs hclog's JSON. The plugin may put anything into it, so its attributes have a group of their own: none of them can
// pass for one of the host's.
func (w *logWriter) record(message string, record map[string]any) {
	levelName, _ := record["@level"].(string)
	level, ok := hclogLevels[levelName]
	if !ok {
		level = w.level
	}
	var attrs []any
	for _, key := range slices.Sorted(maps.Keys(record)) {
		if !strings.HasPrefix(key, "@") {
			attrs = append(attrs, slog.Any(key, record[key]))
		}
	}
	w.log.LogAttrs(context.Background(), level, message, slog.Group("fields", attrs...)) //nolint:sloglint // the plugin's words
}

var hclogLevels = map[string]slog.Level{
	"trace": slog.LevelDebug, "debug": slog.LevelDebug, "info": slog.LevelInfo, "warn": slog.LevelWarn, "error": slog.LevelError,
}

// levelOf is the lowest level that a logger takes.
func levelOf(log *slog.Logger) slog.Level {
	for _, level := range []slog.Level{slog.LevelDebug, slog.LevelInfo, slog.LevelWarn} {
		if log.Enabled(context.Background(), level) {
			return level
		}
	}
	return slog.LevelError
}
