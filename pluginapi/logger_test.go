package pluginapi

import (
	"bytes"
	"encoding/json"
	"log/slog"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestLoggerWritesWhatHostsRead(t *testing.T) {
	t.Parallel()
	var b bytes.Buffer
	log := slog.New(newLogHandler(&b, slog.LevelInfo))
	log.Debug("hidden")
	log.With("run", "r1").Warn("watch out", slog.Group("group", "level", 3))
	var record map[string]any
	require.NoError(t, json.Unmarshal(b.Bytes(), &record))
	at, ok := record["@timestamp"].(string)
	require.True(t, ok)
	_, err := time.Parse(time.RFC3339Nano, at)
	require.NoError(t, err)
	delete(record, "@timestamp")
	require.Equal(t, map[string]any{
		"@level": "warn", "@message": "watch out", "run": "r1", "group": map[string]any{"level": 3.0},
	}, record)
}
