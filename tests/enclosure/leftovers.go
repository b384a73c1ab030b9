//go:build linux

package enclosure

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"
)

const (
	lockFile = "lock"
	logDir   = "log"
)

func prefix(name string) string { return "stroem-" + name + "-" }

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
			_ = clearAway(dir)
		}
		_ = lock.Close()
	}
}

// clearAway removes what is left of an enclosure whose processes are gone: mounts, cgroups, network interface, directory. Some
// of it is busy for a moment after the processes have gone.
func clearAway(dir string) error {
	deadline := time.Now().Add(10 * time.Second)
	for {
		err := errors.Join(unmount(dir), removeCgroups(filepath.Base(dir)), recordedLink(dir).remove())
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
