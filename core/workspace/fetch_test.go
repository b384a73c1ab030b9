package workspace_test

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/stroem/stroem/core"
	"github.com/stroem/stroem/pluginapi"
)

// A source may change between the two questions: the revision that it named is gone, and another one is there.
func TestSourceChangesBeforeFetch(t *testing.T) {
	t.Parallel()
	for changes, want := range []struct{ revision, err string }{
		{revision: "r1"}, {revision: "r2"}, {revision: "r3"}, {err: "cannot fetch revision r3: revision r3 is gone"},
	} {
		t.Run(fmt.Sprint(changes, " times"), func(t *testing.T) {
			t.Parallel()
			from := commit("r1", flow("one"))
			left := changes
			from.onFetch = func(_ context.Context, req *pluginapi.FetchRequest) error {
				if left > 0 {
					left--
					from.change(func() { delete(from.revisions, req.Revision) })
					from.commit(fmt.Sprintf("r%d", changes-left+1), flow("one"))
				}
				return nil
			}
			dir := t.TempDir()
			m := newManager(t, configure(dir, sources{"a": from}))
			err := m.Refresh(t.Context(), "a")
			resolves, fetches := from.asked()
			require.Equal(t, min(changes+1, 3), fetches)
			require.Equal(t, fetches, resolves)
			if want.err == "" {
				require.NoError(t, err)
				requireRevision(t, m, "a", want.revision, "one")
				return
			}
			requireCode(t, core.CodeUnavailable, err)
			require.ErrorContains(t, err, want.err)
			require.Equal(t, []string{"a"}, listing(t, dir), "nothing is left of the attempts")
			require.NoError(t, m.Refresh(t.Context(), "a"), "it has come to rest")
		})
	}
}

// A source may have nothing but the id until it fetches.
func TestSourceThatTellsMoreLater(t *testing.T) {
	t.Parallel()
	from := commit("r1", flow("one"))
	from.terse = true
	m := newManager(t, configure(t.TempDir(), sources{"a": from}))
	require.NoError(t, m.Refresh(t.Context(), "a"))
	require.Equal(t, *describe("r1"), status(t, m, "a").Source)
}

func TestFailedFetch(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		fail    func(s *source, req *pluginapi.FetchRequest) error
		message string
	}{
		"half way": {
			func(_ *source, req *pluginapi.FetchRequest) error {
				if err := flow("half").with(files{"ro/x": "x"}).writeTo(req.Dir); err != nil {
					return err
				}
				return errDown
			},
			errDown.Error(),
		},
		"denied": {
			func(*source, *pluginapi.FetchRequest) error {
				return pluginapi.Errorf(pluginapi.CodeDenied, "no access")
			},
			"no access",
		},
		"another revision": {
			func(s *source, _ *pluginapi.FetchRequest) error {
				s.change(func() { s.fetchedID = "r2" })
				return nil
			},
			`the source fetched revision "r2" instead`,
		},
		"a name that is not UTF-8": {
			func(s *source, req *pluginapi.FetchRequest) error {
				s.change(func() { s.revisions[req.Revision] = flow("one").with(files{"a\xff/b": "x"}) })
				return nil
			},
			`"a\xff" is a name that is not UTF-8`,
		},
		"directory removed": {
			func(s *source, req *pluginapi.FetchRequest) error {
				s.change(func() { s.revisions[req.Revision] = nil })
				return os.Remove(req.Dir)
			},
			"make the revision read-only",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			from := commit("r1", flow("one"))
			from.onFetch = func(_ context.Context, req *pluginapi.FetchRequest) error { return c.fail(from, req) }
			dir := t.TempDir()
			m := newManager(t, configure(dir, sources{"a": from}))
			err := m.Refresh(t.Context(), "a")
			requireCode(t, core.CodeUnavailable, err)
			require.ErrorContains(t, err, "cannot fetch revision r1: ")
			require.ErrorContains(t, err, c.message)
			_, fetches := from.asked()
			require.Equal(t, 1, fetches, "only a revision that is gone is asked for again at once")
			require.Equal(t, []string{"a"}, listing(t, dir), "nothing is left of the fetch")

			from.commit("r1", flow("one"))
			from.change(func() { from.onFetch, from.fetchedID = nil, "" })
			require.NoError(t, m.Refresh(t.Context(), "a"))
			requireRevision(t, m, "a", "r1", "one")
		})
	}
}

// The source gets what Fetch promises: an empty directory of its own with an absolute name, and its settings.
func TestFetchRequest(t *testing.T) {
	t.Parallel()
	from := commit("r1", flow("one"))
	from.onFetch = func(_ context.Context, req *pluginapi.FetchRequest) error {
		require.True(t, filepath.IsAbs(req.Dir))
		require.Empty(t, listing(t, req.Dir))
		require.JSONEq(t, `{"of":"a"}`, string(req.Settings))
		require.Equal(t, "a", req.Workspace)
		require.Equal(t, "r1", req.Revision)
		return nil
	}
	m := newManager(t, configure(t.TempDir(), sources{"a": from}))
	require.NoError(t, m.Refresh(t.Context(), "a"))
}

