package worker

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/stroem/stroem/core/archive"
)

// cache keeps the files of workspace revisions: a directory each, complete from the moment that it exists, and never
// changed. Those in use are counted; beyond the limit the ones that were not used for longest go. Workers on one machine
// may share the directory: what one of them uses is locked, and none removes it.
type cache struct {
	dir   string
	limit int64 // bytes; 0: none

	mu        sync.Mutex
	revisions map[string]*revision // by directory
}

type revision struct {
	ready     chan struct{} // closed once err or size is known
	err       error
	abandoned bool // err is that of whoever downloaded alone
	size      int64
	users     int
	used      time.Time
}

func newCache(dir string, limit int64) *cache {
	return &cache{dir: dir, limit: limit, revisions: map[string]*revision{}}
}

const (
	// partial is the suffix of directories that are being filled, or removed.
	partial = ".partial"
	// abandonedAfter is the age at which nobody works on such a directory any more.
	abandonedAfter = time.Hour
)

// open counts what is there, and removes what was left half-done.
func (c *cache) open() error {
	names, err := fs.Glob(os.DirFS(c.dir), "*/*")
	if err != nil {
		return fmt.Errorf("read the workspace cache: %w", err)
	}
	for _, name := range names {
		dir := filepath.Join(c.dir, filepath.FromSlash(name))
		info, err := os.Lstat(dir)
		switch {
		case errors.Is(err, fs.ErrNotExist), err == nil && !info.IsDir():
			continue // removed meanwhile, or not ours
		case err != nil:
			return fmt.Errorf("read the workspace cache: %w", err)
		case !strings.HasSuffix(dir, partial):
			ready := make(chan struct{})
			close(ready)
			c.revisions[dir] = &revision{ready: ready, size: size(dir), used: info.ModTime()}
		case time.Since(info.ModTime()) > abandonedAfter:
			if err := removeAll(dir); err != nil {
				return fmt.Errorf("remove an unfinished download: %w", err)
			}
		}
	}
	return nil
}

// opener starts the download of a revision's tar.gz.
type opener func(ctx context.Context) (io.ReadCloser, error)

