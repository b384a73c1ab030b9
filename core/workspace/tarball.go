package workspace

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"github.com/stroem/stroem/core/archive"
)

// Tarball opens the tarball of a revision, which is built once; the caller closes it. digest is that of the revision's
// files ([core.Workspace].Digest); without it they are those that the source had last. A revision that is not here is
// fetched from the source. Errors: not_found for a workspace that there is not, and for a revision that neither is here
// nor can be had from the source any more; unavailable if the source cannot be asked.
func (m *Manager) Tarball(ctx context.Context, name, revision, digest string) (*os.File, error) {
	e, err := m.entry(name)
	if err != nil {
		return nil, err
	}
	s, release, err := m.obtain(ctx, e, revision, digest)
	if err != nil {
		return nil, err
	}
	defer release()
	path := m.tarball(e, s)
	if file, err := os.Open(path); err == nil { //nolint:gosec // both names have been checked
		return file, nil
	}
	if err := e.packing.take(ctx); err != nil {
		return nil, err
	}
	defer e.packing.give()
	if file, err := os.Open(path); err == nil { //nolint:gosec // built while this call waited
		return file, nil
	}
	err = place(path, packPrefix, func(f *os.File) error { return archive.Pack(ctx, f, m.dir(e, s)) })
	if err != nil {
		return nil, fmt.Errorf("pack revision %s of workspace %s: %w", revision, name, err)
	}
	return os.Open(path) //nolint:gosec // both names have been checked
}

// tarball is where the tarball of a revision is, or would be.
func (m *Manager) tarball(e *entry, s stored) string {
	return filepath.Join(m.config.Dir, e.name, tarballDir, s.String()+tarballExt)
}
