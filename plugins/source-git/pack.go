package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/go-git/go-billy/v5/osfs"
	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/cache"
	"github.com/go-git/go-git/v5/plumbing/format/idxfile"
	"github.com/go-git/go-git/v5/plumbing/format/packfile"
	"github.com/go-git/go-git/v5/storage/filesystem"

	"github.com/stroem/stroem/pluginapi"
)

// objects opens the objects in a directory that is laid out as a bare repository.
func objects(dir string) *filesystem.Storage {
	const large = 1 << 20 // what is larger is read as a stream and not taken into memory
	return filesystem.NewStorageWithOptions(osfs.New(dir, osfs.WithBoundOS()), cache.NewObjectLRU(16*cache.MiByte),
		filesystem.Options{ExclusiveAccess: true, LargeObjectThreshold: large})
}

// takePack reads a pack into a new directory. Nothing is made of it before its objects are known to keep the limits: the
// library takes each into memory.
func (c config) takePack(ctx context.Context, pack io.Reader, dir string) (err error) {
	packs := filepath.Join(dir, "objects", "pack")
	if err := os.MkdirAll(packs, 0o700); err != nil {
		return fmt.Errorf("keep the pack: %w", err)
	}
	incoming := filepath.Join(packs, "incoming")
	file, err := os.Create(incoming) //nolint:gosec // below the plugin's own directory
	if err != nil {
		return fmt.Errorf("keep the pack: %w", err)
	}
	sum, err := c.receive(ctx, pack, file, packs)
	if err = errors.Join(err, file.Close()); err != nil {
		return err
	}
	if err := os.Rename(incoming, packName(packs, sum, "pack")); err != nil {
		return fmt.Errorf("keep the pack: %w", err)
	}
	return nil
}

func packName(dir string, sum plumbing.Hash, kind string) string {
	return filepath.Join(dir, "pack-"+sum.String()+"."+kind)
}

// receive writes a pack to a file and its index beside it.
func (c config) receive(ctx context.Context, pack io.Reader, file *os.File, dir string) (sum plumbing.Hash, err error) {
	n, err := io.Copy(file, io.LimitReader(&interruptible{ctx, pack}, c.MaxBytes+1))
	switch {
	case err != nil:
		return sum, fmt.Errorf("receive the pack: %w", err)
	case n > c.MaxBytes:
		return sum, tooLarge("the repository takes more than %d bytes to download (max_bytes)", c.MaxBytes)
	}
	if err := c.inspect(ctx, file); err != nil {
		return sum, err
	}
	if _, err := file.Seek(0, io.SeekStart); err != nil {
		return sum, fmt.Errorf("read the pack: %w", err)
	}
	index := new(idxfile.Writer)
	parser, err := packfile.NewParser(packfile.NewScanner(&interruptibleFile{interruptible{ctx, file}, file}), index)
	if err != nil {
		return sum, fmt.Errorf("read the pack: %w", err)
	}
	if sum, err = parser.Parse(); err != nil {
		return sum, fmt.Errorf("read the pack: %w", err)
	}
	return sum, writeIndex(index, packName(dir, sum, "idx"))
}

func writeIndex(writer *idxfile.Writer, name string) error {
	index, err := writer.Index()
	if err != nil {
		return fmt.Errorf("index the pack: %w", err)
	}
	file, err := os.Create(name) //nolint:gosec // below the plugin's own directory
	if err != nil {
		return fmt.Errorf("index the pack: %w", err)
	}
	_, err = idxfile.NewEncoder(file).Encode(index)
	if err = errors.Join(err, file.Close()); err != nil {
		return fmt.Errorf("index the pack: %w", err)
	}
	return nil
}

// inspect holds the objects of a pack to the limits, by what they say of their size; that they keep to it is checked
// whenever they are read.
func (c config) inspect(ctx context.Context, pack io.ReadSeeker) error {
	if _, err := pack.Seek(0, io.SeekStart); err != nil {
		return fmt.Errorf("read the pack: %w", err)
	}
	scanner := packfile.NewScanner(pack)
	_, count, err := scanner.Header()
	if err != nil {
		return fmt.Errorf("read the pack: %w", err)
	}
	for range count {
		if err := ctx.Err(); err != nil {
			return err
		}
		header, err := scanner.NextObjectHeader()
		if err != nil {
			return fmt.Errorf("read the pack: %w", err)
		}
		size := header.Length
		if size <= c.MaxFileBytes {
			var start head
			if _, _, err := scanner.NextObject(&start); err != nil {
				return fmt.Errorf("read the pack: %w", err)
			}
			if header.Type == plumbing.OFSDeltaObject || header.Type == plumbing.REFDeltaObject {
				size = max(size, start.target())
			}
		}
		if size > c.MaxFileBytes {
			return tooLarge("the repository has a file of %d bytes; %d are allowed (max_file_bytes)", size, c.MaxFileBytes)
		}
	}
	return nil
}

func tooLarge(format string, args ...any) error {
	return pluginapi.Errorf(pluginapi.CodeExhausted, format, args...)
}

// head keeps the first bytes of what is written: those of a delta tell the sizes of what it starts from and leads to.
type head struct {
	bytes [20]byte
	n     int
}

func (h *head) Write(p []byte) (int, error) {
	h.n += copy(h.bytes[h.n:], p)
	return len(p), nil
}

// target returns the size of what a delta leads to, the second of two numbers of 7 bits a byte, lowest first.
func (h *head) target() (size int64) {
	at := 0
	for range 2 {
		size = 0
		for shift := 0; at < h.n; shift += 7 {
			b := h.bytes[at]
			at++
			if shift > 56 {
				return 1 << 62 // no file is that large
			}
			size |= int64(b&0x7f) << shift
			if b&0x80 == 0 {
				break
			}
		}
	}
	return size
}

// interruptible reads until its context ends.
type interruptible struct {
	ctx context.Context //nolint:containedctx // lives for one call
	r   io.Reader
}

func (i *interruptible) Read(p []byte) (int, error) {
	if err := i.ctx.Err(); err != nil {
		return 0, err
	}
	return i.r.Read(p)
}

// interruptibleFile is one that can be read again.
type interruptibleFile struct {
	interruptible
	io.Seeker
}
