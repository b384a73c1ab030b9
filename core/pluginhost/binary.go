package pluginhost

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// maxLinks is how many links may lead from a plugin's name to its file: runner-x, runner-x-2, runner-x-2.1.
const maxLinks = 8

// binary is an executable by its directory and the name in it.
type binary struct{ dir, name string }

func (b binary) path() string { return filepath.Join(b.dir, b.name) }

// open returns the file if it may be run: it is an executable, and nobody but root and the host's own user can replace or
// change it. That takes the file and the directory in which it is: whoever may write to the directory may put another
// file under the name. So a link may only lead to a file beside it. The directory itself may be reached through links.
//
// The directories above are not judged. They often belong to a group of one user or to nobody in particular (a checkout, a
// container's volume), and who may rename them is for the operator to know.
func (b binary) open() (*os.File, error) {
	root, err := b.openDir()
	if err != nil {
		return nil, err
	}
	defer func() { _ = root.Close() }() // only read from
	if err := b.judgeDir(root); err != nil {
		return nil, err
	}
	return b.openFile(root)
}

// Refusals says why no host would start the file at an absolute path, nothing if one would. What the configuration adds, such
// as a checksum, is no part of that, and neither is how the file is called.
func Refusals(path string) []error {
	b := binary{dir: filepath.Dir(path), name: filepath.Base(path)}
	root, err := b.openDir()
	if err != nil {
		return []error{err}
	}
	defer func() { _ = root.Close() }() // only read from
	var reasons []error
	if err := b.judgeDir(root); err != nil {
		reasons = append(reasons, err)
	}
	file, err := b.openFile(root)
	if err != nil {
		return append(reasons, err)
	}
	_ = file.Close() // only read from
	return reasons
}

func (b binary) openDir() (*os.Root, error) {
	if !filepath.IsAbs(b.dir) {
		return nil, fmt.Errorf("the path %s is not absolute", b.path())
	}
	root, err := os.OpenRoot(b.dir)
	if err != nil {
		return nil, fmt.Errorf("open plugin directory: %w", err)
	}
	return root, nil
}

func (b binary) judgeDir(root *os.Root) error {
	dir, err := root.Stat(".")
	if err != nil {
		return fmt.Errorf("read plugin directory %s: %w", b.dir, err)
	}
	return checkTrusted(b.dir, dir)
}

func (b binary) openFile(root *os.Root) (*os.File, error) {
	name, err := b.follow(root)
	if err != nil {
		return nil, err
	}
	file, err := root.Open(name)
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", b.path(), err)
	}
	if info, err := file.Stat(); err != nil {
		return nil, errors.Join(fmt.Errorf("read %s: %w", b.path(), err), file.Close())
	} else if err := b.judge(info); err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return file, nil
}

// follow returns the name of the file to which links in the directory lead. It is a regular file, so that opening it does
// not wait for anybody.
func (b binary) follow(root *os.Root) (string, error) {
	name := b.name
	for range maxLinks {
		info, err := root.Lstat(name)
		if errors.Is(err, fs.ErrNotExist) {
			return "", fmt.Errorf("there is no file %s", filepath.Join(b.dir, name))
		}
		if err != nil {
			return "", fmt.Errorf("find %s: %w", b.path(), err)
		}
		if info.Mode()&fs.ModeSymlink == 0 {
			return name, b.judge(info)
		}
		target, err := root.Readlink(name)
		if err != nil {
			return "", fmt.Errorf("read link %s: %w", b.path(), err)
		}
		if target != filepath.Base(target) || target == ".." {
			return "", fmt.Errorf("%s is a link to %s: a link must not leave its directory; set the plugin's path instead", b.path(), target)
		}
		name = target
	}
	return "", fmt.Errorf("%s leads through more than %d links", b.path(), maxLinks)
}

func (b binary) judge(info fs.FileInfo) error {
	if !info.Mode().IsRegular() || !executable(info.Mode()) {
		return fmt.Errorf("%s is not an executable file (mode %v)", b.path(), info.Mode())
	}
	return checkTrusted(b.path(), info)
}
