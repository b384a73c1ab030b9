//go:build !unix

package replica

import (
	"errors"
	"os"
)

var errLocked = errors.New("locked by another process")

// lock makes the file: there are no such locks here.
func lock(name string) (unlock func(), err error) {
	file, err := os.OpenFile(name, os.O_CREATE|os.O_RDWR, 0o600) //nolint:gosec // the operator names the directory
	if err != nil {
		return nil, err
	}
	return func() { _ = file.Close() }, nil
}
