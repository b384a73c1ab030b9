package main

import (
	"archive/tar"
	"errors"
	"io"
	"io/fs"
	"os"
	"path"
)

// packDir writes the files below dir as a tar archive. Links stay links, whatever they point to. Everybody may read what is
// in it, and write it too if that is wanted: it is a copy, and the image's user may be anybody.
func packDir(w io.Writer, dir string, writable bool) error {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	defer func() { _ = root.Close() }() // only read from
	archive := tar.NewWriter(w)
	err = fs.WalkDir(root.FS(), ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		return packEntry(archive, root, name, entry, writable)
	})
	return errors.Join(err, archive.Close())
}

func packEntry(archive *tar.Writer, root *os.Root, name string, entry fs.DirEntry, writable bool) error {
	info, err := entry.Info()
	if err != nil {
		return err
	}
	header := &tar.Header{Name: path.Join(workspaceDir[1:], name), ModTime: info.ModTime(), Mode: 0o444}
	if info.Mode()&0o111 != 0 {
		header.Mode = 0o555
	}
	if writable {
		header.Mode |= 0o222
	}
	switch {
	case info.IsDir():
		header.Typeflag, header.Name, header.Mode = tar.TypeDir, header.Name+"/", header.Mode|0o555
	case info.Mode()&fs.ModeSymlink != 0:
		header.Typeflag, header.Mode = tar.TypeSymlink, 0o777
		if header.Linkname, err = root.Readlink(name); err != nil {
			return err
		}
	case info.Mode().IsRegular():
		return packFile(archive, root, name, header)
	default:
		return nil // sockets and the like are no files of a workspace
	}
	return archive.WriteHeader(header)
}

func packFile(archive *tar.Writer, root *os.Root, name string, header *tar.Header) error {
	f, err := root.Open(name)
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }() // only read from
	info, err := f.Stat()
	if err != nil {
		return err
	}
	header.Typeflag, header.Size = tar.TypeReg, info.Size()
	if err := archive.WriteHeader(header); err != nil {
		return err
	}
	_, err = io.CopyN(archive, f, info.Size())
	return err
}
