package workspace

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"time"
	"unicode/utf8"

	"github.com/stroem/stroem/core"
	"github.com/stroem/stroem/core/archive"
	"github.com/stroem/stroem/pluginapi"
)

// stored is a revision on disk. What a source calls a revision does not name its files for good: the workspace may come
// from another source tomorrow, which has the same name for other files. The digest does.
type stored struct {
	id     string // as the source has it
	digest string
}

// digestLength is how much of a digest is used, in hexadecimal digits.
const digestLength = 32

func (s stored) String() string { return s.id + "." + s.digest }

var storedRule = regexp.MustCompile(`^([0-9A-Za-z_][0-9A-Za-z._-]{0,127})\.([0-9a-f]{32})$`)

// parseStored takes the name of a directory apart.
func parseStored(name string) (stored, bool) {
	m := storedRule.FindStringSubmatch(name)
	if m == nil {
		return stored{}, false
	}
	return stored{m[1], m[2]}, true
}

// dir is where the files of a revision are, or would be.
func (m *Manager) dir(e *entry, s stored) string {
	return filepath.Join(m.config.Dir, e.name, s.String())
}

func (m *Manager) has(e *entry, s stored) bool {
	info, err := os.Lstat(m.dir(e, s))
	return err == nil && info.Mode().Type() == fs.ModeDir
}

// find returns a revision that is here. Without a digest it is the one that the source had last, as far as that is known.
func (m *Manager) find(e *entry, id, digest string) (stored, bool) {
	if !revisionRule.MatchString(id) {
		return stored{}, false
	}
	if digest == "" {
		digest = e.digestOf(id)
	}
	s, ok := parseStored(id + "." + digest)
	if ok {
		return s, m.has(e, s)
	}
	if digest != "" {
		return stored{}, false
	}
	left, err := m.stored(e)
	if err != nil {
		return stored{}, false
	}
	for _, r := range left {
		if r.id == id {
			return r.stored, true
		}
	}
	return stored{}, false
}

// fetch brings a revision here, unless it came from this source already. The directory appears with all its files, which
// are on the disk by then and which nobody changes after that. What the source tells of the revision is nil if it was here.
// Errors are those of the source.
func (m *Manager) fetch(ctx context.Context, source pluginapi.Source, e *entry, id string) (stored, *pluginapi.Revision, error) {
	if err := e.fetching.take(ctx); err != nil {
		return stored{}, nil, err
	}
	defer e.fetching.give()
	if digest := e.digestOf(id); digest != "" && m.has(e, stored{id, digest}) {
		m.touch(e, stored{id, digest})
		return stored{id, digest}, nil, nil
	}
	tmp, err := os.MkdirTemp(filepath.Join(m.config.Dir, e.name), fetchPrefix)
	if err != nil {
		return stored{}, nil, fmt.Errorf("create a directory for the revision: %w", err)
	}
	defer func() { _ = os.RemoveAll(tmp) }() // gone if all went well; else New tries again
	fetched, err := source.Fetch(ctx, &pluginapi.FetchRequest{Workspace: e.name, Settings: e.source.Settings, Revision: id, Dir: tmp})
	if err != nil {
		return stored{}, nil, err
	}
	if fetched.ID != id {
		return stored{}, nil, fmt.Errorf("the source fetched revision %q instead", fetched.ID)
	}
	if err := protect(tmp); err != nil {
		return stored{}, nil, fmt.Errorf("make the revision read-only: %w", err)
	}
	digest, err := archive.Digest(ctx, tmp)
	if err != nil {
		return stored{}, nil, fmt.Errorf("name the revision: %w", err)
	}
	s := stored{id, digest[:digestLength]}
	if err := m.keep(ctx, e, s, tmp); err != nil {
		return stored{}, nil, fmt.Errorf("put the revision in place: %w", err)
	}
	e.learn(s)
	return s, fetched, nil
}

// keep puts the directory of a revision in its place, unless it is there.
func (m *Manager) keep(ctx context.Context, e *entry, s stored, tmp string) error {
	if m.has(e, s) { // from an earlier process
		m.touch(e, s)
		return nil
	}
	if err := archive.Flush(ctx, tmp); err != nil {
		return err
	}
	now := time.Now()
	if err := os.Chtimes(tmp, now, now); err != nil { // see touch
		return err
	}
	return os.Rename(tmp, m.dir(e, s))
}

// touch notes that a revision is used now. Nobody looks at the time of its directory for anything else.
func (m *Manager) touch(e *entry, s stored) {
	now := time.Now()
	_ = os.Chtimes(m.dir(e, s), now, now) // it only goes earlier
}

// protect makes the files below dir read-only for everybody, and its directories fit to be removed.
func protect(dir string) error {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	defer func() { _ = root.Close() }() // nothing was written through it
	return fs.WalkDir(root.FS(), ".", func(name string, entry fs.DirEntry, err error) error {
		switch {
		case !utf8.ValidString(name):
			return fmt.Errorf("%q is a name that is not UTF-8", name)
		case err != nil:
			return err
		case entry.IsDir():
			return root.Chmod(name, 0o755)
		case !entry.Type().IsRegular():
			return nil
		}
		info, err := entry.Info()
		if err != nil {
			return err
		}
		mode := fs.FileMode(0o444)
		if info.Mode()&0o111 != 0 {
			mode = 0o555
		}
		return root.Chmod(name, mode)
	})
}

// obtain returns a revision that stays until it is released. One that is not here any more, or never was because another
// replica had it, is fetched from the source. Errors: not_found if the source has it no more, or has other files under its
// name; unavailable if the source cannot be asked.
func (m *Manager) obtain(ctx context.Context, e *entry, id, digest string) (s stored, release func(), err error) {
	if s, ok := m.find(e, id, digest); ok {
		if release, ok := m.hold(e, s); ok {
			return s, release, nil
		}
	}
	missing := func(reason string) error {
		return core.Errorf(core.CodeNotFound, "revision_gone", "Workspace '%s' has no revision %q%s", e.name, id, reason)
	}
	if !revisionRule.MatchString(id) {
		return stored{}, nil, missing("")
	}
	ctx, cancel := context.WithTimeout(ctx, refreshLimit)
	defer cancel()
	source, err := m.source(e)
	if err == nil {
		s, _, err = m.fetch(ctx, source, e, id)
	}
	switch {
	case pluginapi.CodeOf(err) == pluginapi.CodeNotFound:
		return stored{}, nil, missing(" any more: " + err.Error())
	case core.ErrorCode(err) == core.CodeInvalid:
		return stored{}, nil, err
	case err != nil:
		return stored{}, nil, core.Errorf(core.CodeUnavailable, "", "Workspace '%s' cannot fetch revision %s: %s", e.name, short(id), err)
	case digest != "" && s.digest != digest:
		return stored{}, nil, missing(" with the files that it had: its source has others under this name now")
	}
	m.config.Logger.InfoContext(ctx, "revision fetched again for a job", "workspace", e.name, "revision", short(id))
	release, ok := m.hold(e, s)
	if !ok {
		return stored{}, nil, errors.New("the revision is gone again")
	}
	return s, release, nil
}

// hold keeps a revision, if it is here, from being removed until it is released.
func (m *Manager) hold(e *entry, s stored) (release func(), ok bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if !m.has(e, s) {
		return nil, false
	}
	m.touch(e, s)
	e.held[s]++
	return func() {
		e.mu.Lock()
		defer e.mu.Unlock()
		if e.held[s]--; e.held[s] == 0 {
			delete(e.held, s)
		}
	}, true
}
