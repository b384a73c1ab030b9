package pluginhost

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
)

// check says whether the plugin may be started: the file is safe and is the one that was pinned. Unchanged compares with
// what it returns.
func (c *candidate) check(requirePinned bool) (fs.FileInfo, error) {
	want, err := parsePin(c.SHA256)
	if err != nil {
		return nil, fmt.Errorf("%s.sha256: %w", c.key(), err)
	}
	if want == nil && requirePinned {
		return nil, fmt.Errorf("it has no sha256, which plugins.require_pinned demands; set %s.sha256", c.key())
	}
	file, err := c.open()
	if err != nil {
		return nil, err
	}
	defer func() { _ = file.Close() }() // only read from
	info, err := file.Stat()
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", c.binary.path(), err)
	}
	if want == nil {
		return info, nil
	}
	hash := sha256.New()
	if _, err := io.Copy(hash, file); err != nil {
		return nil, fmt.Errorf("read %s: %w", c.binary.path(), err)
	}
	if got := hash.Sum(nil); subtle.ConstantTimeCompare(got, want) != 1 {
		return nil, fmt.Errorf("the checksum of %s is %x, but %s.sha256 says %x", c.binary.path(), got, c.key(), want)
	}
	return info, nil
}

// open opens the plugin's file; errors begin with the key that led there, if there is one.
func (c *candidate) open() (*os.File, error) {
	file, err := c.binary.open()
	switch {
	case err != nil && c.Path != "":
		return nil, fmt.Errorf("%s.path: %w", c.key(), err)
	case err != nil && c.configured:
		return nil, fmt.Errorf("%s: %w", c.key(), err)
	}
	return file, err
}

// unchanged says whether the file is still the one that was checked, now that it has been started. The program is started
// by its name, so that it finds what is beside it and a script knows its path; between the check and that, somebody
// who installs a new version may have put another file there. Nobody else can: the check has seen to that.
func (c *candidate) unchanged(checked fs.FileInfo) error {
	file, err := c.open()
	if err != nil {
		return err
	}
	defer func() { _ = file.Close() }() // only read from
	info, err := file.Stat()
	if err != nil {
		return fmt.Errorf("read %s: %w", c.binary.path(), err)
	}
	if !os.SameFile(checked, info) || checked.Size() != info.Size() || !checked.ModTime().Equal(info.ModTime()) {
		return fmt.Errorf("%s was replaced while it was started", c.binary.path())
	}
	return nil
}

// parsePin decodes a checksum; "" is nil.
func parsePin(text string) ([]byte, error) {
	if text == "" {
		return nil, nil
	}
	sum, err := hex.DecodeString(text)
	if err != nil || len(sum) != sha256.Size {
		return nil, errors.New("it has to be 64 hex digits, as printed by sha256sum")
	}
	return sum, nil
}