// What a source calls its revision becomes the name of a directory.
func TestInvalidRevision(t *testing.T) {
	t.Parallel()
	for _, id := range []string{
		"", ".", "..", "../r1", "../../r1", "a/b", "/tmp/r1", `a\b`, ".hidden", ".tarballs", ".current.json", "-r", "a b", "a\n", "a\x00", "ü",
		strings.Repeat("a", 129),
	} {
		t.Run(fmt.Sprintf("%.20q", id), func(t *testing.T) {
			t.Parallel()
			from := commit("r1", flow("one"))
			parent := t.TempDir()
			m := newManager(t, configure(filepath.Join(parent, "dir"), sources{"a": from}))
			require.NoError(t, m.Refresh(t.Context(), "a"))
			before := listing(t, parent)

			from.commit(id, flow("evil"))
			err := m.Refresh(t.Context(), "a")
			requireCode(t, core.CodeUnavailable, err)
			require.ErrorContains(t, err, fmt.Sprintf("the source names the revision %q, which is no revision", id))
			requireRevision(t, m, "a", "r1", "one")
			_, fetches := from.asked()
			require.Equal(t, 1, fetches, "it is not even fetched")
			require.Equal(t, before, listing(t, parent))
		})
	}
}

func TestLongestRevision(t *testing.T) {
	t.Parallel()
	for _, id := range []string{strings.Repeat("a", 128), "v1.2..3-rc_1", "_"} {
		m := newManager(t, configure(t.TempDir(), sources{"a": commit(id, flow("one"))}))
		require.NoError(t, m.Refresh(t.Context(), "a"))
		requireRevision(t, m, "a", id, "one")
	}
}

// A step that writes into a revision would change it for all other steps.
func TestRevisionIsReadOnly(t *testing.T) {
	t.Parallel()
	outside := write(t, "#!/bin/sh", t.TempDir(), "outside.sh")
	require.NoError(t, os.Chmod(outside, 0o700))
	from := commit("r1", flow("one").with(files{
		"deep/run.sh": "#!/bin/sh", "deep/data": "data", "link": "-> deep/data", "out": "-> " + outside, "secret": "private",
	}))
	parent := t.TempDir()
	m := newManager(t, configure(parent, sources{"a": from}))
	require.NoError(t, m.Refresh(t.Context(), "a"))
	dir := filesOf(t, parent, "a", "r1")
	for name, want := range map[string]string{
		".": "drwxr-xr-x", ".workflows/flow.yaml": "-r--r--r--", "deep/run.sh": "-r-xr-xr-x", "deep/data": "-r--r--r--", "secret": "-r--r--r--",
	} {
		info, err := os.Lstat(filepath.Join(dir, name))
		require.NoError(t, err)
		require.Equal(t, want, info.Mode().String(), name)
	}
	info, err := os.Lstat(outside)
	require.NoError(t, err)
	require.Equal(t, fs.FileMode(0o700), info.Mode(), "what a link names outside is not ours")
	require.NoError(t, os.RemoveAll(dir), "directories can be removed by their owner")
}

// What lies beside a revision, such as another workspace or a file of the server, is not read through a link in it.
func TestLinksOutOfARevision(t *testing.T) {
	t.Parallel()
	elsewhere := t.TempDir()
	require.NoError(t, flow("stolen").writeTo(elsewhere))
	for name, c := range map[string]struct {
		content files
		task    string
		message string
	}{
		"file":          {content: files{".workflows/flow.yaml": "-> " + elsewhere + "/.workflows/flow.yaml"}, message: "path escapes from parent"},
		"relative file": {content: files{".workflows/flow.yaml": "-> ../../../../b/r1/.workflows/flow.yaml"}, message: "path escapes from parent"},
		"inside":        {content: flow("own").with(files{".workflows/flow.yaml": "-> ../own.yaml", "own.yaml": flow("own")[".workflows/flow.yaml"]}), task: "own"},
		"directory":     {content: files{".workflows": "-> " + elsewhere + "/.workflows"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := newManager(t, configure(t.TempDir(), sources{"a": commit("r1", c.content), "b": commit("r1", flow("stolen"))}))
			require.NoError(t, m.Refresh(t.Context(), "b"))
			err := m.Refresh(t.Context(), "a")
			if c.message != "" {
				requireCode(t, core.CodeInvalid, err)
				require.ErrorContains(t, err, c.message)
				return
			}
			require.NoError(t, err)
			content, _, err := m.Workspace("a")
			require.NoError(t, err)
			require.NotContains(t, content.Tasks, "stolen")
			if c.task != "" {
				require.Contains(t, content.Tasks, c.task)
			}
		})
	}
}
