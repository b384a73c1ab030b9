package credentials

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"
)

// Names of what is in a store's directory.
const (
	fileName = "credentials.json"
	newName  = fileName + ".new"
	lockName = "credentials.lock"
)

// format is that of the file.
const format = 1

// Session is what a user who has signed in goes on with.
type Session struct {
	Email        string    `json:"email"`
	RefreshToken string    `json:"refresh_token"`
	AccessToken  string    `json:"access_token"`
	ExpiresAt    time.Time `json:"expires_at"` // of the access token
}

type file struct {
	Format   int                `json:"format"`
	Sessions map[string]Session `json:"sessions"` // by address
}

// Store is a directory with sessions. It is safe for concurrent use, in several processes, too.
type Store struct{ dir string }

// In returns the store in a directory, which is made when something is stored.
func In(dir string) *Store { return &Store{dir} }

// Session returns the session at a server, by its address, and whether there is one.
func (s *Store) Session(server string) (Session, bool, error) {
	sessions, err := s.read()
	session, ok := sessions[server]
	return session, ok, err
}

// Put stores the session at a server and returns the one that was there before, if any.
func (s *Store) Put(ctx context.Context, server string, session Session) (before Session, err error) {
	err = s.change(ctx, func(sessions map[string]Session) (bool, error) {
		before, sessions[server] = sessions[server], session
		return true, nil
	})
	return before, err
}

// Remove forgets the session at a server, and returns it and whether there was one.
func (s *Store) Remove(ctx context.Context, server string) (before Session, ok bool, err error) {
	if _, ok, err := s.Session(server); err != nil || !ok { // nothing is made where nothing is
		return Session{}, false, err
	}
	err = s.change(ctx, func(sessions map[string]Session) (bool, error) {
		before, ok = sessions[server]
		delete(sessions, server)
		return ok, nil
	})
	return before, ok, err
}

// change calls do with all sessions while no other process changes them, and writes them again if do says so, which it may
// together with an error.
func (s *Store) change(ctx context.Context, do func(map[string]Session) (write bool, err error)) error {
	if err := os.MkdirAll(s.dir, 0o700); err != nil {
		return fmt.Errorf("make the directory of credentials: %w", err)
	}
	unlock, err := s.lock(ctx)
	if err != nil {
		return err
	}
	defer unlock()
	sessions, err := s.read()
	if err != nil {
		return err
	}
	write, err := do(sessions)
	if write {
		err = errors.Join(err, s.write(sessions))
	}
	return err
}

// read returns all sessions. A file that others may read is refused: whoever has may be signed in with them already.
func (s *Store) read() (map[string]Session, error) {
	path := filepath.Join(s.dir, fileName)
	opened, err := os.Open(path) //nolint:gosec // the user's own
	if errors.Is(err, fs.ErrNotExist) {
		return map[string]Session{}, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read the stored session: %w", err)
	}
	defer func() { _ = opened.Close() }() // only read from
	info, err := opened.Stat()
	if err != nil {
		return nil, fmt.Errorf("read the stored session: %w", err)
	}
	if err := checkPrivate(path, info); err != nil {
		return nil, err
	}
	data, err := io.ReadAll(opened)
	if err != nil {
		return nil, fmt.Errorf("read the stored session: %w", err)
	}
	var f file
	if err := json.Unmarshal(data, &f); err != nil {
		return nil, fmt.Errorf("%s is damaged: remove it, and sign in again: %w", path, err)
	}
	if f.Format != format {
		return nil, fmt.Errorf("%s was written by another version of stroem: remove it, and sign in again", path)
	}
	if f.Sessions == nil {
		f.Sessions = map[string]Session{}
	}
	return f.Sessions, nil
}

// write replaces the file. Whoever reads it, and whatever crashes, there is the old one or the new one.
func (s *Store) write(sessions map[string]Session) (err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("store the session: %w", err)
		}
	}()
	data, err := json.MarshalIndent(file{format, sessions}, "", "  ")
	if err != nil {
		return err
	}
	path := filepath.Join(s.dir, newName)
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) { // of a process that was killed
		return err
	}
	created, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600) //nolint:gosec // the user's own
	if err != nil {
		return err
	}
	_, err = created.Write(append(data, '\n'))
	if err = errors.Join(err, created.Sync(), created.Close()); err == nil {
		err = os.Rename(path, filepath.Join(s.dir, fileName))
	}
	if err != nil {
		return errors.Join(err, os.Remove(path))
	}
	return nil
}
