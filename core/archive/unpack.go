package archive

import (
	"archive/tar"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"unicode/utf8"
)

// ErrRefused is in the chain of every error about an archive that must not be unpacked.
var ErrRefused = errors.New("archive refused")

// Limits bound what an archive may hold. Zero fields have the values of [DefaultLimits].
type Limits struct {
	Entries int   // files, directories and links
	Bytes   int64 // of all files together
	Ratio   int64 // bytes unpacked for each byte packed; not looked at below 16 MiB unpacked
}

// DefaultLimits are wide enough for any workspace that people keep in version control.
func DefaultLimits() Limits { return Limits{Entries: 200_000, Bytes: 8 << 30, Ratio: 1000} }

const (
	ratioFrom = 16 << 20
	maxName   = 4096
	maxPart   = 255 // of a name between slashes
	setID     = 0o6000
)

// Unpack reads a tar.gz from r into dir, which must exist and should be empty. It refuses, with [ErrRefused], names and
// links that lead out of dir, everything that is neither file, directory nor link, set-user-id and set-group-id modes,
// anything that is there twice, and what is beyond the limits. After an error dir holds an unknown part of the archive.
func Unpack(ctx context.Context, r io.Reader, dir string, limits Limits) error {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return fmt.Errorf("open directory to unpack into: %w", err)
	}
	defer func() { _ = root.Close() }()
	standard := DefaultLimits()
	if limits.Entries == 0 {
		limits.Entries = standard.Entries
	}
	if limits.Bytes == 0 {
		limits.Bytes = standard.Bytes
	}
	if limits.Ratio == 0 {
		limits.Ratio = standard.Ratio
	}
	packed := &counter{ctx: ctx, r: r}
	zip, err := gzip.NewReader(packed)
	if err != nil {
		return fmt.Errorf("unpack: %w", err)
	}
	u := &unpacker{root: root, limits: limits, packed: packed, content: &counter{ctx: ctx, r: zip}}
	if err := u.run(); err != nil {
		return fmt.Errorf("unpack: %w", err)
	}
	return nil
}

// counter counts the bytes that are read, and stops when ctx ends.
type counter struct {
	ctx context.Context //nolint:containedctx // lives for one call
	r   io.Reader
	n   int64
}

func (c *counter) Read(p []byte) (int, error) {
	if err := c.ctx.Err(); err != nil {
		return 0, err
	}
	n, err := c.r.Read(p)
	c.n += int64(n)
	return n, err
}

type unpacker struct {
	root    *os.Root
	limits  Limits
	packed  *counter
	content *counter
	entries int
	bytes   int64
	links   []*tar.Header // made last, so that nothing is written through them
}

func (u *unpacker) run() error {
	archive := tar.NewReader(&guard{u})
	for {
		header, err := archive.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return err
		}
		if u.entries++; u.entries > u.limits.Entries {
			return fmt.Errorf("%w: more than %d entries", ErrRefused, u.limits.Entries)
		}
		if err := u.entry(header, archive); err != nil {
			return fmt.Errorf("entry %.200q: %w", header.Name, err)
		}
	}
	for _, link := range u.links {
		if err := u.root.Symlink(link.Linkname, local(link.Name)); err != nil {
			return fmt.Errorf("entry %.200q: %w", link.Name, refusedIfThere(err))
		}
	}
	// To the end, so that the checksum is looked at; an archive ends with a few empty blocks.
	if n, err := io.Copy(io.Discard, io.LimitReader(&guard{u}, 1<<20)); err != nil {
		return err
	} else if n == 1<<20 {
		return fmt.Errorf("%w: there is more behind its end", ErrRefused)
	}
	return nil
}

// guard reads the unpacked bytes and holds the limit on their ratio to the packed ones.
type guard struct{ u *unpacker }

