package main

import (
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/stroem/stroem/pluginapi/plugintest"
)

// TestLogsThatBreakOff cuts a log at every byte and goes on from there, as a kubelet does: with the lines from the beginning of
// a second on.
func TestLogsThatBreakOff(t *testing.T) {
	t.Parallel()
	begin := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	var log, want strings.Builder
	for i, line := range []string{"a\n", "b\n", "b\n", "\n", "  c d\n", "late\n", "long " + strings.Repeat("x", 70) + "\n", "no newline"} {
		// Several lines have the same time, and one is older than the one before.
		at := begin.Add(time.Duration([]int{0, 1, 1, 1, 2, 1, 3, 3}[i]) * 100 * time.Millisecond)
		log.WriteString(at.Format(time.RFC3339Nano) + " " + line)
		want.WriteString(line)
	}
	broken := errors.New("broken")
	for cut := range log.Len() + 1 {
		out := plugintest.NewRecorder()
		l := &logReader{f: &follower{out: out}}
		err := l.copy(t.Context(), io.MultiReader(strings.NewReader(log.String()[:cut]), failing{broken}))
		require.ErrorIs(t, err, broken)
		require.NoError(t, l.copy(t.Context(), strings.NewReader(log.String())))
		require.Equal(t, want.String(), stdout(out), "cut at %d", cut)
	}
}

type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }

func TestLogsFromATimeOn(t *testing.T) {
	t.Parallel()
	out := plugintest.NewRecorder()
	since := time.Date(2026, 1, 2, 3, 4, 5, 200, time.UTC)
	l := &logReader{f: &follower{out: out, since: since}, pos: position{second: since.Truncate(time.Second)}}
	require.NoError(t, l.copy(t.Context(), strings.NewReader(
		"2026-01-02T03:04:05.000000100Z before\n2026-01-02T03:04:05.000000200Z then\n2026-01-02T05:04:05.000000200+02:00 too\nrpc error: gone\n")))
	require.Equal(t, "then\ntoo\n", stdout(out))
	require.Contains(t, text(out), "stroem: the log: rpc error: gone\n")
}
