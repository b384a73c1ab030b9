package workspace_test

import (
	"io/fs"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/stroem/stroem/core"
	"github.com/stroem/stroem/core/workflow"
)

func TestFirstLoad(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T) {
		dir := filepath.Join(t.TempDir(), "made", "by", "New")
		m := newManager(t, configure(dir, sources{"a": commit("r1", flow("build"))}))
		require.False(t, m.Ready())
		_, _, err := m.Workspace("a")
		requireCode(t, core.CodeUnavailable, err)
		require.ErrorContains(t, err, "it is being loaded")
		before := status(t, m, "a")
		require.Empty(t, before.Revision)
		require.Empty(t, before.Error)
		changed := m.Changed()

		start(t, m)
		require.True(t, closed(changed))
		require.False(t, closed(m.Changed()), "the next change has a channel of its own")
		require.True(t, m.Ready())
		requireRevision(t, m, "a", "r1", "build")
		got := status(t, m, "a")
		require.Equal(t, time.Now(), got.CheckedAt)
		require.Equal(t, []int{1, 1, 0}, []int{got.Tasks, got.Actions, got.Triggers})
		require.Equal(t, "r1", got.Revision)
		require.Equal(t, *describe("r1"), got.Source)
		require.Empty(t, got.Error)
		require.Empty(t, got.Diagnostics)
		require.Equal(t, []string{".workflows", ".workflows/flow.yaml"}, listing(t, filesOf(t, dir, "a", "r1")))
	})
}

func TestListIsSorted(t *testing.T) {
	t.Parallel()
	m := newManager(t, configure(t.TempDir(), sources{"c": commit("1", flow("c")), "a": commit("1", flow("a")), "b": commit("1", flow("b"))}))
	var names []string
	for _, s := range m.List() {
		names = append(names, s.Name)
	}
	require.Equal(t, []string{"a", "b", "c"}, names)
}

func TestUnknownWorkspace(t *testing.T) {
	t.Parallel()
	m := newManager(t, configure(t.TempDir(), sources{"a": commit("r1", flow("build"))}))
	_, _, err := m.Workspace("b")
	requireCode(t, core.CodeNotFound, err)
	requireCode(t, core.CodeNotFound, m.Refresh(t.Context(), "b"))
}

func TestNewRevisionIsPickedUp(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T) {
		from := commit("r1", flow("one"))
		dir := t.TempDir()
		m := newManager(t, configure(dir, sources{"a": from}))
		start(t, m)
		changed := m.Changed()
		nextPoll()
		require.False(t, closed(changed), "the same revision is no change")
		_, fetches := from.asked()
		require.Equal(t, 1, fetches)

		from.commit("r2", flow("two"))
		requireRevision(t, m, "a", "r1", "one")
		nextPoll()
		require.True(t, closed(changed))
		requireRevision(t, m, "a", "r2", "two")
		for _, revision := range []string{"r1", "r2"} { // a job may still use the old one
			require.NotEmpty(t, filesOf(t, dir, "a", revision))
		}
	})
}

func TestBadRevision(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T) {
		from, other := commit("r1", flow("one")), commit("r1", flow("other"))
		m := newManager(t, configure(t.TempDir(), sources{"a": from, "b": other}))
		start(t, m)
		changed := m.Changed()
		from.commit("r2", broken)
		nextPoll()
		require.False(t, closed(changed))
		requireRevision(t, m, "a", "r1", "one")
		got := status(t, m, "a")
		require.Contains(t, got.Error, "revision r2 has errors: .workflows/flow.yaml:1:8: error: ")
		require.Len(t, got.Diagnostics.Errors(), 1)
		require.Equal(t, *describe("r1"), got.Source)
		require.Equal(t, 1, got.Tasks)
		requireCode(t, core.CodeInvalid, m.Refresh(t.Context(), "a"))

		other.commit("r2", flow("more")) // goes on beside it
		nextPoll()
		require.True(t, closed(changed))
		requireRevision(t, m, "b", "r2", "more")
		require.Empty(t, status(t, m, "b").Error)
		require.Equal(t, got.Error, status(t, m, "a").Error)

		from.commit("r3", flow("three"))
		nextPoll()
		requireRevision(t, m, "a", "r3", "three")
		require.Empty(t, status(t, m, "a").Error)
		require.Empty(t, status(t, m, "a").Diagnostics)
	})
}

