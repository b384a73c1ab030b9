package archive

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"io"
	"io/fs"
	"os"
	"runtime"

	"golang.org/x/sync/errgroup"
)

// Digest names the files below dir by what they are: two directories have the same digest if [Pack] makes the same of
// them. It is a SHA-256 in hexadecimal digits.
func Digest(ctx context.Context, dir string) (string, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return "", fmt.Errorf("open directory to hash: %w", err)
	}
	defer func() { _ = root.Close() }() // only read from
	var entries []*hashed
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(runtime.GOMAXPROCS(0))
	err = walk(ctx, root, func(name string, entry fs.DirEntry) error {
		h := &hashed{kind: kindDir, name: name}
		switch entry.Type() {
		case fs.ModeDir:
		case fs.ModeSymlink:
			target, err := root.Readlink(name)
			if err != nil || !linkStaysInside(name, target) {
				return err
			}
			h.kind, h.sum = kindLink, sha256.Sum256([]byte(target))
		case 0:
			group.Go(func() error { return h.read(root) })
		default:
			return nil
		}
		entries = append(entries, h)
		return nil
	})
	if failed := group.Wait(); failed != nil {
		err = failed
	}
	if err != nil {
		return "", fmt.Errorf("hash: %w", err)
	}
	all := sha256.New()
	for _, h := range entries {
		head := binary.AppendUvarint([]byte{h.kind}, uint64(len(h.name)))
		_, _ = all.Write(append(append(head, h.name...), h.sum[:]...)) // never fails
	}
	return hex.EncodeToString(all.Sum(nil)), nil
}

// hashed is an entry as it enters the digest.
type hashed struct {
	kind byte
	name string
	sum  [sha256.Size]byte // of a file's content, or of where a link leads
}

const (
	kindDir        = 'd'
	kindFile       = 'f'
	kindExecutable = 'x'
	kindLink       = 'l'
)

func (h *hashed) read(root *os.Root) error {
	file, err := root.Open(h.name)
	if err != nil {
		return err
	}
	defer func() { _ = file.Close() }() // only read from
	info, err := file.Stat()
	if err != nil {
		return err
	}
	h.kind = kindFile
	if info.Mode()&0o111 != 0 {
		h.kind = kindExecutable
	}
	sum := sha256.New()
	if _, err := io.Copy(sum, file); err != nil {
		return fmt.Errorf("%s: %w", h.name, err)
	}
	sum.Sum(h.sum[:0])
	return nil
}