var plainName = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9_.-]{0,199}$`)

// ownError is an error of an opener that says nothing about the revision: another one may be let have it.
type ownError struct{ err error }

func (e *ownError) Error() string { return e.err.Error() }
func (e *ownError) Unwrap() error { return e.err }

// get returns the directory of a revision, downloading it if it is not there; several that need it at once wait for one
// download. release must be called when the directory is not needed any more.
func (c *cache) get(ctx context.Context, workspace, rev string, open opener) (dir string, release func(), err error) {
	if !plainName.MatchString(workspace) || !plainName.MatchString(rev) || strings.HasSuffix(rev, partial) {
		return "", nil, fmt.Errorf("the workspace %q or its revision %q is no name", workspace, rev)
	}
	dir = filepath.Join(c.dir, workspace, rev)
	for {
		r, mine := c.use(dir)
		if mine {
			r.size, r.err = c.download(ctx, dir, open)
			r.abandoned = r.err != nil && (ctx.Err() != nil || errors.As(r.err, new(*ownError)))
			c.settle(dir, r)
		} else {
			select {
			case <-r.ready:
			case <-ctx.Done():
				c.release(r)
				return "", nil, context.Cause(ctx)
			}
		}
		if r.err == nil {
			if unlock, err := lockRevision(dir, false); err == nil {
				return dir, sync.OnceFunc(c.end(dir, r, unlock)), nil
			} else if !errors.Is(err, fs.ErrNotExist) {
				c.release(r)
				return "", nil, fmt.Errorf("lock the workspace: %w", err)
			}
			c.forget(dir, r)
		}
		c.release(r)
		if r.err != nil && (mine || !r.abandoned) {
			return "", nil, r.err
		}
		// Another attempt: whoever downloaded was stopped or had no right to it any more, or somebody has removed the directory.
	}
}

// hold keeps a revision, if it is there, until it is released.
func (c *cache) hold(workspace, rev string) (release func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	dir := filepath.Join(c.dir, workspace, rev)
	r := c.revisions[dir]
	if r == nil {
		return func() {}
	}
	unlock, err := lockRevision(dir, false)
	if err != nil {
		return func() {}
	}
	r.users++
	return c.end(dir, r, unlock)
}

// end returns what ends a use, and leaves its time for workers to come.
func (c *cache) end(dir string, r *revision, unlock func()) func() {
	return func() {
		now := time.Now()
		_ = os.Chtimes(dir, now, now) // or it only goes earlier
		unlock()
		c.release(r)
	}
}

// use counts a user of a directory; mine means that the caller has to fill it.
func (c *cache) use(dir string) (r *revision, mine bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	r = c.revisions[dir]
	if r == nil {
		r, mine = &revision{ready: make(chan struct{})}, true
		c.revisions[dir] = r
	}
	r.users++
	return r, mine
}

// settle announces the end of a download. A failed one is forgotten, to be tried again.
func (c *cache) settle(dir string, r *revision) {
	c.mu.Lock()
	defer c.mu.Unlock()
	close(r.ready)
	if r.err != nil {
		delete(c.revisions, dir)
	}
}

// forget drops a directory that somebody has removed.
func (c *cache) forget(dir string, r *revision) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.revisions[dir] == r {
		delete(c.revisions, dir)
	}
}

// release ends a use, and removes what is too much.
func (c *cache) release(r *revision) {
	c.mu.Lock()
	r.users--
	r.used = time.Now()
	surplus := c.surplus()
	c.mu.Unlock()
	for _, dir := range surplus {
		_ = removeAll(dir) // what stays is removed at a later start
	}
}

// surplus takes out the revisions that were not used for longest until the rest fits, and returns where they are then.
func (c *cache) surplus() (moved []string) {
	if c.limit == 0 {
		return nil
	}
	var total int64
	var unused []string
	for dir, r := range c.revisions {
		total += r.size
		if r.users == 0 {
			unused = append(unused, dir)
		}
	}
	slices.SortFunc(unused, func(a, b string) int { return c.revisions[a].used.Compare(c.revisions[b].used) })
	for _, dir := range unused {
		if total <= c.limit {
			break
		}
		away := dir + "." + rand.Text() + partial
		unlock, err := lockRevision(dir, true)
		if errors.Is(err, errInUse) {
			continue
		}
		if err == nil {
			if os.Rename(dir, away) == nil {
				moved = append(moved, away)
			}
			unlock()
		}
		total -= c.revisions[dir].size
		delete(c.revisions, dir)
	}
	return moved
}

// errInUse is that another worker uses a revision.
var errInUse = errors.New("in use")

// download fills a directory beside dir and then puts it in its place.
func (c *cache) download(ctx context.Context, dir string, open opener) (int64, error) {
	tmp := dir + "." + rand.Text() + partial
	if err := os.MkdirAll(tmp, 0o700); err != nil {
		return 0, fmt.Errorf("create the revision's directory: %w", err)
	}
	bytes, err := fill(ctx, tmp, open)
	if err == nil {
		if err = os.Rename(tmp, dir); errors.Is(err, fs.ErrExist) {
			return bytes, removeAll(tmp) // another worker was faster
		}
	}
	if err != nil {
		return 0, errors.Join(err, removeAll(tmp))
	}
	return bytes, nil
}

func fill(ctx context.Context, dir string, open opener) (bytes int64, err error) {
	body, err := open(ctx)
	if err != nil {
		return 0, err
	}
	defer func() { _ = body.Close() }()
	if err := archive.Unpack(ctx, body, dir, archive.DefaultLimits()); err != nil {
		return 0, fmt.Errorf("unpack the workspace: %w", err)
	}
	if bytes, err = protect(dir); err != nil {
		return 0, err
	}
	return bytes, archive.Flush(ctx, dir) // or a power failure leaves the directory with empty files
}

// protect takes the permission to write from a directory and everything in it, and returns how many bytes it holds.
func protect(dir string) (bytes int64, err error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return 0, fmt.Errorf("protect the workspace: %w", err)
	}
	defer func() { _ = root.Close() }() // nothing was written through it
	err = fs.WalkDir(root.FS(), ".", func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := entry.Info()
		if err != nil || !info.IsDir() && !info.Mode().IsRegular() {
			return err
		}
		if info.Mode().IsRegular() {
			bytes += info.Size()
		}
		return root.Chmod(path, info.Mode().Perm()&^0o222)
	})
	if err != nil {
		return 0, fmt.Errorf("protect the workspace: %w", err)
	}
	return bytes, nil
}

// size is how many bytes a directory holds, as far as it can be read.
func size(dir string) (total int64) {
	_ = filepath.WalkDir(dir, func(_ string, entry fs.DirEntry, err error) error {
		if err != nil {
			return nil //nolint:nilerr // what cannot be read counts as nothing
		}
		if info, err := entry.Info(); err == nil && info.Mode().IsRegular() {
			total += info.Size()
		}
		return nil
	})
	return total
}

// removeAll removes a directory also where a step has taken away its write permission.
func removeAll(dir string) error {
	if err := os.RemoveAll(dir); err == nil {
		return nil
	}
	_ = filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err == nil && entry.IsDir() {
			_ = os.Chmod(path, 0o700) //nolint:gosec // about to be removed
		}
		return nil
	})
	return os.RemoveAll(dir)
}
