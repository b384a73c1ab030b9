//go:build linux

package enclosure

import (
	"bufio"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

const (
	lockFile = "lock"
	linkFile = "link"
	logDir   = "log"
)

func prefix(name string) string { return "stroem-" + name + "-" }

// linkName is short: the kernel takes 15 bytes.
func linkName(dir string, number int) string {
	name := strings.TrimPrefix(filepath.Base(dir), "stroem-")
	name, _, _ = strings.Cut(name, "-")
	return "stroem-" + name[:min(6, len(name))] + strconv.Itoa(number)
}

// makeDir makes the directory of an enclosure, and holds its lock. It gets its name once it is locked, so that it is not
// taken for one that was left.
func makeDir(name string) (dir string, lock *os.File, err error) {
	unnamed, err := os.MkdirTemp("", ".stroem-new-")
	if err != nil {
		return "", nil, fmt.Errorf("make a directory: %w", err)
	}
	lock, err = os.OpenFile(filepath.Join(unnamed, lockFile), os.O_CREATE|os.O_RDWR, 0o600)
	if err == nil {
		err = syscall.Flock(int(lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	}
	_, unique, _ := strings.Cut(filepath.Base(unnamed), "new-")
	dir = filepath.Join(filepath.Dir(unnamed), prefix(name)+unique)
	if err == nil {
		err = os.Rename(unnamed, dir)
	}
	if err != nil {
		_ = os.RemoveAll(unnamed)
		return "", nil, fmt.Errorf("lock the directory: %w", err)
	}
	return dir, lock, nil
}

// removeLeftovers clears away after enclosures that were killed, as far as that can be done.
func removeLeftovers(name string) {
	dirs, _ := filepath.Glob(filepath.Join(os.TempDir(), prefix(name)+"*"))
	for _, dir := range dirs {
		lock, err := os.OpenFile(filepath.Join(dir, lockFile), os.O_RDWR, 0)
		if err != nil {
			continue
		}
		if syscall.Flock(int(lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB) == nil {
			_ = clear(dir)
		}
		_ = lock.Close()
	}
}

// clear removes what is left of an enclosure whose processes are gone: mounts, cgroups, network interface, directory. Some
// of it is busy for a moment after the processes have gone.
func clear(dir string) error {
	deadline := time.Now().Add(10 * time.Second)
	for {
		err := errors.Join(unmount(dir), removeCgroups(filepath.Base(dir)), removeLink(dir))
		if err == nil {
			err = os.RemoveAll(dir)
		}
		if err == nil || time.Now().After(deadline) {
			return err
		}
		<-time.After(20 * time.Millisecond)
	}
}

// unmount takes away all mounts below dir that this process sees.
func unmount(dir string) error {
	mounts, err := os.Open("/proc/self/mountinfo")
	if err != nil {
		return err
	}
	defer func() { _ = mounts.Close() }()
	var points []string
	lines := bufio.NewScanner(mounts)
	for lines.Scan() {
		if fields := strings.Fields(lines.Text()); len(fields) > 4 && strings.HasPrefix(fields[4], dir+"/") {
			points = append(points, fields[4])
		}
	}
	for _, point := range slices.Backward(points) {
		if err := syscall.Unmount(point, syscall.MNT_DETACH); err != nil && !errors.Is(err, syscall.EINVAL) {
			return fmt.Errorf("unmount %s: %w", point, err)
		}
	}
	return lines.Err()
}

// cgroups are the directories of an enclosure's cgroup, one in each hierarchy.
func cgroups(name string) []string {
	var found []string
	for _, pattern := range []string{"/sys/fs/cgroup/", "/sys/fs/cgroup/*/"} {
		dirs, _ := filepath.Glob(pattern + name)
		found = append(found, dirs...)
	}
	return found
}

func removeCgroups(name string) error {
	for _, top := range cgroups(name) {
		var dirs []string
		_ = filepath.WalkDir(top, func(path string, entry fs.DirEntry, err error) error {
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

func removeLink(dir string) error {
	name, err := os.ReadFile(filepath.Join(dir, linkFile))
	if err != nil {
		return nil //nolint:nilerr // it has none
	}
	if _, err := net.InterfaceByName(string(name)); err != nil {
		return nil //nolint:nilerr // it is gone
	}
	if out, err := exec.Command("ip", "link", "delete", string(name)).CombinedOutput(); err != nil { //nolint:noctx // no context is left
		return fmt.Errorf("remove the interface %s: %w: %s", name, err, out)
	}
	return nil
}
