package main

import (
	"crypto/sha256"
	"io"
	"io/fs"
	"os"
	"sync"
	"time"
)

// settled is how old a file has to be before its time stamp tells whether it has changed: within one tick of the
// file system's clock it may be written twice.
const settled = 2 * time.Second

// index remembers the hashes of a folder's files, so that a file is read again only when its size or time has changed.
type index struct {
	mu    sync.Mutex
	files map[string]indexed
	known map[string]indexed // of the scan before
	now   time.Time
	last  string // revision that the last scan found
}

type indexed struct {
	size    int64
	modTime time.Time
	digest  digest
}

// renew begins a scan: what it does not come across is forgotten.
func (x *index) renew() *index {
	x.known, x.files, x.now = x.files, map[string]indexed{}, time.Now()
	return x
}

// digest returns the hash of a file's content.
func (x *index) digest(folder *os.Root, name string, info fs.FileInfo) (digest, error) {
	file, ok := x.known[name]
	if !ok || file.size != info.Size() || !file.modTime.Equal(info.ModTime()) {
		sum, err := hashFile(folder, name, io.Discard)
		if err != nil {
			return digest{}, err
		}
		file = indexed{size: info.Size(), modTime: info.ModTime(), digest: sum}
	}
	if x.now.Sub(file.modTime) > settled {
		x.files[name] = file
	}
	return file.digest, nil
}

// hashFile returns the hash of a file's content and copies that on the way.
func hashFile(folder *os.Root, name string, to io.Writer) (sum digest, err error) {
	f, err := folder.Open(name)
	if err != nil {
		return sum, err
	}
	defer func() { _ = f.Close() }() // only read from
	h := sha256.New()
	if _, err := io.Copy(io.MultiWriter(h, to), f); err != nil {
		return sum, err
	}
	h.Sum(sum[:0])
	return sum, nil
}
