package workspace_test

import (
	"bytes"
	"io/fs"
	"log/slog"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"

	"github.com/stroem/stroem/core"
	"github.com/stroem/stroem/core/workflow"
)

// Settings that are not what the source asks for are told when they are first looked at, and again until the plugin, in
// another version, takes them. The source does not get them.
func TestSettingsAreChecked(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T) {
		from, other := commit("r1", flow("one")), commit("r1", flow("other"))
		from.unknown, from.settingsErr = true, `.ref: the plugin's schema asks for type: "string"`
		from.resolveErr = errDown
		m := newManager(t, configure(t.TempDir(), sources{"a": from, "b": other}))
		start(t, m)
		require.Contains(t, status(t, m, "a").Error, errDown.Error(), "the plugin has not said yet what it asks for")
		requireRevision(t, m, "b", "r1", "other")

		from.change(func() { from.unknown, from.resolveErr = false, nil })
		before, _ := from.asked()
		nextPoll()
		require.Equal(t, `workspaces.a.ref: the plugin's schema asks for type: "string"`, status(t, m, "a").Error)
		_, _, err := m.Workspace("a")
		requireCode(t, core.CodeUnavailable, err)
		require.ErrorContains(t, err, "workspaces.a.ref")
		requireCode(t, core.CodeInvalid, m.Refresh(t.Context(), "a"))
		_, err = m.Tarball(t.Context(), "a", "r1", "")
		requireCode(t, core.CodeInvalid, err)
		after, fetches := from.asked()
		require.Equal(t, before, after)
		require.Zero(t, fetches)

		from.change(func() { from.settingsErr = "" })
		nextPoll()
		requireRevision(t, m, "a", "r1", "one")
		require.Empty(t, status(t, m, "a").Error)
		checks := from.checks
		nextPoll()
		require.Equal(t, checks, from.checks, "good settings are not looked at again")
	})
}

// A defect in what reads workspaces costs the workspace that brings it to light, and no other. What the panic says may
// be a secret.
func TestPanicWhileLoading(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T) {
		from, other := commit("r1", flow("one")), commit("r1", flow("other"))
		c := configure(t.TempDir(), sources{"a": from, "b": other})
		var log lockedBuffer
		c.Logger = slog.New(slog.NewTextHandler(&log, nil))
		c.Load = func(files fs.FS) (*core.Workspace, workflow.Diagnostics) {
			if _, err := fs.Stat(files, "trap"); err == nil {
				panic("hunter2")
			}
			return workflow.Load(files, workflow.Options{})
		}
		m := newManager(t, c)
		start(t, m)
		from.commit("r2", flow("two").with(files{"trap": ""}))
		nextPoll()
		requireRevision(t, m, "a", "r1", "one")
		got := status(t, m, "a")
		require.Contains(t, got.Error, "a defect of the server stopped the loading of this revision")
		require.Len(t, got.Diagnostics, 1)
		synctest.Wait()
		require.Contains(t, log.String(), "defects_test.go", "the log says where")
		require.NotContains(t, log.String()+got.Error, "hunter2")

		other.commit("r2", flow("more"))
		from.commit("r3", flow("three"))
		nextPoll()
		requireRevision(t, m, "b", "r2", "more")
		requireRevision(t, m, "a", "r3", "three")
	})
}

// A panic also does not stop a server that starts.
func TestPanicWhileRestoring(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T) {
		dir := before(t)
		from := commit("r1", flow("one"))
		c := configure(dir, sources{"a": from})
		c.Load = func(fs.FS) (*core.Workspace, workflow.Diagnostics) {
			panic("always")
		}
		m := newManager(t, c)
		start(t, m)
		require.True(t, m.Ready())
		require.NotEmpty(t, status(t, m, "a").Error)
	})
}

type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}
