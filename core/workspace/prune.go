package workspace

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/stroem/stroem/core"
)

const (
	// pruneInterval is the time between two looks at what is not needed any more.
	pruneInterval = time.Minute
	// keepFor is how long a revision stays after its last use. It has to be longer than a job takes from looking at the
	// workspace until it is stored: before that, nobody knows that it needs the revision.
	keepFor = 2 * time.Minute
	// keepLast is how many revisions stay beside the current one, whether or not somebody needs them.
	keepLast = 3
)

// pruneAll removes what is not needed, again and again until ctx ends.
func (m *Manager) pruneAll(ctx context.Context) {
	ticker := time.NewTicker(pruneInterval)
	defer ticker.Stop()
	for {
		if err := m.Prune(ctx); err != nil && ctx.Err() == nil {
			m.config.Logger.WarnContext(ctx, "old revisions of workspaces stay", "error", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

// Prune removes the revisions that are neither current, nor needed by an unfinished job, nor among the last few, with
// their tarballs. What is read at this moment stays. Run calls it every minute.
func (m *Manager) Prune(ctx context.Context) error {
	var errs []error
	var pinned map[core.Pin]bool
	for _, e := range m.all {
		old, err := m.surplus(e)
		if err != nil {
			errs = append(errs, fmt.Errorf("look at the revisions of workspace %s: %w", e.name, err))
		}
		if len(old) == 0 {
			continue
		}
		if pinned == nil { // after it was decided what is old enough: a job that needs it is stored by now
			if pinned, err = m.pins(ctx); err != nil {
				return errors.Join(append(errs, err)...)
			}
		}
		for _, s := range old {
			if pinned[core.Pin{Workspace: e.name, Revision: s.id}] {
				continue
			}
			if err := m.remove(ctx, e, s); err != nil {
				errs = append(errs, fmt.Errorf("remove revision %s of workspace %s: %w", short(s.id), e.name, err))
			}
		}
	}
	return errors.Join(errs...)
}

func (m *Manager) pins(ctx context.Context) (map[core.Pin]bool, error) {
	list, err := m.config.Pinned(ctx)
	if err != nil {
		return nil, fmt.Errorf("ask which revisions are needed: %w", err)
	}
	pinned := make(map[core.Pin]bool, len(list))
	for _, pin := range list {
		pinned[pin] = true
	}
	return pinned, nil
}

// kept is a revision on disk with the time of its last use.
type kept struct {
	stored
	used time.Time
}

// stored lists the revisions of a workspace that are here, those used last first.
func (m *Manager) stored(e *entry) ([]kept, error) {
	entries, err := os.ReadDir(filepath.Join(m.config.Dir, e.name))
	if err != nil {
		return nil, err
	}
	var all []kept
	for _, entry := range entries {
		s, ok := parseStored(entry.Name())
		if !ok || !entry.IsDir() {
			continue
		}
		info, err := entry.Info()
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		all = append(all, kept{s, info.ModTime()})
	}
	slices.SortFunc(all, func(a, b kept) int { return b.used.Compare(a.used) })
	return all, nil
}

// surplus lists the revisions that nothing of this process needs.
func (m *Manager) surplus(e *entry) ([]stored, error) {
	if m.config.Pinned == nil {
		return nil, nil
	}
	all, err := m.stored(e)
	if err != nil {
		return nil, err
	}
	current, tried := e.current()
	if !tried {
		return nil, nil // what is current is not known yet
	}
	var old []stored
	others := 0
	for _, s := range all {
		if s.stored == current {
			continue
		}
		if others++; others > keepLast && time.Since(s.used) > keepFor {
			old = append(old, s.stored)
		}
	}
	return old, nil
}

// remove takes a revision away, unless it has come into use in the meantime.
func (m *Manager) remove(ctx context.Context, e *entry, s stored) error {
	// It may be the one that comes next, and a source that hangs is not to hold up the others' turn: there will be another.
	if !e.refreshing.tryTake() {
		return nil
	}
	defer e.refreshing.give()
	if !e.fetching.tryTake() {
		return nil
	}
	defer e.fetching.give()
	away := filepath.Join(m.config.Dir, e.name, gonePrefix+rand.Text())
	moved, err := m.moveAway(e, s, away)
	if err != nil || !moved {
		return err
	}
	if err := os.RemoveAll(away); err != nil { // New tries again
		return err
	}
	m.config.Logger.InfoContext(ctx, "old revision removed", "workspace", e.name, "revision", short(s.id))
	return nil
}

// moveAway takes the name from a revision that nobody holds, at one stroke. A tarball that is being sent is read to its
// end all the same.
func (m *Manager) moveAway(e *entry, s stored, away string) (bool, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	info, err := os.Lstat(m.dir(e, s))
	if err != nil || e.held[s] > 0 || e.content != nil && e.stored() == s || time.Since(info.ModTime()) <= keepFor {
		return false, err
	}
	if err := os.Remove(m.tarball(e, s)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return false, err
	}
	if err := os.Rename(m.dir(e, s), away); err != nil {
		return false, err
	}
	if e.digests[s.id] == s.digest {
		delete(e.digests, s.id)
	}
	return true, nil
}

const (
	fetchPrefix  = ".fetch-"
	packPrefix   = ".pack-"
	gonePrefix   = ".gone-"
	tarballDir   = ".tarballs"
	tarballExt   = ".tar.gz"
	currentFile  = ".current.json"
	currentDraft = ".current-"
)

// tidy makes the directories of a workspace and removes what a crash left half done, and tarballs whose revision is gone.
func (m *Manager) tidy(e *entry) error {
	dir := filepath.Join(m.config.Dir, e.name)
	if err := os.MkdirAll(filepath.Join(dir, tarballDir), 0o700); err != nil {
		return err
	}
	var errs []error
	for _, pattern := range []string{fetchPrefix + "*", gonePrefix + "*", filepath.Join(tarballDir, packPrefix+"*"), currentDraft + "*"} {
		left, err := fs.Glob(os.DirFS(dir), filepath.ToSlash(pattern))
		errs = append(errs, err)
		for _, name := range left {
			errs = append(errs, os.RemoveAll(filepath.Join(dir, filepath.FromSlash(name))))
		}
	}
	tarballs, err := os.ReadDir(filepath.Join(dir, tarballDir))
	errs = append(errs, err)
	for _, tarball := range tarballs {
		name, packed := strings.CutSuffix(tarball.Name(), tarballExt)
		if s, ok := parseStored(name); packed && (!ok || !m.has(e, s)) {
			errs = append(errs, os.Remove(filepath.Join(dir, tarballDir, tarball.Name())))
		}
	}
	return errors.Join(errs...)
}
