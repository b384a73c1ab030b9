package logs

import (
	"context"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/stroem/stroem/core"
)

func TestLinesAreHandedToTheReplicaThatKeepsTheLog(t *testing.T) {
	t.Parallel()
	store, conn := database(t)
	c := newCluster(t.Context(), t, store, conn, t.TempDir(), 3)
	job := c.job()
	for i, m := range append(c.replicas, c.replicas...) {
		require.NoError(t, m.logs.Append(t.Context(), job, "a", 1, int64(i+1), batch("a", int64(i+1), int64(i+1))))
		require.NoError(t, m.logs.Event(t.Context(), job, "said"))
	}
	for _, m := range c.replicas {
		texts, total := m.read(job)
		require.EqualValues(t, 12, total)
		require.Equal(t, numbers(6), texts["a"])
		require.Equal(t, slices.Repeat([]string{"said"}, 6), texts["_server"])
		p, err := m.logs.Position(t.Context(), job, "a", 1)
		require.NoError(t, err)
		require.EqualValues(t, 6, p.Last)
		require.EqualValues(t, 6, p.Known.Stdout, "they have the same time")
	}
	segments, err := store.LogSegments(t.Context(), job)
	require.NoError(t, err)
	require.Len(t, segments, 1)
	require.Equal(t, c.replicas[0].id, segments[0].Replica)
	err = c.replicas[1].logs.Append(t.Context(), job, "a", 1, 1, []byte("x\n"))
	require.Equal(t, core.CodeInvalid, core.ErrorCode(err), "what the other replica says against it is told")
}

// TestReplicaThatStoodStill takes over from a replica that then goes on, and knows nothing of it.
func TestReplicaThatStoodStill(t *testing.T) {
	t.Parallel()
	store, conn := database(t)
	c := newCluster(t.Context(), t, store, conn, t.TempDir(), 2)
	old, next := c.replicas[0], c.replicas[1]
	job := c.job()
	require.NoError(t, old.logs.Append(t.Context(), job, "a", 1, 1, batch("a", 1, 2)))
	old.isolated = true
	err := next.logs.Append(t.Context(), job, "a", 1, 3, batch("a", 3, 4))
	require.Equal(t, core.CodeUnavailable, core.ErrorCode(err), "it is not gone yet")
	old.expire()
	require.NoError(t, next.logs.Append(t.Context(), job, "a", 1, 3, batch("a", 3, 4)))
	err = old.logs.Append(t.Context(), job, "a", 1, 5, batch("a", 5, 5))
	require.Equal(t, errLapsed, err)
	old.failing = "before SettleLog"
	require.False(t, old.see(), "it keeps logs again, and cannot close what was taken over")
	err = old.logs.Append(t.Context(), job, "a", 1, 5, batch("a", 5, 5))
	require.Equal(t, core.CodeUnavailable, core.ErrorCode(err), "it does not reach the other one")
	old.isolated, old.failing = false, ""
	require.NoError(t, old.logs.Append(t.Context(), job, "a", 1, 5, batch("a", 5, 5)))
	require.True(t, old.see())
	for _, m := range c.replicas {
		texts, _ := m.read(job)
		require.Equal(t, numbers(5), texts["a"])
		require.Len(t, texts["_server"], 1)
		require.Contains(t, texts["_server"][0], "the log goes on at replica "+next.id.String())
	}
}