func TestBackToTheOldRevision(t *testing.T) {
	t.Parallel()
	from := commit("r1", flow("one"))
	m := newManager(t, configure(t.TempDir(), sources{"a": from}))
	require.NoError(t, m.Refresh(t.Context(), "a"))
	changed := m.Changed()
	from.commit("r2", broken)
	requireCode(t, core.CodeInvalid, m.Refresh(t.Context(), "a"))

	from.commit("r1", flow("one"))
	require.NoError(t, m.Refresh(t.Context(), "a"))
	requireRevision(t, m, "a", "r1", "one")
	got := status(t, m, "a")
	require.Empty(t, got.Error)
	require.Empty(t, got.Diagnostics)
	require.False(t, closed(changed), "it was in use all the time")

	from.change(func() { from.current = "r2" })
	requireCode(t, core.CodeInvalid, m.Refresh(t.Context(), "a"))
	_, fetches := from.asked()
	require.Equal(t, 2, fetches, "both are here")
}

func TestFirstRevisionIsBad(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T) {
		from := commit("r1", broken)
		m := newManager(t, configure(t.TempDir(), sources{"a": from}))
		start(t, m)
		require.True(t, m.Ready(), "it was tried")
		_, _, err := m.Workspace("a")
		requireCode(t, core.CodeUnavailable, err)
		require.ErrorContains(t, err, ".workflows/flow.yaml:1:8: error: ")
		got := status(t, m, "a")
		require.Empty(t, got.Revision)
		require.NotEmpty(t, got.Diagnostics)
		from.commit("r2", flow("two"))
		nextPoll()
		requireRevision(t, m, "a", "r2", "two")
	})
}

// What a bad revision lacks may be on the server, such as a key: it is loaded again although it is the same.
func TestBadRevisionIsLoadedAgain(t *testing.T) {
	t.Parallel()
	for name, again := range map[string]func(refresh func()){
		"on request":     func(refresh func()) { refresh() },
		"after a minute": func(func()) { pass(time.Minute + interval*6/5) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			bubble(t, func(t *testing.T) {
				from := commit("r1", flow("one"))
				c := configure(t.TempDir(), sources{"a": from})
				var key atomic.Bool
				var loads atomic.Int32
				c.Load = func(fs.FS) (*core.Workspace, workflow.Diagnostics) {
					loads.Add(1)
					if !key.Load() {
						return nil, workflow.Diagnostics{{Severity: workflow.SeverityError, Message: "no key"}, {Severity: workflow.SeverityError, Message: "x"}}
					}
					return &core.Workspace{Tasks: map[string]*core.Task{"one": {}}}, nil
				}
				m := newManager(t, c)
				start(t, m)
				require.Contains(t, status(t, m, "a").Error, "no key (and 1 more)")
				nextPoll()
				require.EqualValues(t, 1, loads.Load(), "not at every poll")
				key.Store(true)
				again(func() { require.NoError(t, m.Refresh(t.Context(), "a")) })
				requireRevision(t, m, "a", "r1", "one")
				_, fetches := from.asked()
				require.Equal(t, 1, fetches)
			})
		})
	}
}

func TestLoaderWithoutContentOrWithWarnings(t *testing.T) {
	t.Parallel()
	c := configure(t.TempDir(), sources{"a": commit("r1", flow("one"))})
	var content *core.Workspace
	var diagnostics workflow.Diagnostics
	c.Load = func(files fs.FS) (*core.Workspace, workflow.Diagnostics) {
		if _, err := fs.Stat(files, "."); err != nil {
			return nil, workflow.Diagnostics{{Severity: workflow.SeverityError, Message: err.Error()}}
		}
		return content, diagnostics
	}
	m := newManager(t, c)
	err := m.Refresh(t.Context(), "a")
	requireCode(t, core.CodeInvalid, err)
	require.ErrorContains(t, err, "it has no content")

	content, diagnostics = &core.Workspace{}, workflow.Diagnostics{{Severity: workflow.SeverityWarning, Message: "doubtful"}}
	require.NoError(t, m.Refresh(t.Context(), "a"))
	require.Equal(t, diagnostics, status(t, m, "a").Diagnostics)

	diagnostics = workflow.Diagnostics{{Severity: workflow.SeverityError, Message: "content in spite of an error"}}
	require.NoError(t, m.Refresh(t.Context(), "a"), "what is in use is not loaded again")
}
