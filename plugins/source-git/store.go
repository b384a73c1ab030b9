package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"
)

// store keeps the packs of revisions that were fetched, each in a bare repository of its own: <key of the remote>/<commit>.
// So a remote that is re-pointed or force-pushed never mixes with what was there before, and whatever is too much can be
// removed alone. It keeps the last revisions of each remote, and of all together what limit allows. All methods may be
// called concurrently; there is one store for a directory.
type store struct {
	dir   string
	limit int64

	mu    sync.Mutex
	slots map[string]*slot
}

// perRemote is how many revisions are kept for a remote.
const perRemote = 3

const draftPrefix = ".draft-"

// slot is the place of one revision, for one user at a time.
type slot struct {
	store *store
	name  string // below the directory
	turn  chan struct{}
	users int // who has it and who waits for it
}

// newStore makes the directory and removes what a crash left half done. Without a directory, a temporary one is used and
// nothing is kept.
func newStore(dir string, limit int64) (*store, error) {
	s := &store{limit: limit, slots: map[string]*slot{}}
	if dir == "" {
		return s, nil
	}
	s.dir = filepath.Join(dir, "repositories")
	if err := os.MkdirAll(s.dir, 0o700); err != nil {
		return nil, fmt.Errorf("make the directory for repositories: %w", err)
	}
	left, err := fs.Glob(os.DirFS(s.dir), "*/"+draftPrefix+"*")
	if err != nil {
		return nil, fmt.Errorf("look for drafts: %w", err)
	}
	for _, name := range left {
		if err := os.RemoveAll(filepath.Join(s.dir, filepath.FromSlash(name))); err != nil {
			return nil, fmt.Errorf("remove a draft: %w", err)
		}
	}
	return s, nil
}

// take waits for the place of a revision and fills it if it is empty. fill is given a directory to make; after an error
// nothing is left of it. The caller gives the place back.
func (s *store) take(ctx context.Context, repository, commit string, fill func(dir string) error) (*slot, error) {
	if s.dir == "" {
		return s.temporary(fill)
	}
	t := s.enter(filepath.Join(repository, commit))
	select {
	case t.turn <- struct{}{}:
	case <-ctx.Done():
		s.leave(t)
		return nil, ctx.Err()
	}
	if err := s.ensure(t, fill); err != nil {
		<-t.turn
		s.leave(t)
		return nil, err
	}
	return t, nil
}

func (s *store) ensure(t *slot, fill func(dir string) error) error {
	now := time.Now()
	if err := os.Chtimes(t.dir(), now, now); err == nil || !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	parent := filepath.Dir(t.dir())
	if err := os.MkdirAll(parent, 0o700); err != nil {
		return fmt.Errorf("make room for a revision: %w", err)
	}
	draft, err := os.MkdirTemp(parent, draftPrefix)
	if err != nil {
		return fmt.Errorf("make room for a revision: %w", err)
	}
	defer func() { _ = os.RemoveAll(draft) }() // empty if all went well; else newStore tries again
	inner := filepath.Join(draft, "new")
	if err := fill(inner); err != nil {
		return err
	}
	if err := os.Rename(inner, t.dir()); err != nil {
		return fmt.Errorf("keep a revision: %w", err)
	}
	return nil
}

func (s *store) temporary(fill func(dir string) error) (*slot, error) {
	dir, err := os.MkdirTemp("", "source-git-")
	if err != nil {
		return nil, fmt.Errorf("make room for a revision: %w", err)
	}
	t := &slot{name: filepath.Join(dir, "new")}
	if err := fill(t.name); err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	return t, nil
}

// dir is where the objects are.
func (t *slot) dir() string {
	if t.store == nil {
		return t.name
	}
	return filepath.Join(t.store.dir, t.name)
}

// give gives the place back.
func (t *slot) give() error {
	if t.store == nil {
		return os.RemoveAll(filepath.Dir(t.name))
	}
	<-t.turn
	t.store.leave(t)
	return t.store.prune()
}

func (s *store) enter(name string) *slot {
	s.mu.Lock()
	defer s.mu.Unlock()
	t, ok := s.slots[name]
	if !ok {
		t = &slot{store: s, name: name, turn: make(chan struct{}, 1)}
		s.slots[name] = t
	}
	t.users++
	return t
}

func (s *store) leave(t *slot) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if t.users--; t.users == 0 {
		delete(s.slots, t.name)
	}
}

// find returns the place of a revision if it is there, without waiting for anybody. It may go away at any time.
func (s *store) find(repository, commit string) (dir string, ok bool) {
	if s.dir == "" {
		return "", false
	}
	dir = filepath.Join(s.dir, repository, commit)
	_, err := os.Stat(dir)
	return dir, err == nil
}

// kept is a revision on disk.
type kept struct {
	name  string
	used  time.Time
	bytes int64
}

// prune removes what is beyond the limits and in nobody's hands, least recently used first.
func (s *store) prune() error {
	s.mu.Lock() // so that nobody takes what is removed
	defer s.mu.Unlock()
	all, err := s.list()
	if err != nil {
		return fmt.Errorf("look for revisions to remove: %w", err)
	}
	slices.SortFunc(all, func(a, b kept) int { return cmp.Or(b.used.Compare(a.used), cmp.Compare(a.name, b.name)) })
	var total int64
	count := map[string]int{}
	for _, k := range all {
		repository := filepath.Dir(k.name)
		total += k.bytes
		if count[repository]++; count[repository] <= perRemote && total <= s.limit {
			continue
		}
		if _, held := s.slots[k.name]; held {
			continue // its user comes by here as well
		}
		total -= k.bytes
		if err := os.RemoveAll(filepath.Join(s.dir, k.name)); err != nil {
			return fmt.Errorf("remove a revision: %w", err)
		}
		if !s.busy(repository) {
			_ = os.Remove(filepath.Join(s.dir, repository)) // fails unless it is empty
		}
	}
	return nil
}

// busy tells whether somebody may be making a revision of the repository. The caller holds the lock.
func (s *store) busy(repository string) bool {
	for name := range s.slots {
		if filepath.Dir(name) == repository {
			return true
		}
	}
	return false
}

// list returns the revisions on disk. Drafts are left out.
func (s *store) list() ([]kept, error) {
	places, err := fs.Glob(os.DirFS(s.dir), "*/*")
	if err != nil {
		return nil, err
	}
	var all []kept
	for _, place := range places {
		k := kept{name: filepath.FromSlash(place)}
		at := filepath.Join(s.dir, k.name)
		info, err := os.Stat(at)
		if err != nil || !commitID.MatchString(filepath.Base(at)) {
			continue
		}
		k.used = info.ModTime()
		if k.bytes, err = size(at); err != nil {
			return nil, err
		}
		all = append(all, k)
	}
	return all, nil
}

// size returns how large the files below a directory are.
func size(dir string) (n int64, err error) {
	err = filepath.WalkDir(dir, func(_ string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		info, err := entry.Info()
		if err == nil {
			n += info.Size()
		}
		return err
	})
	return n, err
}
