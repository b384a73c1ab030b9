package workspace

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/stroem/stroem/core"
	"github.com/stroem/stroem/core/workflow"
	"github.com/stroem/stroem/pluginapi"
)

// races is how often a source may change between two calls before it is left for later.
const races = 3

// update brings the newest revision of a workspace into use.
func (m *Manager) update(ctx context.Context, e *entry, force bool) error {
	source, ok := m.config.Sources.Source(e.source.Type)
	if !ok {
		return core.Errorf(core.CodeUnavailable, "", "the source plugin source-%s is not available", e.source.Type)
	}
	for try := 1; ; try++ {
		revision, err := source.Resolve(ctx, &pluginapi.ResolveRequest{Workspace: e.name, Settings: e.source.Settings})
		if err != nil {
			return &core.Error{Code: core.CodeUnavailable, Message: "cannot ask for the current revision", Err: err}
		}
		if !revisionRule.MatchString(revision.ID) {
			return core.Errorf(core.CodeUnavailable, "", "the source names the revision %q, which is no revision", revision.ID)
		}
		if known, err := e.known(revision.ID, force); known {
			return err
		}
		err = m.fetch(ctx, source, e, revision.ID)
		if pluginapi.CodeOf(err) == pluginapi.CodeNotFound && try < races {
			continue // it changed in the meantime
		}
		if err != nil {
			return &core.Error{Code: core.CodeUnavailable, Message: "cannot fetch revision " + short(revision.ID), Err: err}
		}
		return m.load(ctx, e, *revision)
	}
}

// fetch fills the directory of a revision, unless it is there already. The directory appears with all its files, which
// nobody changes after that.
func (m *Manager) fetch(ctx context.Context, source pluginapi.Source, e *entry, id string) error {
	dir := m.dir(e.name, id)
	if _, err := os.Lstat(dir); err == nil {
		return nil // from an earlier process
	}
	tmp, err := os.MkdirTemp(filepath.Dir(dir), fetchPrefix)
	if err != nil {
		return fmt.Errorf("create a directory for the revision: %w", err)
	}
	defer func() { _ = os.RemoveAll(tmp) }() // gone if all went well; else New tries again
	fetched, err := source.Fetch(ctx, &pluginapi.FetchRequest{Workspace: e.name, Settings: e.source.Settings, Revision: id, Dir: tmp})
	if err != nil {
		return err
	}
	if fetched.ID != id {
		return fmt.Errorf("the source fetched revision %q instead", fetched.ID)
	}
	if err := protect(tmp); err != nil {
		return fmt.Errorf("make the revision read-only: %w", err)
	}
	if err := os.Rename(tmp, dir); err != nil {
		return fmt.Errorf("put the revision in place: %w", err)
	}
	return nil
}

// protect makes the files below dir read-only for everybody. Directories stay as they are, so that they can be removed.
func protect(dir string) error {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	defer func() { _ = root.Close() }() // nothing was written through it
	if err := root.Chmod(".", 0o755); err != nil {
		return err
	}
	return fs.WalkDir(root.FS(), ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || !entry.Type().IsRegular() {
			return err
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

// load validates a revision and makes it the current one if it is good.
func (m *Manager) load(ctx context.Context, e *entry, revision pluginapi.Revision) error {
	content, diagnostics := m.read(e, revision.ID)
	if content == nil || diagnostics.Err() != nil {
		err := core.Errorf(core.CodeInvalid, "", "revision %s has errors: %s", short(revision.ID), firstLine(diagnostics))
		e.reject(revision.ID, err, diagnostics)
		return err
	}
	changed := e.use(revision, content, Status{Diagnostics: diagnostics})
	if !changed {
		return nil
	}
	if err := m.remember(e, revision); err != nil {
		m.config.Logger.WarnContext(ctx, "a restart will not know the workspace's revision", "workspace", e.name, "error", err)
	}
	m.config.Logger.InfoContext(ctx, "workspace loaded", "workspace", e.name, "revision", short(revision.ID),
		"tasks", len(content.Tasks), "warnings", len(diagnostics))
	m.announce()
	return nil
}

func short(revision string) string { return revision[:min(len(revision), 12)] }

func firstLine(diagnostics workflow.Diagnostics) string {
	bad := diagnostics.Errors()
	switch len(bad) {
	case 0:
		return "it has no content"
	case 1:
		return bad[0].String()
	default:
		return fmt.Sprintf("%s (and %d more)", bad[0].String(), len(bad)-1)
	}
}

const (
	fetchPrefix  = ".fetch-"
	packPrefix   = ".pack-"
	tarballDir   = ".tarballs"
	currentFile  = ".current.json"
	currentDraft = ".current-"
)

// tidy makes the directories of a workspace and removes what a crash left half done.
func (m *Manager) tidy(e *entry) error {
	dir := filepath.Join(m.config.Dir, e.name)
	if err := os.MkdirAll(filepath.Join(dir, tarballDir), 0o700); err != nil {
		return err
	}
	var errs []error
	for _, pattern := range []string{fetchPrefix + "*", filepath.Join(tarballDir, packPrefix+"*"), currentDraft + "*"} {
		left, err := fs.Glob(os.DirFS(dir), filepath.ToSlash(pattern))
		errs = append(errs, err)
		for _, name := range left {
			errs = append(errs, os.RemoveAll(filepath.Join(dir, filepath.FromSlash(name))))
		}
	}
	return errors.Join(errs...)
}
