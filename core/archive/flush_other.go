//go:build !linux

package archive

import "errors"

func flushFileSystem(string) error { return errors.ErrUnsupported }
