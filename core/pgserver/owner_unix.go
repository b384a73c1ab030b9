//go:build unix

package pgserver

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"syscall"
)

// owner is the user that the server runs as: ourselves, or an unprivileged one if we are root, because PostgreSQL
// refuses to run as root.
type owner struct{ credential *syscall.Credential }

func ownerFor(dir string) (owner, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return owner{}, fmt.Errorf("create the database's directory: %w", err)
	}
	if os.Getuid() != 0 {
		return owner{}, nil
	}
	for _, name := range []string{"postgres", "nobody"} {
		u, err := user.Lookup(name)
		if err != nil {
			continue
		}
		uid, err := strconv.ParseUint(u.Uid, 10, 32)
		if err != nil {
			return owner{}, fmt.Errorf("read the id of user %s: %w", name, err)
		}
		gid, err := strconv.ParseUint(u.Gid, 10, 32)
		if err != nil {
			return owner{}, fmt.Errorf("read the group of user %s: %w", name, err)
		}
		o := owner{credential: &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}}
		if err := o.own(dir); err != nil {
			return owner{}, err
		}
		return o, nil
	}
	return owner{}, errors.New("PostgreSQL does not run as root, and there is no user postgres or nobody: create one, or run as another user")
}

// own gives dir to the owner and checks that every directory above lets it through.
func (o owner) own(dir string) error {
	if err := os.Chown(dir, int(o.credential.Uid), int(o.credential.Gid)); err != nil {
		return fmt.Errorf("hand the database's directory to its user: %w", err)
	}
	for parent := filepath.Dir(dir); ; parent = filepath.Dir(parent) {
		info, err := os.Stat(parent)
		if err != nil {
			return fmt.Errorf("look at %s: %w", parent, err)
		}
		if info.Mode().Perm()&0o001 == 0 {
			return fmt.Errorf("the database cannot live in %s: its unprivileged user may not enter %s; choose another directory, or run `chmod o+x %s`",
				dir, parent, parent)
		}
		if parent == filepath.Dir(parent) {
			return nil
		}
	}
}

// ownAll gives everything in dir to the owner.
func (o owner) ownAll(dir string) error {
	if o.credential == nil {
		return nil
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	defer func() { _ = root.Close() }() // nothing was written through it
	return fs.WalkDir(root.FS(), ".", func(name string, _ fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		return root.Lchown(name, int(o.credential.Uid), int(o.credential.Gid))
	})
}

func (o owner) apply(cmd *exec.Cmd) {
	cmd.SysProcAttr = processAttributes()
	cmd.SysProcAttr.Credential = o.credential
}

func (o owner) writeFile(path, content string) error {
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		return fmt.Errorf("store the database's password: %w", err)
	}
	if o.credential == nil {
		return nil
	}
	if err := os.Chown(path, int(o.credential.Uid), int(o.credential.Gid)); err != nil {
		return fmt.Errorf("store the database's password: %w", err)
	}
	return nil
}
