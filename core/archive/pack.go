package archive

import (
	"archive/tar"
	"compress/gzip"
	"context"
	"fmt"
	"io"
	"io/fs"
	"os"
	"time"
	"unicode/utf8"
)

// Pack writes the files below dir to w: sorted by name, without times and owners, executable or not and nothing more
// about permissions. Left out is whatever is called .git, links that lead out of dir, and what is neither file,
// directory nor link. Names have to be UTF-8. The files must not change meanwhile.
func Pack(ctx context.Context, w io.Writer, dir string) error {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return fmt.Errorf("open directory to pack: %w", err)
	}
	defer func() { _ = root.Close() }()
	zip, err := gzip.NewWriterLevel(w, gzip.BestSpeed)
	if err != nil {
		return fmt.Errorf("pack: %w", err)
	}
	archive := tar.NewWriter(zip)
	err = walk(ctx, root, func(name string, entry fs.DirEntry) error { return packEntry(archive, root, name, entry) })
	if err != nil {
		return fmt.Errorf("pack: %w", err)
	}
	if err := archive.Close(); err != nil {
		return fmt.Errorf("pack: %w", err)
	}
	if err := zip.Close(); err != nil {
		return fmt.Errorf("pack: %w", err)
	}
	return nil
}

// walk visits all that is packed, but for links that lead out, in the order in which it is packed.
func walk(ctx context.Context, root *os.Root, visit func(name string, entry fs.DirEntry) error) error {
	return fs.WalkDir(root.FS(), ".", func(name string, entry fs.DirEntry, err error) error {
		switch {
		case !utf8.ValidString(name):
			return fmt.Errorf("%q is a name that is not UTF-8", name)
		case err != nil:
			return err
		case ctx.Err() != nil:
			return ctx.Err()
		case name == ".":
			return nil
		case entry.Name() == ".git" && entry.IsDir():
			return fs.SkipDir
		case entry.Name() == ".git":
			return nil
		default:
			return visit(name, entry)
		}
	})
}

func packEntry(archive *tar.Writer, root *os.Root, name string, entry fs.DirEntry) error {
	header := &tar.Header{Name: name, Mode: 0o755, ModTime: time.Unix(0, 0)}
	switch entry.Type() {
	case fs.ModeDir:
		header.Typeflag, header.Name = tar.TypeDir, name+"/"
		return archive.WriteHeader(header)
	case fs.ModeSymlink:
		target, err := root.Readlink(name)
		if err != nil {
			return err
		}
		if !linkStaysInside(name, target) {
			return nil
		}
		header.Typeflag, header.Linkname = tar.TypeSymlink, target
		return archive.WriteHeader(header)
	case 0:
		return packFile(archive, root, header)
	default:
		return nil
	}
}

func packFile(archive *tar.Writer, root *os.Root, header *tar.Header) error {
	file, err := root.Open(header.Name)
	if err != nil {
		return err
	}
	defer func() { _ = file.Close() }()
	info, err := file.Stat()
	if err != nil {
		return err
	}
	header.Typeflag, header.Size = tar.TypeReg, info.Size()
	if info.Mode()&0o111 == 0 {
		header.Mode = 0o644
	}
	if err := archive.WriteHeader(header); err != nil {
		return err
	}
	if _, err := io.Copy(archive, file); err != nil {
		return fmt.Errorf("%s: %w", header.Name, err)
	}
	return nil
}
