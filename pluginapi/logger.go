package pluginapi

import (
	"io"
	"log/slog"
	"os"

	"github.com/stroem/stroem/pluginapi/internal/wire"
)

// NewLogger returns a logger whose records the host takes into its own log, beside the plugin's name. Call it before
// [Serve]. Nothing that steps print belongs here, and no secrets.
func NewLogger() *slog.Logger {
	var level slog.Level
	if err := level.UnmarshalText([]byte(os.Getenv(wire.LogLevelEnv))); err != nil {
		level = slog.LevelInfo
	}
	return slog.New(newLogHandler(os.Stderr, level))
}

// newLogHandler writes what go-plugin's host understands: hclog's JSON.
func newLogHandler(w io.Writer, level slog.Level) slog.Handler {
	return slog.NewJSONHandler(w, &slog.HandlerOptions{Level: level, ReplaceAttr: hclogAttr})
}

func hclogAttr(groups []string, a slog.Attr) slog.Attr {
	if len(groups) > 0 {
		return a
	}
	switch a.Key {
	case slog.TimeKey:
		return slog.String("@timestamp", a.Value.Time().Format("2006-01-02T15:04:05.000000Z07:00"))
	case slog.MessageKey:
		return slog.String("@message", a.Value.String())
	case slog.LevelKey:
		return slog.String("@level", hclogLevel(a.Value))
	default:
		return a
	}
}

func hclogLevel(v slog.Value) string {
	level, _ := v.Any().(slog.Level)
	switch {
	case level < slog.LevelInfo:
		return "debug"
	case level < slog.LevelWarn:
		return "info"
	case level < slog.LevelError:
		return "warn"
	default:
		return "error"
	}
}