func (g *guard) Read(p []byte) (int, error) {
	n, err := g.u.content.Read(p)
	if got := g.u.content.n; got > ratioFrom && got/max(g.u.packed.n, 1) > g.u.limits.Ratio {
		return 0, fmt.Errorf("%w: it grows to more than %d times its size", ErrRefused, g.u.limits.Ratio)
	}
	return n, err
}

func (u *unpacker) entry(header *tar.Header, content io.Reader) error {
	name := path.Clean(header.Name)
	switch {
	case header.Typeflag == tar.TypeXGlobalHeader:
		return nil
	case len(header.Name) > maxName:
		return fmt.Errorf("%w: its name is longer than %d bytes", ErrRefused, maxName)
	case !isLocal(header.Name):
		return fmt.Errorf("%w: its name leads out of the directory", ErrRefused)
	case slices.ContainsFunc(strings.Split(name, "/"), func(part string) bool { return len(part) > maxPart }):
		return fmt.Errorf("%w: a part of its name is longer than %d bytes", ErrRefused, maxPart)
	case !utf8.ValidString(name):
		return fmt.Errorf("%w: its name is not UTF-8", ErrRefused)
	case header.Mode&setID != 0:
		return fmt.Errorf("%w: it would run as its owner, whoever starts it", ErrRefused)
	case isSparse(header):
		return fmt.Errorf("%w: it has holes, which are larger than what is packed", ErrRefused)
	case name == ".":
		return nil
	}
	if parent := path.Dir(name); parent != "." {
		if err := u.root.MkdirAll(local(parent), 0o755); err != nil {
			return refusedIfThere(err)
		}
	}
	switch header.Typeflag {
	case tar.TypeDir:
		return refusedIfThere(u.root.MkdirAll(local(name), 0o755))
	case tar.TypeReg:
		if u.bytes += header.Size; u.bytes > u.limits.Bytes || u.bytes < 0 {
			return fmt.Errorf("%w: more than %d bytes", ErrRefused, u.limits.Bytes)
		}
		return u.file(name, header.FileInfo().Mode(), content)
	case tar.TypeSymlink:
		if len(header.Linkname) > maxName || !linkStaysInside(name, header.Linkname) {
			return fmt.Errorf("%w: it is a link out of the directory", ErrRefused)
		}
		header.Name = name
		u.links = append(u.links, header)
		return nil
	case tar.TypeLink:
		if !isLocal(header.Linkname) {
			return fmt.Errorf("%w: it is a link out of the directory", ErrRefused)
		}
		return refusedIfThere(u.root.Link(local(header.Linkname), local(name)))
	default:
		return fmt.Errorf("%w: it is neither file, directory nor link", ErrRefused)
	}
}

// isSparse tells whether a file is longer than its content in the archive, so that no ratio of what is read bounds what is
// written.
func isSparse(header *tar.Header) bool {
	for key := range header.PAXRecords {
		if strings.HasPrefix(key, "GNU.sparse.") {
			return true
		}
	}
	return header.Typeflag == tar.TypeGNUSparse
}

func (u *unpacker) file(name string, mode fs.FileMode, content io.Reader) error {
	perm := fs.FileMode(0o644)
	if mode&0o111 != 0 {
		perm = 0o755
	}
	file, err := u.root.OpenFile(local(name), os.O_WRONLY|os.O_CREATE|os.O_EXCL, perm)
	if err != nil {
		return refusedIfThere(err)
	}
	_, err = io.Copy(file, content)
	return errors.Join(err, file.Close())
}

// refusedIfThere marks the error of making something where something is already.
func refusedIfThere(err error) error {
	if errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("%w: it is there twice: %w", ErrRefused, err)
	}
	return err
}

// isLocal tells whether name, as it stands in an archive, is below the top directory and never climbs.
func isLocal(name string) bool {
	return filepath.IsLocal(local(name)) && !strings.ContainsAny(name, "\\\x00") && !slices.Contains(strings.Split(name, "/"), "..")
}

// local is the name for the file system.
func local(name string) string { return filepath.FromSlash(name) }
