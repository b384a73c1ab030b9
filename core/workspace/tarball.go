package workspace

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"github.com/stroem/stroem/core/archive"
)

// Tarball returns the file with a revision's tarball, which is built once. Errors: not_found for a workspace or revision
// that is not here.
func (m *Manager) Tarball(ctx context.Context, name, revision string) (path string, err error) {
	dir, err := m.Dir(name, revision)
	if err != nil {
		return "", err
	}
	file := filepath.Join(m.config.Dir, name, tarballDir, revision+".tar.gz")
	if _, err := os.Stat(file); err == nil {
		return file, nil
	}
	e := m.all[name]
	if err := e.packing.take(ctx); err != nil {
		return "", err
	}
	defer e.packing.give()
	if _, err := os.Stat(file); err == nil { // built while this call waited
		return file, nil
	}
	err = place(file, packPrefix, func(f *os.File) error { return archive.Pack(ctx, f, dir) })
	if err != nil {
		return "", fmt.Errorf("pack revision %s of workspace %s: %w", revision, name, err)
	}
	return file, nil
}
