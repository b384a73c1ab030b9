package workspace

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/stroem/stroem/core"
	"github.com/stroem/stroem/core/archive"
	"github.com/stroem/stroem/core/workflow"
)

// tarballSuffix cannot be part of a directory of a revision that is in use at the same time.
const tarballSuffix = ".tar.gz"

// Tarball returns the file with a revision's tarball, which is built once. Errors: not_found for a workspace or revision
// that is not here.
func (m *Manager) Tarball(ctx context.Context, name, revision string) (string, error) {
	e := m.all[name]
	if e == nil {
		return "", core.Errorf(core.CodeNotFound, "", "Workspace '%s' not found", name)
	}
	if !revisionRule.MatchString(revision) {
		return "", core.Errorf(core.CodeNotFound, "", "Workspace '%s' has no revision %q", name, revision)
	}
	dir := m.dir(name, revision)
	file := filepath.Join(m.config.Dir, name, ".tarballs", revision+tarballSuffix)
	e.pack.Lock()
	defer e.pack.Unlock()
	if _, err := os.Stat(file); err == nil {
		return file, nil
	}
	if info, err := os.Stat(dir); err != nil || !info.IsDir() {
		return "", core.Errorf(core.CodeNotFound, "", "Workspace '%s' has no revision %q", name, revision)
	}
	if err := pack(ctx, dir, file); err != nil {
		return "", fmt.Errorf("pack revision %s of workspace %s: %w", revision, name, err)
	}
	return file, nil
}

// pack writes the tarball beside its place and then puts it there.
func pack(ctx context.Context, dir, file string) (err error) {
	if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
		return err
	}
	tmp, err := os.CreateTemp(filepath.Dir(file), ".pack-")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.Remove(tmp.Name()))
		}
	}()
	err = errors.Join(archive.Pack(ctx, io.Writer(tmp), dir), tmp.Close())
	if err != nil {
		return err
	}
	return os.Rename(tmp.Name(), file)
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
