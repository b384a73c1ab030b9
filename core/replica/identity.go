package replica

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/google/uuid"
)

// idFile is what the id of a replica is called in its data directory; lockFile is what is locked there.
const (
	idFile   = "replica-id"
	lockFile = "replica.lock"
)

// Identity is that of the replica whose data are in a directory.
type Identity struct {
	ID     uuid.UUID
	unlock func()
}

// Take reads the identity that is kept in a directory, and makes it the first time. It is ours until Release, or the end of the
// process: that another process uses the directory is an error.
func Take(dir string) (*Identity, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("make the data directory: %w", err)
	}
	unlock, err := lock(filepath.Join(dir, lockFile))
	if errors.Is(err, errLocked) {
		return nil, fmt.Errorf("another server uses the data directory %s: each replica needs one of its own", dir)
	}
	if err != nil {
		return nil, fmt.Errorf("lock the data directory: %w", err)
	}
	id, err := read(dir)
	if errors.Is(err, fs.ErrNotExist) {
		id, err = write(dir)
	}
	if err != nil {
		unlock()
		return nil, err
	}
	return &Identity{ID: id, unlock: unlock}, nil
}

// Release lets another process use the directory.
func (i *Identity) Release() { i.unlock() }

func read(dir string) (uuid.UUID, error) {
	name := filepath.Join(dir, idFile)
	text, err := os.ReadFile(name) //nolint:gosec // the operator names the directory
	if err != nil {
		return uuid.Nil, fmt.Errorf("read the replica's id: %w", err)
	}
	id, err := uuid.Parse(strings.TrimSpace(string(text)))
	if err != nil {
		return uuid.Nil, fmt.Errorf("%s is not the id of a replica: if it was damaged, remove it; logs that are kept here then count as gone: %w", name, err)
	}
	return id, nil
}

// write makes an id. The file is there with all of its content, or not at all.
func write(dir string) (uuid.UUID, error) {
	id := uuid.New()
	draft, err := os.CreateTemp(dir, ".replica-*") // 0600
	if err != nil {
		return uuid.Nil, fmt.Errorf("make a file for the replica's id: %w", err)
	}
	_, err = draft.WriteString(id.String() + "\n")
	if err == nil {
		err = draft.Sync()
	}
	if err = errors.Join(err, draft.Close()); err == nil {
		err = os.Rename(draft.Name(), filepath.Join(dir, idFile))
	}
	if err != nil {
		return uuid.Nil, fmt.Errorf("write the replica's id: %w", errors.Join(err, os.Remove(draft.Name())))
	}
	return id, nil
}