// TestLogOfAReplicaThatIsGone reads a log of which a part cannot be read, and lines keep their numbers.
func TestLogOfAReplicaThatIsGone(t *testing.T) {
	t.Parallel()
	store, conn := database(t)
	c := newCluster(t.Context(), t, store, conn, t.TempDir(), 2)
	old, next := c.replicas[0], c.replicas[1]
	job := c.job()
	require.NoError(t, old.logs.Append(t.Context(), job, "a", 1, 1, batch("a", 1, 3)))
	texts, _ := next.read(job)
	require.Equal(t, numbers(3), texts["a"])
	old.stop()
	_, err := next.logs.View(t.Context(), job)
	require.Equal(t, core.CodeUnavailable, core.ErrorCode(err))
	require.ErrorContains(t, err, old.id.String())
	old.expire()
	texts, total := next.read(job)
	require.EqualValues(t, 3, total)
	require.Len(t, texts["_server"], 3)
	for _, text := range texts["_server"] {
		require.Equal(t, "[logs] A line that is missing here is kept by replica "+old.id.String()+", which is gone", text)
	}
	p, err := next.logs.Position(t.Context(), job, "a", 1)
	require.NoError(t, err)
	require.Zero(t, p, "all of it may come again")
	require.NoError(t, next.logs.Append(t.Context(), job, "a", 1, 2, batch("a", 2, 5)), "what was not acknowledged comes again")
	texts, total = next.read(job)
	require.EqualValues(t, 3+1+4, total)
	require.Equal(t, numbers(5)[1:], texts["a"])
	p, err = next.logs.Position(t.Context(), job, "a", 1)
	require.NoError(t, err)
	require.EqualValues(t, 5, p.Last)
	old.start()
	require.True(t, old.see())
	for _, m := range c.replicas {
		texts, total = m.read(job)
		require.EqualValues(t, 6, total)
		require.Equal(t, numbers(5), texts["a"])
	}
	p, err = old.logs.Position(t.Context(), job, "a", 1)
	require.NoError(t, err)
	require.EqualValues(t, 5, p.Last)
	require.EqualValues(t, 5, p.Known.Stdout, "of both segments")
}

// counted counts what the other replicas are asked.
type counted struct {
	*member
	polls atomic.Int32
}

func (c *counted) Index(ctx context.Context, of core.LogSegment, known IndexQuery, wait time.Duration) (IndexAnswer, error) {
	if wait > 0 {
		c.polls.Add(1)
	}
	return c.member.Index(ctx, of, known, wait)
}

// TestManyWaitWithOneQuestion has many wait for lines that another replica keeps.
func TestManyWaitWithOneQuestion(t *testing.T) {
	t.Parallel()
	store, conn := database(t)
	c := newCluster(t.Context(), t, store, conn, t.TempDir(), 2)
	keeper, here := c.replicas[0], c.replicas[1]
	peers := &counted{member: here}
	here.logs.Peers = peers
	job := c.job()
	require.NoError(t, keeper.logs.Append(t.Context(), job, "a", 1, 1, batch("a", 1, 1)))
	const waiters, rounds = 50, 20
	for round := int64(1); round <= rounds; round++ {
		var waiting sync.WaitGroup
		errs := make([]error, waiters)
		for i := range errs {
			waiting.Go(func() { errs[i] = here.logs.Wait(t.Context(), job, round) })
		}
		require.NoError(t, keeper.logs.Append(t.Context(), job, "a", 1, round+1, batch("a", round+1, round+1)))
		waiting.Wait()
		for _, err := range errs {
			require.NoError(t, err)
		}
	}
	require.LessOrEqual(t, peers.polls.Load(), int32(2*rounds+2))
	texts, _ := here.read(job)
	require.Equal(t, numbers(rounds+1), texts["a"])
}

// TestWaitingGoesOnWhereTheLogDoes has somebody wait while the log moves to another replica.
func TestWaitingGoesOnWhereTheLogDoes(t *testing.T) {
	t.Parallel()
	store, conn := database(t)
	c := newCluster(t.Context(), t, store, conn, t.TempDir(), 2)
	old, next := c.replicas[0], c.replicas[1]
	job := c.job()
	require.NoError(t, old.logs.Append(t.Context(), job, "a", 1, 1, batch("a", 1, 3)))
	texts, _ := next.read(job)
	require.Equal(t, numbers(3), texts["a"])
	waited := make(chan error, 1)
	go func() { waited <- next.logs.Wait(t.Context(), job, 3) }()
	old.stop()
	old.expire()
	require.NoError(t, next.logs.Append(t.Context(), job, "a", 1, 4, batch("a", 4, 4)))
	require.NoError(t, <-waited)
	v, err := next.logs.View(t.Context(), job)
	require.NoError(t, err)
	require.Len(t, v.Starts, 2)
	require.EqualValues(t, 4, v.Starts[1].Line)
	require.NoError(t, v.Close())
}

