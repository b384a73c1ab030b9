package workspace_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/stroem/stroem/core"
	"github.com/stroem/stroem/core/workspace"
	"github.com/stroem/stroem/pluginapi"
)

// jobs is the database, as far as it is asked.
type jobs struct {
	mu   sync.Mutex
	pins []core.Pin
	err  error
}

func (j *jobs) set(err error, revisions ...string) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.pins, j.err = nil, err
	for _, r := range revisions {
		j.pins = append(j.pins, core.Pin{Workspace: "a", Revision: r})
	}
}

func (j *jobs) pinned(context.Context) ([]core.Pin, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.pins, j.err
}

// history is a manager that has seen the revisions r1 to rN of workspace a, ten seconds one after the other, with their
// tarballs. Nothing but time is missing for the old ones to go.
func history(t *testing.T, dir string, n int, j *jobs) (*workspace.Manager, *source) {
	t.Helper()
	from := commit("r1", flow("one").with(files{"id": "r1"}))
	c := configure(dir, sources{"a": from})
	c.Pinned = j.pinned
	m := newManager(t, c)
	start(t, m)
	for i := 1; i <= n; i++ {
		id := fmt.Sprintf("r%d", i)
		from.commit(id, flow("one").with(files{"id": id}))
		pass(10 * time.Second)
		require.NoError(t, m.Refresh(t.Context(), "a"))
		require.Equal(t, id, tarball(t, m, "a", id, "")["id"])
	}
	return m, from
}

// here lists the revisions of workspace a among r1 to r9 that are on disk, and checks that each has its tarball, and that
// there are no others.
func here(t *testing.T, dir string) (found []string) {
	t.Helper()
	tarballs := 0
	for i := 1; i < 10; i++ {
		id := fmt.Sprintf("r%d", i)
		if filesOf(t, dir, "a", id) == "" {
			continue
		}
		found = append(found, id)
		packed, err := filepath.Glob(filepath.Join(dir, "a", ".tarballs", id+digestPattern+".tar.gz"))
		require.NoError(t, err)
		require.Len(t, packed, 1)
		tarballs++
	}
	all, err := os.ReadDir(filepath.Join(dir, "a", ".tarballs"))
	require.NoError(t, err)
	require.Len(t, all, tarballs)
	gone, err := filepath.Glob(filepath.Join(dir, "a", ".gone-*"))
	require.NoError(t, err)
	require.Empty(t, gone)
	return found
}

func TestOldRevisionsAreRemoved(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T) {
		dir, j := t.TempDir(), &jobs{}
		j.set(nil, "r2", "rX")
		m, _ := history(t, dir, 8, j)
		require.NotContains(t, here(t, dir), "rX")
		require.Len(t, here(t, dir), 8, "a job may be about to be stored that needs any of them")
		pass(4 * time.Minute)
		require.Equal(t, []string{"r2", "r5", "r6", "r7", "r8"}, here(t, dir), "needed, the last three, current")
		requireRevision(t, m, "a", "r8", "one")

		j.set(errDown)
		pass(3 * time.Minute)
		require.ErrorIs(t, m.Prune(t.Context()), errDown)
		require.Equal(t, []string{"r2", "r5", "r6", "r7", "r8"}, here(t, dir), "nobody knows what is needed")
		j.set(nil)
		require.NoError(t, m.Prune(t.Context()))
		require.Equal(t, []string{"r5", "r6", "r7", "r8"}, here(t, dir), "the job has ended")
	})
}

// The revision in use stays, however old it is and however many have come since that are bad.
func TestCurrentRevisionStays(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T) {
		dir, j := t.TempDir(), &jobs{}
		m, from := history(t, dir, 1, j)
		for i := range 6 {
			pass(time.Second)
			from.commit(fmt.Sprintf("bad%d", i), broken.with(files{"id": fmt.Sprint(i)}))
			requireCode(t, core.CodeInvalid, m.Refresh(t.Context(), "a"))
		}
		pass(10 * time.Minute)
		requireRevision(t, m, "a", "r1", "one")
		require.Equal(t, []string{"r1"}, here(t, dir))
		require.NotEmpty(t, filesOf(t, dir, "a", "bad5"), "it may become good")
		require.Empty(t, filesOf(t, dir, "a", "bad0"))

		// After a restart it is not known at first which one is current.
		c := configure(dir, sources{"a": from})
		c.Pinned = j.pinned
		later := newManager(t, c)
		require.NoError(t, later.Prune(t.Context()))
		require.Equal(t, []string{"r1"}, here(t, dir))
	})
}

// Workers that download a tarball while its revision is removed get all of it.
func TestRevisionIsRemovedWhileItIsSent(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T) {
		dir := t.TempDir()
		m, _ := history(t, dir, 6, &jobs{})
		sending, err := m.Tarball(t.Context(), "a", "r1", "")
		require.NoError(t, err)
		defer func() { require.NoError(t, sending.Close()) }()
		info, err := sending.Stat()
		require.NoError(t, err)
		pass(90 * time.Second)
		require.Contains(t, here(t, dir), "r1", "it was asked for a moment ago")
		for _, later := range []string{"r2", "r3", "r4", "r5"} {
			require.NotEmpty(t, tarball(t, m, "a", later, ""))
			pass(time.Second)
		}
		pass(4 * time.Minute)
		require.Equal(t, []string{"r3", "r4", "r5", "r6"}, here(t, dir), "of the others, those used last")
		content, err := io.ReadAll(sending)
		require.NoError(t, err)
		require.Len(t, content, int(info.Size()))
	})
}

