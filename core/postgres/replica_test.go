package postgres_test

import (
	"net/netip"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/stroem/stroem/core"
)

func TestReplicasSeeEachOther(t *testing.T) {
	t.Parallel()
	b := newBundle(t)
	one, two := core.Replica{ID: uuid.New(), For: time.Minute}, core.Replica{ID: uuid.New(), URL: "http://two", For: time.Minute}
	for i, r := range []core.Replica{one, two, one, two} {
		news, err := b.SeeReplica(t.Context(), r)
		require.NoError(t, err)
		require.Equal(t, min(i, 1), news.Others)
		require.Empty(t, news.Superseded)
		require.False(t, news.Adopted)
	}
	one.For = 0
	_, err := b.SeeReplica(t.Context(), one)
	require.NoError(t, err)
	require.NoError(t, b.LogsAdopted(t.Context(), two.ID))
	news, err := b.SeeReplica(t.Context(), two)
	require.NoError(t, err)
	require.True(t, news.Adopted)
	require.Zero(t, news.Others, "the other one is gone")
	address, err := b.LocalAddr(t.Context())
	require.NoError(t, err)
	if address != "" {
		_, err = netip.ParseAddr(address)
		require.NoError(t, err)
	}
}

// TestTakingOverALog takes it over from a replica that is there, that is gone, and that was never heard of.
func TestTakingOverALog(t *testing.T) {
	t.Parallel()
	b := newBundle(t)
	job := b.create(t, 1).ID
	ctx := t.Context()
	keeper, next, last := core.Replica{ID: uuid.New(), For: time.Minute}, core.Replica{ID: uuid.New(), For: time.Minute}, uuid.New()
	for _, r := range []core.Replica{keeper, next} {
		_, err := b.SeeReplica(ctx, r)
		require.NoError(t, err)
	}
	segments, err := b.OpenLog(ctx, job, keeper.ID)
	require.NoError(t, err)
	require.Equal(t, []core.LogSegment{{Job: job, N: 1, Replica: keeper.ID, First: 1, Lines: -1}}, segments)
	segments, err = b.OpenLog(ctx, job, next.ID)
	require.NoError(t, err)
	require.Len(t, segments, 1, "it has begun")
	segments, err = b.TakeOverLog(ctx, job, 1, next.ID, 8)
	require.NoError(t, err)
	require.Len(t, segments, 1, "its replica is there")
	keeper.For = 0
	_, err = b.SeeReplica(ctx, keeper)
	require.NoError(t, err)
	for range 2 {
		segments, err = b.TakeOverLog(ctx, job, 1, next.ID, 8)
		require.NoError(t, err)
		require.Len(t, segments, 2)
		require.True(t, segments[0].Superseded && segments[0].Gone)
		require.Equal(t, core.LogSegment{Job: job, N: 2, Replica: next.ID, First: 8, Lines: -1}, segments[1])
	}
	segments, err = b.TakeOverLog(ctx, job, 1, last, 8)
	require.NoError(t, err)
	require.Equal(t, next.ID, segments[1].Replica, "somebody else was first")
	news, err := b.SeeReplica(ctx, keeper)
	require.NoError(t, err)
	require.Len(t, news.Superseded, 1)
	require.NoError(t, b.CloseLog(ctx, job, 1, 20))
	require.NoError(t, b.CloseLog(ctx, job, 2, 5), "which is not superseded")
	segments, err = b.LogSegments(ctx, job)
	require.NoError(t, err)
	require.EqualValues(t, 20, segments[0].Lines)
	require.EqualValues(t, 21, segments[1].First)
	require.EqualValues(t, -1, segments[1].Lines)
	_, err = b.OpenLog(ctx, uuid.New(), last)
	require.Equal(t, core.CodeNotFound, core.ErrorCode(err))
}

func TestWhereAttemptsGoOn(t *testing.T) {
	t.Parallel()
	b := newBundle(t)
	job, ctx := b.create(t, 1).ID, t.Context()
	gone := uuid.New()
	_, err := b.OpenLog(ctx, job, gone)
	require.NoError(t, err)
	for n := 1; n <= 2; n++ {
		_, err = b.TakeOverLog(ctx, job, n, gone, 1)
		require.NoError(t, err)
	}
	start := func(n int, step string, first int64) int64 {
		first, err := b.StartLog(ctx, job, n, core.LogStart{Step: step, Attempt: 1, First: first})
		require.NoError(t, err)
		return first
	}
	require.EqualValues(t, 5, start(2, "a", 5))
	require.EqualValues(t, 5, start(2, "a", 9), "that was said")
	starts, err := b.SettleLog(ctx, job, 1, []core.LogStart{{Step: "a", Attempt: 1, First: 7}, {Step: "b", Attempt: 1, First: 3}})
	require.NoError(t, err)
	require.ElementsMatch(t, []core.LogStart{{Step: "a", Attempt: 1, First: 5}, {Step: "b", Attempt: 1, First: 3}}, starts)
	require.EqualValues(t, 3, start(3, "b", 1), "the first segment has more")
	require.EqualValues(t, 6, start(3, "a", 6))
	starts, err = b.LogStarts(ctx, job, 3)
	require.NoError(t, err)
	require.ElementsMatch(t, []core.LogStart{{Step: "a", Attempt: 1, First: 6}, {Step: "b", Attempt: 1, First: 3}}, starts)
}
