package worker

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// tarball has one file of the given size.
func tarball(t *testing.T, size int) []byte {
	t.Helper()
	return packed(t, tar.Header{Name: "dir/file", Typeflag: tar.TypeReg, Mode: 0o755, Size: int64(size)})
}

// packed is a tar.gz of entries; files are full of blanks.
func packed(t *testing.T, entries ...tar.Header) []byte {
	t.Helper()
	var b bytes.Buffer
	zip := gzip.NewWriter(&b)
	w := tar.NewWriter(zip)
	for _, header := range entries {
		require.NoError(t, w.WriteHeader(&header))
		_, err := io.WriteString(w, strings.Repeat(" ", int(header.Size)))
		require.NoError(t, err)
	}
	require.NoError(t, w.Close())
	require.NoError(t, zip.Close())
	return b.Bytes()
}

// opens gives a tarball and counts how often.
func opens(data []byte, n *atomic.Int32) opener {
	return func(context.Context) (io.ReadCloser, error) {
		n.Add(1)
		return io.NopCloser(bytes.NewReader(data)), nil
	}
}

func openCache(t *testing.T, dir string, limit int64) *cache {
	t.Helper()
	c := newCache(dir, limit)
	require.NoError(t, c.open())
	return c
}

// mustGet gets a revision of a thousand bytes.
func mustGet(t *testing.T, c *cache, rev string) (dir string, release func()) {
	t.Helper()
	dir, release, err := c.get(t.Context(), "ws", rev, opens(tarball(t, 1000), new(atomic.Int32)))
	require.NoError(t, err)
	return dir, release
}

// revisions are the names below the workspace's directory in the cache.
func revisions(t *testing.T, c *cache) []string {
	t.Helper()
	entries, err := os.ReadDir(filepath.Join(c.dir, "ws"))
	if !errors.Is(err, os.ErrNotExist) {
		require.NoError(t, err)
	}
	names := []string{}
	for _, entry := range entries {
		names = append(names, entry.Name())
	}
	return names
}

func TestOneDownloadForAll(t *testing.T) {
	t.Parallel()
	c := openCache(t, t.TempDir(), 0)
	const users = 20
	var downloads atomic.Int32
	begin := make(chan struct{})
	data := tarball(t, 1000)
	var group sync.WaitGroup
	dirs, errs := [users]string{}, [users]error{}
	for i := range users {
		group.Go(func() {
			var release func()
			dirs[i], release, errs[i] = c.get(t.Context(), "ws", "r1", func(context.Context) (io.ReadCloser, error) {
				downloads.Add(1)
				<-begin // all others wait by now, or come later
				return io.NopCloser(bytes.NewReader(data)), nil
			})
			if errs[i] == nil {
				release()
			}
		})
	}
	close(begin)
	group.Wait()
	for i := range users {
		require.NoError(t, errs[i])
		require.Equal(t, filepath.Join(c.dir, "ws", "r1"), dirs[i])
	}
	require.EqualValues(t, 1, downloads.Load())
	info, err := os.Stat(filepath.Join(dirs[0], "dir", "file"))
	require.NoError(t, err)
	require.Equal(t, "-r-xr-xr-x", info.Mode().String(), "a step does not change it for others")
	require.Equal(t, []string{"r1"}, revisions(t, c), "nothing is left half done")
}

func TestOldestUnusedGoes(t *testing.T) {
	t.Parallel()
	c := openCache(t, t.TempDir(), 3500)
	release := map[string]func(){}
	for _, rev := range []string{"r1", "r2", "r3"} {
		_, release[rev] = mustGet(t, c, rev)
	}
	release["r2"]()
	release["r3"]()
	_, r4 := mustGet(t, c, "r4")
	require.Equal(t, []string{"r1", "r2", "r3", "r4"}, revisions(t, c), "what is too much is removed when a use ends")
	r4()
	require.Equal(t, []string{"r1", "r3", "r4"}, revisions(t, c), "r1 is in use, r2 was not for longest")

	_, again := mustGet(t, c, "r3")
	again()
	again() // twice is once
	_, r5 := mustGet(t, c, "r5")
	r5()
	require.Equal(t, []string{"r1", "r3", "r5"}, revisions(t, c), "r3 was used since r4")
	held := c.hold("ws", "r3")
	c.hold("ws", "unknown")()
	release["r1"]()
	_, r6 := mustGet(t, c, "r6")
	_, r7 := mustGet(t, c, "r7")
	r6()
	r7()
	require.Contains(t, revisions(t, c), "r3")
	held()

	large := tarball(t, 5000)
	dir, r8, err := c.get(t.Context(), "ws", "r8", opens(large, new(atomic.Int32)))
	require.NoError(t, err, "a revision that is larger than the cache is used all the same")
	require.DirExists(t, dir)
	r8()
	require.Empty(t, revisions(t, c))
}

func TestFailedDownload(t *testing.T) {
	t.Parallel()
	c := openCache(t, t.TempDir(), 0)
	bad := errors.New("connection reset")
	for name, open := range map[string]opener{
		"not begun": func(context.Context) (io.ReadCloser, error) { return nil, bad },
		"half way": func(context.Context) (io.ReadCloser, error) {
			return io.NopCloser(io.MultiReader(bytes.NewReader(tarball(t, 100_000)[:100]), failing{bad})), nil
		},
	} {
		_, _, err := c.get(t.Context(), "ws", "r1", open)
		require.ErrorIs(t, err, bad, name)
		require.Empty(t, revisions(t, c), name)
	}
	_, release := mustGet(t, c, "r1")
	release()
}

