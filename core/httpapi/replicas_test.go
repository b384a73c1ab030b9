package httpapi_test

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/stroem/stroem/core"
	"github.com/stroem/stroem/core/joblog"
	"github.com/stroem/stroem/core/logs"
	"github.com/stroem/stroem/core/replica"
)

// TestAnotherReplicaAsksForALog keeps a log for another replica.
func TestAnotherReplicaAsksForALog(t *testing.T) {
	t.Parallel()
	b := newBundle(t, secured)
	job := uuid.MustParse(b.as("operator").execute())
	b.write(job.String(), "a", "one")
	of := core.LogSegment{Job: job, N: 1, Replica: b.logs.ID, URL: b.url}
	peers := replica.NewPeers(replicasKey, nil)
	t.Cleanup(peers.Close)
	ctx := t.Context()

	require.NoError(t, peers.Append(ctx, of, "a", 1, 2, stored("two")))
	require.NoError(t, peers.Append(ctx, of, "a", 1, 2, stored("two")), "a repeat")
	require.NoError(t, peers.Event(ctx, of, "said"))
	answer, err := peers.Index(ctx, of, logs.IndexQuery{}, 0)
	require.NoError(t, err)
	require.True(t, answer.Last)
	index, err := new(joblog.Index).With(answer.Delta)
	require.NoError(t, err)
	require.EqualValues(t, 3, index.Lines)
	text := make([]byte, index.Size)
	require.NoError(t, peers.ReadAt(ctx, of, answer.Version, text, 0))
	require.Equal(t, 3, bytes.Count(text, []byte("\n")))
	require.Contains(t, string(text), `"line":"said"`)
	next, err := peers.Next(ctx, of, "a", 1)
	require.NoError(t, err)
	require.EqualValues(t, 3, next)

	known := logs.IndexQuery{Version: answer.Version, Lines: index.Lines, Blocks: index.Blocks(), Steps: len(index.Steps)}
	waited := make(chan logs.IndexAnswer, 1)
	go func() {
		answer, err := peers.Index(ctx, of, known, 30*time.Second)
		if err == nil {
			waited <- answer
		}
		close(waited)
	}()
	b.write(job.String(), "b", "three")
	answer = <-waited
	require.EqualValues(t, 4, answer.Delta.Lines)
	require.Equal(t, []string{"b"}, answer.Delta.Steps, "what was not known")

	for name, c := range map[string]struct {
		call func(*replica.Peers) error
		code core.Code
	}{
		"another segment": {func(peers *replica.Peers) error {
			elsewhere := of
			elsewhere.N = 2
			return peers.Append(ctx, elsewhere, "a", 1, 3, stored("x"))
		}, core.CodeConflict},
		"a job without a log": {func(peers *replica.Peers) error {
			elsewhere := of
			elsewhere.Job = uuid.New()
			return peers.Append(ctx, elsewhere, "a", 1, 3, stored("x"))
		}, core.CodeConflict},
		"no line":              {func(peers *replica.Peers) error { return peers.Append(ctx, of, "a", 1, 3, []byte("x\n")) }, core.CodeInvalid},
		"a step of the server": {func(peers *replica.Peers) error { return peers.Append(ctx, of, "_server", 1, 3, stored("x")) }, core.CodeInvalid},
		"too much": {func(peers *replica.Peers) error {
			return peers.Append(ctx, of, "a", 1, 3, []byte(strings.Repeat("x", 9<<20)))
		}, core.CodeUnavailable},
		"behind the end": {func(peers *replica.Peers) error {
			return peers.ReadAt(ctx, of, answer.Version, make([]byte, 10), 1<<40)
		}, core.CodeUnavailable},
		"an older state": {func(peers *replica.Peers) error { return peers.ReadAt(ctx, of, answer.Version+1, make([]byte, 10), 0) }, core.CodeUnavailable},
		"another key": {func(*replica.Peers) error {
			stranger := replica.NewPeers(replica.Key("another key"), nil)
			defer stranger.Close()
			_, err := stranger.Index(ctx, of, logs.IndexQuery{}, 0)
			return err
		}, core.CodeUnavailable},
	} {
		again := replica.NewPeers(replicasKey, nil) // one that could not send all does not ask for a moment
		err := c.call(again)
		again.Close()
		require.Equal(t, c.code, core.ErrorCode(err), "%s: %v", name, err)
	}
}

func stored(text string) []byte {
	return joblog.AppendLine(nil, "a", 1, joblog.Stdout, "2026-01-02T03:04:05.678901Z", text)
}
