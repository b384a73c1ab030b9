package pluginhost

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
)

// check says whether the plugin may be started: the file is safe and is the one that was pinned.
func (c *candidate) check(requirePinned bool) error {
	want, err := parsePin(c.SHA256)
	if err != nil {
		return err
	}
	if want == nil && requirePinned {
		return fmt.Errorf("it has no sha256, which plugins.require_pinned demands; set plugins.%s.sha256", c.file)
	}
	file, err := c.binary.open()
	if err != nil {
		return err
	}
	defer func() { _ = file.Close() }() // only read from
	if want == nil {
		return nil
	}
	hash := sha256.New()
	if _, err := io.Copy(hash, file); err != nil {
		return fmt.Errorf("read %s: %w", c.binary.path(), err)
	}
	if got := hash.Sum(nil); subtle.ConstantTimeCompare(got, want) != 1 {
		return fmt.Errorf("the checksum of %s is %x, but plugins.%s.sha256 says %x", c.binary.path(), got, c.file, want)
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
		return nil, errors.New("sha256 has to be 64 hex digits, as printed by sha256sum")
	}
	return sum, nil
}
