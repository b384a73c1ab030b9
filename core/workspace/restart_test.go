package workspace_test

import (
	"context"
	"encoding/json"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"

	"github.com/stroem/stroem/core"
	"github.com/stroem/stroem/core/workflow"
	"github.com/stroem/stroem/core/workspace"
)

// before is the directory of a manager that had revision r1 of workspace a.
func before(t *testing.T) (dir string) {
	t.Helper()
	dir = t.TempDir()
	m := newManager(t, configure(dir, sources{"a": commit("r1", flow("one"))}))
	require.NoError(t, m.Refresh(t.Context(), "a"))
	return dir
}

func TestRestart(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T) {
		dir := before(t)
		from, answer := commit("r1", flow("one")), make(chan struct{})
		from.onResolve = func(context.Context) error {
			<-answer
			return errDown
		}
		m := newManager(t, configure(dir, sources{"a": from}))
		changed := m.Changed()
		start(t, m)
		require.True(t, closed(changed))
		requireRevision(t, m, "a", "r1", "one") // while the source has not answered yet
		require.Equal(t, *describe("r1"), status(t, m, "a").Source)
		require.False(t, m.Ready())

		close(answer)
		synctest.Wait()
		requireRevision(t, m, "a", "r1", "one")
		require.Contains(t, status(t, m, "a").Error, errDown.Error())

		from.change(func() { from.onResolve = nil })
		changed = m.Changed()
		nextPoll()
		require.Empty(t, status(t, m, "a").Error)
		require.False(t, closed(changed))
		from.commit("r2", flow("two"))
		nextPoll()
		requireRevision(t, m, "a", "r2", "two")
		_, fetches := from.asked()
		require.Equal(t, 1, fetches, "r1 is here")
	})
}

// A restart goes back to the last revision that was good, not to the last one.
func TestRestartAfterABadRevision(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T) {
		dir, from := t.TempDir(), commit("r1", flow("one"))
		stop := start(t, newManager(t, configure(dir, sources{"a": from})))
		for _, r := range []string{"r2", "r3"} {
			from.commit(r, map[string]files{"r2": flow("two"), "r3": broken}[r])
			nextPoll()
		}
		stop()
		m := newManager(t, configure(dir, sources{"a": from}))
		start(t, m)
		requireRevision(t, m, "a", "r2", "two")
		require.Contains(t, status(t, m, "a").Error, "revision r3 has errors")
	})
}

// revisionIn is the directory of revision r1 in that of its workspace.
func revisionIn(t *testing.T, dir string) string {
	t.Helper()
	place := filesOf(t, filepath.Dir(dir), filepath.Base(dir), "r1")
	require.NotEmpty(t, place)
	return place
}

// What is remembered is used only if it is whole, good and from the same source.
func TestNotRestored(t *testing.T) {
	t.Parallel()
	set := func(change func(w *workspace.Source)) func(*testing.T, string, *workspace.Config) {
		return func(_ *testing.T, _ string, c *workspace.Config) {
			w := c.Workspaces["a"]
			change(&w)
			c.Workspaces["a"] = w
		}
	}
	for name, change := range map[string]func(t *testing.T, dir string, c *workspace.Config){
		"other settings":  set(func(w *workspace.Source) { w.Settings = json.RawMessage(`{"of":"another"}`) }),
		"other type":      set(func(w *workspace.Source) { w.Type = "b" }),
		"nothing is left": func(t *testing.T, dir string, _ *workspace.Config) { require.NoError(t, os.RemoveAll(dir)) },
		"no revision": func(t *testing.T, dir string, _ *workspace.Config) {
			require.NoError(t, os.RemoveAll(revisionIn(t, dir)))
		},
		"a link for a revision": func(t *testing.T, dir string, _ *workspace.Config) {
			elsewhere := filepath.Join(t.TempDir(), "r1")
			place := revisionIn(t, dir)
			require.NoError(t, os.Rename(place, elsewhere))
			require.NoError(t, os.Symlink(elsewhere, place))
		},
		"damaged": func(t *testing.T, dir string, _ *workspace.Config) { write(t, `{"source":`, dir, ".current.json") },
		"path": func(t *testing.T, dir string, _ *workspace.Config) {
			require.NoError(t, flow("evil").writeTo(filepath.Join(dir, "..", "evil")))
			name := filepath.Join(dir, ".current.json")
			content, err := os.ReadFile(name)
			require.NoError(t, err)
			var all map[string]any
			require.NoError(t, json.Unmarshal(content, &all))
			all["revision"] = map[string]any{"ID": "../../evil"}
			content, err = json.Marshal(all)
			require.NoError(t, err)
			write(t, string(content), name)
		},
		"no longer good": func(t *testing.T, dir string, _ *workspace.Config) {
			name := filepath.Join(revisionIn(t, dir), ".workflows", "flow.yaml")
			require.NoError(t, os.Remove(name))
			write(t, broken[".workflows/flow.yaml"], name)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			bubble(t, func(t *testing.T) {
				dir := before(t)
				down := &source{resolveErr: errDown}
				c := configure(dir, sources{"a": down})
				c.Sources = sources{"a": down, "b": down}
				change(t, filepath.Join(dir, "a"), &c)
				m := newManager(t, c)
				changed := m.Changed()
				start(t, m)
				require.False(t, closed(changed))
				_, _, err := m.Workspace("a")
				requireCode(t, core.CodeUnavailable, err)
				require.ErrorContains(t, err, errDown.Error())
			})
		})
	}
}