type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }

// Whoever waits for the download of another one downloads in its place, if what went wrong is the other one's own matter.
func TestDownloadIsTakenOver(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		own  bool
		fail func(stop context.CancelFunc) error
	}{
		"stopped":        {true, func(stop context.CancelFunc) error { stop(); return context.Canceled }},
		"lease is stale": {true, func(context.CancelFunc) error { return &ownError{errors.New("the step has ended")} }},
		"gone":           {false, func(context.CancelFunc) error { return errors.New("no such revision") }},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cache := openCache(t, t.TempDir(), 0)
			ctx, stop := context.WithCancel(t.Context())
			defer stop()
			downloading, fail := make(chan struct{}), make(chan struct{})
			first, second := make(chan error, 1), make(chan error, 1)
			go func() {
				_, _, err := cache.get(ctx, "ws", "r1", func(context.Context) (io.ReadCloser, error) {
					close(downloading)
					<-fail
					return nil, c.fail(stop)
				})
				first <- err
			}()
			<-downloading
			data := tarball(t, 1000)
			var downloads atomic.Int32
			go func() {
				_, _, err := cache.get(t.Context(), "ws", "r1", opens(data, &downloads))
				second <- err
			}()
			require.Eventually(t, func() bool {
				cache.mu.Lock()
				defer cache.mu.Unlock()
				return cache.revisions[filepath.Join(cache.dir, "ws", "r1")].users == 2
			}, time.Minute, time.Millisecond)
			close(fail)
			require.Error(t, <-first)
			if !c.own {
				require.ErrorContains(t, <-second, "no such revision")
				require.Zero(t, downloads.Load())
				return
			}
			require.NoError(t, <-second)
			require.EqualValues(t, 1, downloads.Load())
		})
	}
}

func TestWaitingForADownloadEndsWithItsContext(t *testing.T) {
	t.Parallel()
	c := openCache(t, t.TempDir(), 0)
	downloading, end := make(chan struct{}), make(chan struct{})
	done := make(chan error, 1)
	data := tarball(t, 1)
	go func() {
		_, release, err := c.get(t.Context(), "ws", "r1", func(context.Context) (io.ReadCloser, error) {
			close(downloading)
			<-end
			return io.NopCloser(bytes.NewReader(data)), nil
		})
		if err == nil {
			release()
		}
		done <- err
	}()
	<-downloading
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, _, err := c.get(ctx, "ws", "r1", nil)
	require.ErrorIs(t, err, context.Canceled)
	close(end)
	require.NoError(t, <-done)
}

// What a worker before this one left is used; what it left half done goes, unless somebody may still be at it.
func TestCacheOfAnEarlierWorker(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	before := openCache(t, dir, 0)
	for _, rev := range []string{"r1", "r2"} {
		place, release := mustGet(t, before, rev)
		release()
		age := time.Now().Add(-time.Hour)
		if rev == "r1" {
			age = age.Add(-time.Hour)
		}
		require.NoError(t, os.Chtimes(place, age, age))
	}
	for name, age := range map[string]time.Duration{"r3.A.partial": 2 * time.Hour, "r4.B.partial": time.Minute} {
		place := filepath.Join(dir, "ws", name)
		require.NoError(t, os.MkdirAll(filepath.Join(place, "sub"), 0o700))
		require.NoError(t, os.Chtimes(place, time.Now().Add(-age), time.Now().Add(-age)))
	}
	require.NoError(t, os.WriteFile(filepath.Join(dir, "ws", "file"), nil, 0o600))

	c := openCache(t, dir, 2500)
	require.Equal(t, []string{"file", "r1", "r2", "r4.B.partial"}, revisions(t, c))
	var downloads atomic.Int32
	_, release, err := c.get(t.Context(), "ws", "r2", opens(nil, &downloads))
	require.NoError(t, err)
	require.Zero(t, downloads.Load())
	release()
	_, release = mustGet(t, c, "r5")
	release()
	require.Equal(t, []string{"file", "r2", "r4.B.partial", "r5"}, revisions(t, c), "r1 was not used for longest")
	_, release = mustGet(t, c, "r2")
	release()
	next := openCache(t, dir, 2500)
	_, release = mustGet(t, next, "r6")
	release()
	require.Equal(t, []string{"file", "r2", "r4.B.partial", "r6"}, revisions(t, next), "r2 was used after r5 had come")
}

// Workers on one machine may share a cache. What one of them uses, no limit of another removes.
func TestSharedCache(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	one, other := openCache(t, dir, 0), openCache(t, dir, 1)
	place, release := mustGet(t, one, "r1")
	same, releaseOther := mustGet(t, other, "r1")
	require.Equal(t, place, same)
	releaseOther()
	require.Equal(t, []string{"r1"}, revisions(t, one), "it is in use")
	held := one.hold("ws", "r1")
	release()
	_, releaseOther = mustGet(t, other, "r2")
	releaseOther()
	require.Equal(t, []string{"r1"}, revisions(t, one), "it is held, and r2 is not")
	held()
	_, releaseOther = mustGet(t, other, "r2")
	releaseOther()
	require.Empty(t, revisions(t, one), "the limit removes what nobody uses")

	place, release = mustGet(t, one, "r1") // it is downloaded again
	require.DirExists(t, place)
	release()
}
