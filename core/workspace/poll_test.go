package workspace_test

import (
	"context"
	"fmt"
	"io/fs"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/stroem/stroem/core"
	"github.com/stroem/stroem/core/workflow"
	"github.com/stroem/stroem/pluginapi"
)

func TestSourceUnavailable(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		spoil, mend func(s *source)
		message     string
	}{
		"no plugin": {
			func(s *source) { s.absent = true },
			func(s *source) { s.absent = false },
			"the source plugin source-a is not available",
		},
		"no answer": {
			func(s *source) { s.resolveErr = errDown },
			func(s *source) { s.resolveErr = nil },
			"cannot ask for the current revision: connection refused",
		},
		"no files": {
			func(s *source) { s.onFetch = func(context.Context, *pluginapi.FetchRequest) error { return errDown } },
			func(s *source) { s.onFetch = nil },
			"cannot fetch revision 0123456789ab: connection refused",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			bubble(t, func(t *testing.T) {
				const revision = "0123456789abcdef"
				from := commit(revision, flow("one"))
				c.spoil(from)
				m := newManager(t, configure(t.TempDir(), sources{"a": from, "b": commit("r1", flow("b"))}))
				start(t, m)
				require.True(t, m.Ready(), "each was tried")
				_, _, err := m.Workspace("a")
				requireCode(t, core.CodeUnavailable, err)
				require.ErrorContains(t, err, c.message)
				require.Equal(t, c.message, status(t, m, "a").Error)
				requireCode(t, core.CodeUnavailable, m.Refresh(t.Context(), "a"))
				requireRevision(t, m, "b", "r1", "b")

				from.change(func() { c.mend(from) })
				nextPoll()
				requireRevision(t, m, "a", revision, "one")
				require.Empty(t, status(t, m, "a").Error)

				from.commit("r2", flow("two"))
				from.change(func() { c.spoil(from) })
				nextPoll()
				requireRevision(t, m, "a", revision, "one")
				require.NotEmpty(t, status(t, m, "a").Error)
			})
		})
	}
}

// A workspace is not ready while its source has not answered for the first time.
func TestReadyWaitsForTheFirstAnswer(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T) {
		slow, answer := commit("r1", flow("slow")), make(chan struct{})
		slow.onResolve = func(context.Context) error {
			<-answer
			return errDown
		}
		m := newManager(t, configure(t.TempDir(), sources{"a": slow, "b": commit("r1", flow("b"))}))
		start(t, m)
		requireRevision(t, m, "b", "r1", "b")
		require.False(t, m.Ready())
		close(answer)
		synctest.Wait()
		require.True(t, m.Ready())
	})
}

func TestCheckedAt(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T) {
		from := commit("r1", flow("one"))
		m := newManager(t, configure(t.TempDir(), sources{"a": from}))
		start(t, m)
		pass(time.Second)
		require.NoError(t, m.Refresh(t.Context(), "a"))
		answered := time.Now()
		require.Equal(t, answered, status(t, m, "a").CheckedAt)
		from.change(func() { from.resolveErr = errDown })
		nextPoll()
		require.Equal(t, answered, status(t, m, "a").CheckedAt, "no answer came since")
	})
}

func TestIntervals(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T) {
		all := sources{"folder": commit("r1", flow("a")), "git": commit("r1", flow("a")), "own": commit("r1", flow("a")), "bad": commit("r1", broken)}
		c := configure(t.TempDir(), all)
		for _, name := range []string{"folder", "git"} {
			w := c.Workspaces[name]
			w.Interval = 0
			c.Workspaces[name] = w
		}
		start(t, newManager(t, c))
		pass(20 * time.Minute)
		for name, want := range map[string]time.Duration{"folder": 2 * time.Second, "git": time.Minute, "own": interval, "bad": interval} {
			asked := all[name].resolves
			require.InEpsilon(t, 20*time.Minute/want, len(asked), 0.11, name)
			var different bool
			for i := range len(asked) - 1 {
				gap := asked[i+1].Sub(asked[i])
				require.InEpsilon(t, want, gap, 0.1001, name)
				different = different || gap != asked[1].Sub(asked[0])
			}
			require.True(t, different, "workspaces do not stay in step")
		}
	})
}

// A source that fails is asked sooner at first, for it may just be starting, and then ever more rarely.
func TestFailuresAreRetried(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T) {
		from := commit("r1", flow("a"))
		from.resolveErr = errDown
		start(t, newManager(t, configure(t.TempDir(), sources{"a": from})))
		pass(time.Hour)
		asked := from.resolves
		for i, want := range []float64{1, 2, 4, 8, 16, 32, 64, 128, 150, 150, 150} {
			require.InEpsilon(t, want, asked[i+1].Sub(asked[i]).Seconds(), 0.1001, i)
		}
		from.change(func() { from.resolveErr = nil })
		pass(3 * time.Minute)
		from.change(func() { from.resolves, from.resolveErr = nil, errDown })
		nextPoll()
		pass(1200 * time.Millisecond)
		resolves, _ := from.asked()
		require.GreaterOrEqual(t, resolves, 2, "after an answer, the first retry comes soon again")
	})
}

