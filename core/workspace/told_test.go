package workspace_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/stroem/stroem/core"
	"github.com/stroem/stroem/core/workspace"
)

// told collects what a manager tells of its loads: the revision, and ! if it cannot be used.
type told struct{ loads []string }

func (l *told) configure(dir string, from sources) workspace.Config {
	c := configure(dir, from)
	c.Loaded = func(_ context.Context, name, revision string, err error) {
		text := name + " " + revision
		if err != nil {
			text += "!"
		}
		l.loads = append(l.loads, text)
	}
	return c
}

func TestEachLoadIsToldOnce(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T) {
		from, dir := commit("r1", flow("one")), t.TempDir()
		var first told
		m := newManager(t, first.configure(dir, sources{"a": from}))
		stop := start(t, m)
		nextPoll()
		require.NoError(t, m.Refresh(t.Context(), "a"))
		m.Recheck()
		nextPoll()
		require.Equal(t, []string{"a r1"}, first.loads, "the same revision is no news")

		from.commit("r2", broken)
		nextPoll()
		pass(5 * time.Minute) // it is loaded again and again
		requireCode(t, core.CodeInvalid, m.Refresh(t.Context(), "a"))
		require.Equal(t, []string{"a r1", "a r2!"}, first.loads)
		from.change(func() { from.resolveErr = errDown })
		nextPoll()
		from.change(func() { from.resolveErr = nil })
		nextPoll()
		require.Len(t, first.loads, 2, "a source that is away for a while is no load")
		from.change(func() { from.current = "r1" })
		nextPoll()
		from.commit("r3", flow("three"))
		nextPoll()
		require.Equal(t, []string{"a r1", "a r2!", "a r1", "a r3"}, first.loads)
		stop()

		var second told // of a server that starts again, with what it has loaded before
		stop = start(t, newManager(t, second.configure(dir, sources{"a": from})))
		nextPoll()
		require.Empty(t, second.loads)
		from.commit("r4", flow("four"))
		pass(time.Minute)
		require.Equal(t, []string{"a r4"}, second.loads)
		stop()
	})
}