// TestLogsOfOlderVersions are found by all replicas.
func TestLogsOfOlderVersions(t *testing.T) {
	t.Parallel()
	store, conn := database(t)
	c := newCluster(t.Context(), t, store, conn, t.TempDir(), 2)
	job, gone := c.job(), c.job()
	_, err := conn.Exec(t.Context(), "delete from job where job_id = $1", gone)
	require.NoError(t, err)
	old := c.replicas[0]
	require.NoError(t, old.logs.Local.Append(t.Context(), job, "a", 1, 1, batch("a", 1, 3)))
	require.NoError(t, old.logs.Local.Append(t.Context(), gone, "a", 1, 1, batch("a", 1, 3)))
	texts, _ := old.read(job)
	require.Equal(t, numbers(3), texts["a"], "before anything is done about it")
	old.logs.adopt(t.Context())
	for _, m := range c.replicas {
		require.NoError(t, m.logs.Append(t.Context(), job, "a", 1, 2, batch("a", 2, 4)))
		texts, _ := m.read(job)
		require.Equal(t, numbers(4), texts["a"])
	}
	news, err := old.logs.see(t.Context(), "")
	require.NoError(t, err)
	require.True(t, news.Adopted)
	err = old.logs.Append(t.Context(), gone, "a", 1, 1, batch("a", 1, 1))
	require.Equal(t, core.CodeNotFound, core.ErrorCode(err))
}

// TestServerThatLeaves is taken over from sooner.
func TestServerThatLeaves(t *testing.T) {
	t.Parallel()
	store, conn := database(t)
	c := newCluster(t.Context(), t, store, conn, t.TempDir(), 1)
	m := c.replicas[0]
	left := func() (seconds float64) {
		require.NoError(t, conn.QueryRow(t.Context(), "select extract(epoch from valid_until - now()) from replica").Scan(&seconds))
		return seconds
	}
	require.InDelta(t, life.Seconds(), left(), 60)
	require.NoError(t, m.logs.Leave(t.Context(), ""))
	require.InDelta(t, life.Seconds()/6, left(), 60)
	require.Equal(t, errLapsed, m.logs.Append(t.Context(), c.job(), "a", 1, 1, batch("a", 1, 1)))
}

// TestRunKeepsTheLease renews it, and closes what others have gone on from.
func TestRunKeepsTheLease(t *testing.T) {
	t.Parallel()
	store, conn := database(t)
	c := newCluster(t.Context(), t, store, conn, t.TempDir(), 2)
	old, next := c.replicas[0], c.replicas[1]
	job := c.job()
	require.NoError(t, old.logs.Append(t.Context(), job, "a", 1, 1, batch("a", 1, 2)))
	old.isolated = true
	old.expire()
	require.NoError(t, next.logs.Append(t.Context(), job, "a", 1, 2, batch("a", 2, 3)))
	old.isolated = false
	ctx, cancel := context.WithCancel(t.Context())
	ran := make(chan struct{})
	go func() {
		defer close(ran)
		old.logs.Run(ctx, old.id.String())
	}()
	require.Eventually(t, func() bool {
		segments, err := store.LogSegments(t.Context(), job)
		return err == nil && segments[0].Lines >= 0
	}, time.Minute, 10*time.Millisecond)
	cancel()
	<-ran
	require.True(t, old.logs.lease.holds())
	texts, _ := old.read(job)
	require.Equal(t, numbers(3), texts["a"])
}

func TestLeaseRunsOut(t *testing.T) {
	t.Parallel()
	var l lease
	require.False(t, l.holds(), "before it was asked for")
	for _, c := range []struct {
		ago   time.Duration
		holds bool
	}{{0, true}, {49 * time.Second, true}, {50 * time.Second, false}, {-51 * time.Second, false}} {
		l.renew(time.Now().Add(-c.ago), time.Minute, 0)
		require.Equal(t, c.holds, l.holds(), "%s", c.ago)
	}
	require.True(t, strings.HasPrefix(errLapsed.Message, "This replica has not reached the database"))
}
