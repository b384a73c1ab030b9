package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/filemode"
	"github.com/go-git/go-git/v5/plumbing/object"
	"github.com/go-git/go-git/v5/storage/filesystem"
)

// Modes of what is written: fit for everybody, because steps may run as other users.
const (
	modeDir        = 0o755
	modeFile       = 0o644
	modeExecutable = 0o755
)

// checkout writes the files of a commit. Trees are made by whoever may push: no name is trusted, and limits hold.
type checkout struct {
	config
	objects *filesystem.Storage
	dir     *os.Root

	files int
	bytes int64
}

// tree writes what is in a tree, and in those below it.
func (c *checkout) tree(ctx context.Context, id plumbing.Hash, at string) error {
	tree, err := object.GetTree(c.objects, id)
	if err != nil {
		return fmt.Errorf("read the directory %q: %w", at, err)
	}
	for _, entry := range tree.Entries {
		if err := ctx.Err(); err != nil {
			return err
		}
		if c.files++; c.files > c.MaxFiles {
			return tooLarge("the revision has more than %d files (max_files)", c.MaxFiles)
		}
		name := path.Join(at, entry.Name)
		if err := checkName(entry.Name, name); err != nil {
			return err
		}
		err := c.entry(ctx, entry, name)
		if errors.Is(err, fs.ErrExist) {
			return invalid("%q is in the revision twice", name)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (c *checkout) entry(ctx context.Context, entry object.TreeEntry, name string) error {
	local := filepath.FromSlash(name)
	switch entry.Mode {
	case filemode.Dir:
		if err := c.mkdir(local); err != nil {
			return err
		}
		return c.tree(ctx, entry.Hash, name)
	case filemode.Submodule: // an empty directory, as git makes it when submodules are not asked for
		return c.mkdir(local)
	case filemode.Regular:
		return c.file(ctx, entry.Hash, local, modeFile)
	case filemode.Executable:
		return c.file(ctx, entry.Hash, local, modeExecutable)
	case filemode.Symlink:
		return c.link(ctx, entry.Hash, name)
	default:
		return invalid("%q is neither file, directory nor link", name)
	}
}

func (c *checkout) mkdir(name string) error {
	if err := c.dir.Mkdir(name, modeDir); err != nil {
		return err
	}
	return c.dir.Chmod(name, modeDir) // whatever the umask
}

func (c *checkout) file(ctx context.Context, id plumbing.Hash, name string, mode fs.FileMode) (err error) {
	content, err := c.blob(id, name)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, content.Close()) }()
	f, err := c.dir.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
	if err != nil {
		return err
	}
	_, err = io.Copy(f, &interruptible{ctx, content})
	if err = errors.Join(err, f.Chmod(mode), f.Close()); err != nil {
		return fmt.Errorf("write %q: %w", name, err)
	}
	return nil
}

// blob opens the content of a file if it keeps the limits. The caller closes it.
func (c *checkout) blob(id plumbing.Hash, name string) (io.ReadCloser, error) {
	blob, err := object.GetBlob(c.objects, id)
	if err != nil {
		return nil, fmt.Errorf("read %q: %w", name, err)
	}
	if c.bytes += blob.Size; blob.Size < 0 || c.bytes > c.MaxBytes {
		return nil, tooLarge("the files of the revision have more than %d bytes (max_bytes)", c.MaxBytes)
	}
	content, err := blob.Reader()
	if err != nil {
		return nil, fmt.Errorf("read %q: %w", name, err)
	}
	return content, nil
}

func (c *checkout) link(ctx context.Context, id plumbing.Hash, name string) (err error) {
	content, err := c.blob(id, name)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, content.Close()) }()
	target, err := io.ReadAll(io.LimitReader(&interruptible{ctx, content}, maxPath+1))
	if err != nil {
		return fmt.Errorf("read %q: %w", name, err)
	}
	if len(target) > maxPath || !linkStaysInside(name, string(target)) {
		return invalid("the link %q leads to %.200q; links have to be relative, to climb before they descend, and to stay in the repository",
			name, target)
	}
	return c.dir.Symlink(filepath.FromSlash(string(target)), filepath.FromSlash(name))
}
