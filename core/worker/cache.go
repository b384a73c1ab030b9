package worker

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"time"

	"github.com/stroem/stroem/core/archive"
)

// cache keeps the files of workspace revisions: a directory each, complete from the moment that it exists, and never
// changed. Those in use are counted; beyond the limit the ones that were not used for longest go.
type cache struct {
	dir   string
	limit int64 // bytes; 0: none

	mu      sync.Mutex
	entries map[string]*revision // by directory
}

type revision struct {
	ready chan struct{} // closed once err or size is known
	err   error
	size  int64
	users int
	used  time.Time
}

func newCache(dir string, limit int64) *cache {
	return &cache{dir: dir, limit: limit, entries: map[string]*revision{}}
}

// partial is the suffix of directories that are being filled.
const partial = ".partial"

// clean removes what an earlier process left half-done, and counts what is there.
func (c *cache) clean() error {
	workspaces, err := os.ReadDir(c.dir)
	if err != nil {
		return fmt.Errorf("read the workspace cache: %w", err)
	}
	for _, ws := range workspaces {
		revisions, err := os.ReadDir(filepath.Join(c.dir, ws.Name()))
		if err != nil {
			return fmt.Errorf("read the workspace cache: %w", err)
		}
		for _, r := range revisions {
			dir := filepath.Join(c.dir, ws.Name(), r.Name())
			if strings.HasSuffix(r.Name(), partial) {
				if err := removeAll(dir); err != nil {
					return fmt.Errorf("remove an unfinished download: %w", err)
				}
				continue
			}
			info, err := r.Info()
			if err != nil {
				return fmt.Errorf("read the workspace cache: %w", err)
			}
			ready := make(chan struct{})
			close(ready)
			c.entries[dir] = &revision{ready: ready, size: size(dir), used: info.ModTime()}
		}
	}
	return nil
}

var plainName = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9_.-]{0,199}$`)

// get returns the directory of a revision, downloading it if it is not there; several that need it at once wait for one
// download. release must be called when the directory is not needed any more.
func (c *cache) get(ctx context.Context, workspace, rev string, open func(context.Context) (io.ReadCloser, error)) (dir string, release func(), err error) {
	if !plainName.MatchString(workspace) || !plainName.MatchString(rev) {
		return "", nil, fmt.Errorf("the workspace %q or its revision %q is no name", workspace, rev)
	}
	dir = filepath.Join(c.dir, workspace, rev)
	for {
		r, mine := c.use(dir)
		if mine {
			r.size, r.err = c.download(ctx, dir, open)
			c.settle(dir, r)
		} else {
			select {
			case <-r.ready:
			case <-ctx.Done():
				c.release(dir, r)
				return "", nil, context.Cause(ctx)
			}
		}
		if r.err == nil {
			return dir, sync.OnceFunc(func() { c.release(dir, r) }), nil
		}
		c.release(dir, r)
		if mine || !errors.Is(r.err, context.Canceled) {
			return "", nil, r.err
		}
		// Whoever downloaded was stopped: somebody else has to.
	}
}

// use counts a user of a directory; mine means that the caller has to fill it.
func (c *cache) use(dir string) (r *revision, mine bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	r = c.entries[dir]
	if r == nil {
		r, mine = &revision{ready: make(chan struct{})}, true
		c.entries[dir] = r
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
		delete(c.entries, dir)
	}
}

func (c *cache) release(dir string, r *revision) {
	c.mu.Lock()
	defer c.mu.Unlock()
	r.users--
	r.used = time.Now()
	if c.entries[dir] == r {
		c.shrink()
	}
}

// shrink removes the revisions that were not used for longest until the rest fits.
func (c *cache) shrink() {
	for c.limit > 0 {
		total, oldest := int64(0), ""
		for dir, r := range c.entries {
			total += r.size
			if r.users == 0 && (oldest == "" || r.used.Before(c.entries[oldest].used)) {
				oldest = dir
			}
		}
		if total <= c.limit || oldest == "" {
			return
		}
		delete(c.entries, oldest)
		if err := os.Rename(oldest, oldest+partial); err == nil {
			_ = removeAll(oldest + partial) // what stays is removed at the next start
		}
	}
}

func (c *cache) download(ctx context.Context, dir string, open func(context.Context) (io.ReadCloser, error)) (int64, error) {
	tmp := dir + partial
	if err := removeAll(tmp); err != nil {
		return 0, fmt.Errorf("remove an unfinished download: %w", err)
	}
	if err := os.MkdirAll(tmp, 0o700); err != nil {
		return 0, fmt.Errorf("create the revision's directory: %w", err)
	}
	body, err := open(ctx)
	if err != nil {
		return 0, err
	}
	defer func() { _ = body.Close() }()
	if err := archive.Unpack(ctx, body, tmp, archive.DefaultLimits()); err != nil {
		return 0, errors.Join(fmt.Errorf("unpack the workspace: %w", err), removeAll(tmp))
	}
	if err := os.Rename(tmp, dir); err != nil {
		return 0, fmt.Errorf("put the revision in place: %w", err)
	}
	return size(dir), nil
}

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
