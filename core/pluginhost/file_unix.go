//go:build unix

package pluginhost

import (
	"fmt"
	"io/fs"
)

func executable(mode fs.FileMode) bool { return mode&0o111 != 0 }

// checkWritable refuses what anybody but the owner can change: whoever can, can run code as the host.
func checkWritable(path string, mode fs.FileMode) error {
	if mode.Perm()&0o022 != 0 {
		return fmt.Errorf("%s can be written by others than its owner (mode %#o); mend it with: chmod go-w %s",
			path, mode.Perm(), path)
	}
	return nil
}