// The source wins over what is remembered, even if loading that takes longer than asking the source.
func TestRestoreDoesNotUndoARefresh(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T) {
		dir := before(t)
		from := commit("r2", flow("two"))
		var asked atomic.Bool
		from.onResolve = func(context.Context) error {
			if asked.CompareAndSwap(false, true) {
				return nil
			}
			return errDown // so that nothing later mends what the restart broke
		}
		c := configure(dir, sources{"a": from})
		var first atomic.Bool
		restoring := make(chan struct{})
		c.Load = func(files fs.FS) (*core.Workspace, workflow.Diagnostics) {
			if first.CompareAndSwap(false, true) {
				<-restoring
			}
			return workflow.Load(files, workflow.Options{})
		}
		m := newManager(t, c)
		start(t, m)
		refreshed := make(chan error, 1)
		go func() { refreshed <- m.Refresh(t.Context(), "a") }()
		synctest.Wait()
		close(restoring)
		synctest.Wait()
		_ = receive(t, refreshed) // an error if Run asked first
		requireRevision(t, m, "a", "r2", "two")
	})
}

func TestNewRemovesWhatIsHalfDone(t *testing.T) {
	t.Parallel()
	dir := before(t)
	ws := filepath.Join(dir, "a")
	write(t, "x", ws, ".fetch-1", "deep", "file")
	require.NoError(t, os.Chmod(filepath.Join(ws, ".fetch-1", "deep", "file"), 0o444))
	write(t, "x", ws, ".tarballs", ".pack-1")
	write(t, "x", ws, ".current-1")
	write(t, "x", ws, ".gone-1", "deep", "file")
	write(t, "x", ws, ".tarballs", filepath.Base(revisionIn(t, ws))+".tar.gz")
	write(t, "x", ws, ".tarballs", "r0."+strings.Repeat("a", 32)+".tar.gz")
	newManager(t, configure(dir, sources{"a": commit("r1", flow("one"))}))
	require.Equal(t, []string{"a", "a/.current.json", "a/r1", "a/r1/.workflows", "a/r1/.workflows/flow.yaml"}, listing(t, dir))
	tarballs, err := os.ReadDir(filepath.Join(ws, ".tarballs"))
	require.NoError(t, err)
	require.Len(t, tarballs, 1, "what is complete stays, as long as its revision does")
}

func TestNewErrors(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"", ".", "..", "../a", "a/b", ".hidden", "-a", "a b", "a\n"} {
		_, err := workspace.New(configure(t.TempDir(), sources{name: nil}))
		require.ErrorContains(t, err, "has to be of letters", name)
	}
	file := write(t, "", t.TempDir(), "file")
	_, err := workspace.New(configure(file, nil))
	require.ErrorContains(t, err, "create the directory of the workspaces")
	dir := t.TempDir()
	write(t, "", dir, "a")
	_, err = workspace.New(configure(dir, sources{"a": nil}))
	require.ErrorContains(t, err, "make room for workspace a")
}

// A restart that cannot be prepared for is a warning; the workspace works.
func TestRevisionCannotBeRemembered(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	m := newManager(t, configure(dir, sources{"a": commit("r1", flow("one"))}))
	write(t, "a directory is in the way", dir, "a", ".current.json", "x")
	require.NoError(t, m.Refresh(t.Context(), "a"))
	requireRevision(t, m, "a", "r1", "one")
	drafts, err := filepath.Glob(filepath.Join(dir, "a", ".current-*"))
	require.NoError(t, err)
	require.Empty(t, drafts)
}
