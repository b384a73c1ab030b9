//go:build linux

package enclosure

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"syscall"
)

// hierarchies are the roots of the machine's cgroups: one for each controller, or one for all.
func hierarchies() []string {
	if _, err := os.Stat("/sys/fs/cgroup/cgroup.controllers"); err == nil {
		return []string{"/sys/fs/cgroup"}
	}
	dirs, _ := filepath.Glob("/sys/fs/cgroup/*/cgroup.procs")
	for i, file := range dirs {
		dirs[i] = filepath.Dir(file)
	}
	return dirs
}

// MakeCgroup makes the cgroup of an enclosure before its daemons do, where they want it to be there.
func MakeCgroup(name string) error {
	for _, root := range hierarchies() {
		if err := os.Mkdir(filepath.Join(root, name), 0o755); err != nil {
			return fmt.Errorf("make a cgroup: %w", err)
		}
	}
	return nil
}

func removeCgroups(name string) error {
	for _, root := range hierarchies() {
		var dirs []string
		_ = filepath.WalkDir(filepath.Join(root, name), func(path string, entry fs.DirEntry, err error) error {
			if err == nil && entry.IsDir() {
				dirs = append(dirs, path)
			}
			return nil
		})
		for _, dir := range slices.Backward(dirs) {
			if err := syscall.Rmdir(dir); err != nil && !errors.Is(err, fs.ErrNotExist) {
				return fmt.Errorf("remove the cgroup %s: %w", dir, err)
			}
		}
	}
	return nil
}