func TestNothingIsRemovedWithoutKnowingTheJobs(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T) {
		dir, from := t.TempDir(), commit("r1", flow("one"))
		m := newManager(t, configure(dir, sources{"a": from}))
		start(t, m)
		for i := range 6 {
			from.commit(fmt.Sprintf("r%d", i+1), flow("one"))
			nextPoll()
		}
		pass(time.Hour)
		for i := range 6 {
			require.NotEmpty(t, filesOf(t, dir, "a", fmt.Sprintf("r%d", i+1)))
		}
	})
}

// A job may need a revision that this replica has not any more, or never had.
func TestRevisionIsFetchedForAJob(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T) {
		dir := t.TempDir()
		m, from := history(t, dir, 1, &jobs{})
		content, _, err := m.Workspace("a")
		require.NoError(t, err)
		old := content.Digest
		for i := 2; i < 8; i++ {
			id := fmt.Sprintf("r%d", i)
			from.commit(id, flow("one").with(files{"id": id}))
			require.NoError(t, m.Refresh(t.Context(), "a"))
			pass(time.Second)
		}
		pass(4 * time.Minute)
		require.Empty(t, filesOf(t, dir, "a", "r1"))

		require.Equal(t, "r1", tarball(t, m, "a", "r1", old)["id"])
		_, fetches := from.asked()
		require.Equal(t, "r1", tarball(t, m, "a", "r1", old)["id"])
		_, again := from.asked()
		require.Equal(t, fetches, again, "it is here now")
		requireRevision(t, m, "a", "r7", "one")
		require.Empty(t, status(t, m, "a").Error)

		for name, c := range map[string]struct {
			revision string
			spoil    func()
			code     core.Code
			message  string
		}{
			"gone": {"r0", func() {}, core.CodeNotFound, "revision r0 is gone"},
			"other files": {
				"r1", func() { from.revisions["r1"] = flow("evil") },
				core.CodeNotFound, "its source has others under this name now",
			},
			"source down": {
				"r2", func() { from.onFetch = func(context.Context, *pluginapi.FetchRequest) error { return errDown } },
				core.CodeUnavailable, errDown.Error(),
			},
			"no plugin": {"r2", func() { from.absent = true }, core.CodeUnavailable, "source-a is not available"},
		} {
			require.NoError(t, removeRevision(t, dir, c.revision))
			var revisions map[string]files
			from.change(func() {
				revisions = maps.Clone(from.revisions)
				c.spoil()
			})
			_, err := m.Tarball(t.Context(), "a", c.revision, old)
			requireCode(t, c.code, err)
			require.ErrorContains(t, err, c.message, name)
			from.change(func() { from.revisions, from.onFetch, from.absent = revisions, nil, false })
			requireRevision(t, m, "a", "r7", "one")
		}
	})
}

// removeRevision takes a revision and its tarball away.
func removeRevision(t *testing.T, dir, revision string) error {
	t.Helper()
	var errs []error
	for _, pattern := range []string{revision + digestPattern, ".tarballs/" + revision + digestPattern + ".tar.gz"} {
		found, err := filepath.Glob(filepath.Join(dir, "a", pattern))
		errs = append(errs, err)
		for _, name := range found {
			errs = append(errs, os.RemoveAll(name))
		}
	}
	return errors.Join(errs...)
}

// A workspace may be given another source, which has other files under the same name. Jobs get those that they began with.
func TestSameRevisionOfAnotherSource(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	first := newManager(t, configure(dir, sources{"a": commit("1", flow("one").with(files{"from": "here"}))}))
	require.NoError(t, first.Refresh(t.Context(), "a"))
	content, _, err := first.Workspace("a")
	require.NoError(t, err)
	here := content.Digest
	require.Equal(t, "here", tarball(t, first, "a", "1", here)["from"])

	from := commit("1", flow("two").with(files{"from": "there"}))
	c := configure(dir, sources{"a": from})
	w := c.Workspaces["a"]
	w.Settings = []byte(`{"of":"another"}`)
	c.Workspaces["a"] = w
	second := newManager(t, c)
	require.NoError(t, second.Refresh(t.Context(), "a"))
	requireRevision(t, second, "a", "1", "two")
	content, _, err = second.Workspace("a")
	require.NoError(t, err)
	require.NotEqual(t, here, content.Digest)
	require.Equal(t, "there", tarball(t, second, "a", "1", content.Digest)["from"])
	require.Equal(t, "there", tarball(t, second, "a", "1", "")["from"])
	require.Equal(t, "here", tarball(t, second, "a", "1", here)["from"])
}

// Replicas have directories of their own and the same files in them, whoever saw which revision.
func TestReplicasHaveTheSameFiles(t *testing.T) {
	t.Parallel()
	from := commit("r1", flow("one").with(files{"run.sh": "#!/bin/sh", "link": "-> run.sh"}))
	one := newManager(t, configure(t.TempDir(), sources{"a": from}))
	require.NoError(t, one.Refresh(t.Context(), "a"))
	content, _, err := one.Workspace("a")
	require.NoError(t, err)
	from.commit("r2", flow("two"))
	other := newManager(t, configure(t.TempDir(), sources{"a": from})) // has never seen r1, and not even r2 yet
	read := func(m *workspace.Manager) []byte {
		f, err := m.Tarball(t.Context(), "a", "r1", content.Digest)
		require.NoError(t, err)
		defer func() { require.NoError(t, f.Close()) }()
		data, err := io.ReadAll(f)
		require.NoError(t, err)
		return data
	}
	require.Equal(t, read(one), read(other))
	require.NoError(t, other.Refresh(t.Context(), "a"))
	requireRevision(t, other, "a", "r2", "two")
}
