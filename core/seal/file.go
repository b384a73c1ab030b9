package seal

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
)

// FileName is how the key is called in a data directory.
const FileName = "secrets.key"

// ReadFile reads the key that is kept in a directory; the error is fs.ErrNotExist if there is none. A file that others
// may read is refused.
func ReadFile(dir string, older ...*Key) (*Key, error) {
	name := filepath.Join(dir, FileName)
	info, err := os.Stat(name)
	if err != nil {
		return nil, fmt.Errorf("look for the key: %w", err)
	}
	if runtime.GOOS != "windows" && info.Mode().Perm()&0o077 != 0 {
		return nil, fmt.Errorf("others may read the key in %s: chmod 600 %s", name, name)
	}
	content, err := os.ReadFile(name) //nolint:gosec // the operator names the directory
	if err != nil {
		return nil, fmt.Errorf("read the key: %w", err)
	}
	key, err := ParseKey(string(content), older...)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return key, nil
}

// WriteFile makes a key and keeps it in a directory. The file is there at once with all of its content, or not at all;
// if somebody else has made one meanwhile, that one is returned.
func WriteFile(dir string, older ...*Key) (*Key, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("make the directory of the key: %w", err)
	}
	draft, err := os.CreateTemp(dir, ".secrets-*") // 0600
	if err != nil {
		return nil, fmt.Errorf("make a file for the key: %w", err)
	}
	_, err = draft.WriteString(Generate().encode() + "\n")
	if err == nil {
		err = draft.Sync() // or a power failure leaves values that nobody can open
	}
	err = errors.Join(err, draft.Close())
	if err == nil {
		err = os.Link(draft.Name(), filepath.Join(dir, FileName)) // unlike a rename, it never replaces a key
	}
	if errors.Is(err, fs.ErrExist) {
		err = nil
	}
	if err = errors.Join(err, os.Remove(draft.Name())); err != nil {
		return nil, fmt.Errorf("write the key: %w", err)
	}
	return ReadFile(dir, older...)
}
