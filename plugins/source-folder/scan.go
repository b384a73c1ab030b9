package main

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"time"
	"unicode/utf8"

	"github.com/stroem/stroem/pluginapi"
)

// digest is the hash of the content of one file.
type digest = [sha256.Size]byte

// visitor is told of everything in a folder, directories before what is in them. Functions that are nil are left out;
// file has to return the hash of the file's content.
type visitor struct {
	dir  func(name string) error
	file func(name string, info fs.FileInfo) (digest, error)
	link func(name, target string) error
}

// The kinds of entries, as they enter the hash. Of a file's mode only the execute bit counts.
const (
	kindDir        = 'd'
	kindFile       = 'f'
	kindExecutable = 'x'
	kindLink       = 'l'
)

func executable(info fs.FileInfo) bool { return info.Mode()&0o111 != 0 }

// scan visits the folder in the order of names and returns its revision. It leaves out .git and whatever is neither file,
// directory nor link, and refuses links that lead out of the folder.
func scan(ctx context.Context, folder *os.Root, v visitor) (*pluginapi.Revision, error) {
	all := sha256.New()
	var newest time.Time
	add := func(kind byte, name string, content digest) {
		head := binary.AppendUvarint([]byte{kind}, uint64(len(name)))
		all.Write(append(head, name...))
		all.Write(content[:])
	}
	err := fs.WalkDir(folder.FS(), ".", func(name string, entry fs.DirEntry, err error) error {
		switch {
		case !utf8.ValidString(name):
			return pluginapi.Errorf(pluginapi.CodeInvalid, "the name %q is not UTF-8", name)
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
		}
		switch entry.Type() {
		case fs.ModeDir:
			add(kindDir, name, digest{})
			if v.dir != nil {
				return v.dir(name)
			}
		case fs.ModeSymlink:
			target, err := checkLink(folder, name)
			if err != nil {
				return err
			}
			add(kindLink, name, sha256.Sum256([]byte(target)))
			if v.link != nil {
				return v.link(name, target)
			}
		case 0:
			info, err := entry.Info()
			if err != nil {
				return err
			}
			content, err := v.file(name, info)
			if err != nil {
				return err
			}
			kind := byte(kindFile)
			if executable(info) {
				kind = kindExecutable
			}
			add(kind, name, content)
			if info.ModTime().After(newest) {
				newest = info.ModTime()
			}
		}
		return nil
	})
	if err != nil {
		return nil, explain(err)
	}
	return &pluginapi.Revision{ID: hex.EncodeToString(all.Sum(nil)), Time: newest}, nil
}

// checkLink returns where a link leads, which must be in the folder. It may lead to nothing.
func checkLink(folder *os.Root, name string) (string, error) {
	target, err := folder.Readlink(name)
	if err != nil {
		return "", err
	}
	_, err = folder.Stat(name) // refuses to leave the folder, at whatever link on the way
	if filepath.IsAbs(target) || (err != nil && !errors.Is(err, fs.ErrNotExist)) {
		return "", pluginapi.Errorf(pluginapi.CodeInvalid,
			"the link %s leads to %s; links have to be relative and to stay in the folder", name, target)
	}
	return target, nil
}

func explain(err error) error {
	_, known := errors.AsType[*pluginapi.Error](err)
	switch {
	case known, errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return err
	case errors.Is(err, fs.ErrNotExist):
		return pluginapi.Errorf(pluginapi.CodeUnavailable, "the folder changed while it was read: %w", err)
	case errors.Is(err, fs.ErrPermission):
		return pluginapi.Errorf(pluginapi.CodeDenied, "read folder: %w", err)
	default:
		return pluginapi.Errorf(pluginapi.CodeInternal, "read folder: %w", err)
	}
}
