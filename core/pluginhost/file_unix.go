//go:build unix

package pluginhost

import (
	"fmt"
	"io/fs"
	"os"
	"syscall"
)

func executable(mode fs.FileMode) bool { return mode&0o111 != 0 }

// checkTrusted refuses what anybody but root and the host's user can change: whoever can, can run code as the host.
func checkTrusted(path string, info fs.FileInfo) error {
	if stat, ok := info.Sys().(*syscall.Stat_t); ok {
		if err := checkOwner(path, int(stat.Uid), os.Geteuid()); err != nil {
			return err
		}
	}
	if mode := info.Mode().Perm(); mode&0o022 != 0 {
		return fmt.Errorf("%s can be written by others than its owner (mode %#o); mend it with: chmod go-w %s", path, mode, path)
	}
	return nil
}

func checkOwner(path string, owner, user int) error {
	if owner != 0 && owner != user {
		return fmt.Errorf("%s belongs to user %d, who could replace it; mend it with: chown %d %s", path, owner, user, path)
	}
	return nil
}
