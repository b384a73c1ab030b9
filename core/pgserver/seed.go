package pgserver

import (
	"archive/tar"
	"bufio"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"
)

// seed is the path of an archive of what initdb makes, which takes far longer than to unpack it. "" is none. It is one
// file, so that it is there whole or not at all.
type seed string

const (
	seedPrefix = "postgres-"
	seedSuffix = ".tar"
	// seedLayout is part of the name: another one is for when what is in a seed changes.
	seedLayout = "1"
	// seedAge is after how long without use a seed is removed: another PostgreSQL has taken its place.
	seedAge = 30 * 24 * time.Hour
)

// seedFor is the seed for the PostgreSQL in bin. It is for temporary servers: their password is that of the seed.
func seedFor(opts Options, bin string) seed {
	info, err := os.Stat(filepath.Join(bin, "postgres"))
	if err != nil || !opts.Temporary || opts.Cache == opts.Dir {
		return ""
	}
	sum := sha256.Sum256(fmt.Appendf(nil, "%s %s %d %d", seedLayout, bin, info.Size(), info.ModTime().UnixNano()))
	return seed(filepath.Join(opts.Cache, seedPrefix+hex.EncodeToString(sum[:8])+seedSuffix))
}

// unpack fills dir, gives it to owner, and returns the database's password. If it cannot, dir is as empty as it was.
func (s seed) unpack(dir string, owner owner) (password string, ok bool) {
	if s == "" {
		return "", false
	}
	file, err := os.Open(string(s))
	if err != nil {
		return "", false
	}
	defer func() { _ = file.Close() }() // only read from
	if err = extract(file, dir); err == nil {
		password, err = readPassword(dir) // which is last in the archive
	}
	if err := errors.Join(err, owner.ownAll(dir)); err != nil {
		s.discard(dir)
		return "", false
	}
	now := time.Now()
	_ = os.Chtimes(string(s), now, now) // it is in use
	return password, true
}

func extract(r io.Reader, dir string) error {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	defer func() { _ = root.Close() }() // all files are closed
	archive := tar.NewReader(bufio.NewReaderSize(r, 1<<20))
	for {
		header, err := archive.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		name := filepath.FromSlash(header.Name)
		if header.FileInfo().IsDir() {
			if err := root.MkdirAll(name, 0o700); err != nil {
				return err
			}
			continue
		}
		file, err := root.OpenFile(name, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
		if err != nil {
			return err
		}
		_, err = io.Copy(file, archive) //nolint:gosec // we have packed it
		if err := errors.Join(err, file.Close()); err != nil {
			return err
		}
	}
}

// discard removes the seed and what came out of it.
func (s seed) discard(dir string) {
	_ = os.Remove(string(s))
	_ = os.RemoveAll(filepath.Join(dir, "data"))
	_ = os.Remove(filepath.Join(dir, passwordFile))
}

// pack makes the seed out of what initdb has made in dir. Without one the next start takes longer, and that is all.
func (s seed) pack(dir string) {
	if s == "" {
		return
	}
	cache := filepath.Dir(string(s))
	if err := os.MkdirAll(cache, 0o700); err != nil {
		return
	}
	removeOld(cache)
	draft, err := os.CreateTemp(cache, ".draft-")
	if err != nil {
		return
	}
	buffered := bufio.NewWriterSize(draft, 1<<20)
	archive := tar.NewWriter(buffered)
	err = errors.Join(archive.AddFS(os.DirFS(dir)), archive.Close(), buffered.Flush(), draft.Sync(), draft.Close())
	if err == nil {
		err = os.Rename(draft.Name(), string(s))
	}
	if err != nil {
		_ = os.Remove(draft.Name())
	}
}

// removeOld removes seeds that are not used any more, and drafts of processes that died.
func removeOld(cache string) {
	for _, pattern := range []string{seedPrefix + "*" + seedSuffix, ".draft-*"} {
		names, _ := fs.Glob(os.DirFS(cache), pattern) // the pattern is well-formed
		for _, name := range names {
			path := filepath.Join(cache, name)
			if info, err := os.Stat(path); err == nil && time.Since(info.ModTime()) > seedAge {
				_ = os.Remove(path)
			}
		}
	}
}