// A source that never answers is an error of the workspace, not one that nobody sees.
func TestHangingSource(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T) {
		from := commit("r1", flow("a"))
		from.onResolve = func(ctx context.Context) error {
			<-ctx.Done()
			return ctx.Err()
		}
		m := newManager(t, configure(t.TempDir(), sources{"a": from}))
		start(t, m)
		pass(5*time.Minute - time.Second)
		require.False(t, m.Ready())
		pass(time.Second)
		require.True(t, m.Ready())
		require.Contains(t, status(t, m, "a").Error, context.DeadlineExceeded.Error())
	})
}

// Whoever waits for a look at the source that another one makes may give up, and so may the one who makes it.
func TestRefreshIsCanceled(t *testing.T) {
	t.Parallel()
	from := commit("r1", flow("a"))
	fetching := make(chan struct{})
	from.onFetch = func(ctx context.Context, _ *pluginapi.FetchRequest) error {
		close(fetching)
		<-ctx.Done()
		return ctx.Err()
	}
	dir := t.TempDir()
	m := newManager(t, configure(dir, sources{"a": from}))
	ctx, cancel := context.WithCancel(t.Context())
	first := make(chan error, 1)
	go func() { first <- m.Refresh(ctx, "a") }()
	receive(t, fetching)
	waiting, giveUp := context.WithCancel(t.Context())
	second := make(chan error, 1)
	go func() { second <- m.Refresh(waiting, "a") }()
	giveUp()
	require.ErrorIs(t, receive(t, second), context.Canceled)
	resolves, _ := from.asked()
	require.Equal(t, 1, resolves, "one look at a time")

	cancel()
	require.ErrorIs(t, receive(t, first), context.Canceled)
	require.Empty(t, status(t, m, "a").Error, "it says nothing about the workspace")
	require.False(t, m.Ready())
	require.Equal(t, []string{"a"}, listing(t, dir), "nothing is left of the fetch")
	from.change(func() { from.onFetch = nil })
	require.NoError(t, m.Refresh(t.Context(), "a"))
}

func TestRunEndsWhileFetching(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T) {
		from := commit("r1", flow("a"))
		from.onFetch = func(ctx context.Context, _ *pluginapi.FetchRequest) error {
			<-ctx.Done()
			return ctx.Err()
		}
		m := newManager(t, configure(t.TempDir(), sources{"a": from}))
		start(t, m)()
		require.Empty(t, status(t, m, "a").Error)
	})
}

// A workspace is loaded again when what it is held against changes, whatever its revision and however long its poll
// would take; what is in use stays in use when it does not pass any more.
func TestRecheck(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T) {
		from := commit("r1", flow("a"))
		c := configure(t.TempDir(), sources{"a": from})
		var problem atomic.Pointer[string]
		loads := 0
		c.Load = func(files fs.FS) (*core.Workspace, workflow.Diagnostics) {
			loads++
			content, found := workflow.Load(files, workflow.Options{})
			if text := problem.Load(); text != nil {
				return nil, append(found, workflow.Diagnostic{Severity: workflow.SeverityError, Message: *text})
			}
			return content, found
		}
		m := newManager(t, c)
		start(t, m)
		requireRevision(t, m, "a", "r1", "a")
		require.Equal(t, 1, loads)

		problem.Store(new("the type has another schema now"))
		m.Recheck()
		synctest.Wait()
		require.Equal(t, 2, loads)
		require.Contains(t, status(t, m, "a").Error, "the type has another schema now")
		requireRevision(t, m, "a", "r1", "a")
		nextPoll()
		require.Equal(t, 2, loads, "it is known to be bad")
		require.NotEmpty(t, status(t, m, "a").Error)

		problem.Store(nil)
		m.Recheck()
		m.Recheck()
		synctest.Wait()
		require.Empty(t, status(t, m, "a").Error)
		require.Empty(t, status(t, m, "a").Diagnostics)
		requireRevision(t, m, "a", "r1", "a")
		before := loads
		nextPoll()
		require.Equal(t, before, loads, "it is known to be good")
	})
}

// Many sources are asked in groups, because waking up for each costs more than asking it.
func TestSourcesAreAskedTogether(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T) {
		all := sources{}
		for i := range 50 {
			all[fmt.Sprint("w", i)] = commit("r1", flow("a"))
		}
		c := configure(t.TempDir(), all)
		for name, w := range c.Workspaces {
			w.Interval = 2 * time.Second
			c.Workspaces[name] = w
		}
		pass(77 * time.Millisecond) // it does not depend on when it is started
		start(t, newManager(t, c))
		pass(time.Minute)
		moments := map[time.Time]int{}
		for _, from := range all {
			require.Greater(t, len(from.resolves), 25)
			for _, at := range from.resolves[1:] {
				require.Zero(t, at.Sub(at.Truncate(200*time.Millisecond)))
				moments[at]++
			}
		}
		require.Greater(t, len(moments), 100, "not all of them at once")
	})
}
