package plugintest

import (
	"encoding/json"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/stroem/stroem/pluginapi/internal/pluginv1"
)

// fetch returns the files that the source put into a new directory.
func fetch(t TB, source pluginv1.SourceServiceClient, settings json.RawMessage, id string) (*pluginv1.Revision, map[string]string) {
	t.Helper()
	dir := t.TempDir()
	return fetchInto(t, source, settings, id, dir), readFiles(t, dir)
}

func fetchInto(t TB, source pluginv1.SourceServiceClient, settings json.RawMessage, id, dir string) *pluginv1.Revision {
	t.Helper()
	resp, err := source.Fetch(within(t, patience), &pluginv1.FetchRequest{Workspace: "ws", Settings: settings, Revision: id, Dir: dir})
	wantOK(t, "Fetch", err)
	checkRevision(t, resp.GetRevision())
	return resp.GetRevision()
}

// readFiles returns the content of the regular files below a directory, by their paths in it.
func readFiles(t TB, dir string) map[string]string {
	t.Helper()
	files := map[string]string{}
	walk(t, dir, func(name string, entry fs.DirEntry) {
		if entry.Type().IsRegular() {
			data, err := os.ReadFile(filepath.Join(dir, name))
			wantOK(t, "read what was fetched", err)
			files[filepath.ToSlash(name)] = string(data)
		}
	})
	return files
}

// walk visits everything below a directory.
func walk(t TB, dir string, visit func(name string, entry fs.DirEntry)) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name, err := filepath.Rel(dir, path)
		if err == nil && name != "." {
			visit(name, entry)
		}
		return err
	})
	wantOK(t, "look at what was fetched", err)
}

func wantFiles(t TB, got, want map[string]string) {
	t.Helper()
	if !maps.Equal(got, want) {
		t.Errorf("the files that were fetched are not those of the revision: %s", difference(got, want))
	}
}

// difference names a file in which two sets differ.
func difference(got, want map[string]string) string {
	for _, name := range slices.Sorted(maps.Keys(want)) {
		text, ok := got[name]
		switch {
		case !ok:
			return fmt.Sprintf("%s is missing", name)
		case text != want[name]:
			return fmt.Sprintf("%s is %.60q instead of %.60q", name, text, want[name])
		}
	}
	for _, name := range slices.Sorted(maps.Keys(got)) {
		if _, ok := want[name]; !ok {
			return fmt.Sprintf("%s should not be there", name)
		}
	}
	return "none"
}

// testOutside fetches into a directory that has neighbours.
func (s *sourceSuite) testOutside(t TB) {
	settings, _, _ := s.opts.New(t)
	source, parent := s.source(t), t.TempDir()
	dir, neighbour := filepath.Join(parent, "dir"), filepath.Join(parent, "neighbour")
	for _, name := range []string{dir, neighbour} {
		wantOK(t, "make a directory", os.Mkdir(name, 0o755))
	}
	wantOK(t, "write a file", os.WriteFile(filepath.Join(neighbour, "file"), []byte("untouched"), 0o600))
	fetchInto(t, source, settings, "", dir)
	var names []string
	walk(t, parent, func(name string, _ fs.DirEntry) {
		if !strings.HasPrefix(name, "dir"+string(filepath.Separator)) {
			names = append(names, filepath.ToSlash(name))
		}
	})
	if want := []string{"dir", "neighbour", "neighbour/file"}; !slices.Equal(names, want) {
		t.Errorf("beside the given directory there are now %q, want %q", names, want)
	}
	if data, err := os.ReadFile(filepath.Join(neighbour, "file")); err != nil || string(data) != "untouched" {
		t.Errorf("a file beside the given directory was changed: %q, %v", data, err)
	}
	checkLinks(t, dir)
}

// checkLinks looks for links that are absolute or lead out of the directory. They may lead to nothing.
func checkLinks(t TB, dir string) {
	t.Helper()
	walk(t, dir, func(name string, entry fs.DirEntry) {
		if entry.Type() != fs.ModeSymlink {
			return
		}
		target, err := os.Readlink(filepath.Join(dir, name))
		wantOK(t, "read a link", err)
		if filepath.IsAbs(target) || !filepath.IsLocal(filepath.Join(filepath.Dir(name), target)) {
			t.Errorf("the link %s leads out of the directory, to %s", name, target)
		}
	})
}

func (s *sourceSuite) testModes(t TB) {
	settings, _, _ := s.opts.New(t)
	dir := t.TempDir()
	fetchInto(t, s.source(t), settings, "", dir)
	const readable, executable, writable = 0o444, 0o111, 0o022
	walk(t, dir, func(name string, entry fs.DirEntry) {
		if entry.Type() == fs.ModeSymlink {
			return
		}
		info, err := entry.Info()
		wantOK(t, "read the mode", err)
		mode := info.Mode()
		if mode&readable != readable || mode&writable != 0 || mode&(fs.ModeSetuid|fs.ModeSetgid) != 0 ||
			(entry.IsDir() && mode&executable != executable) {
			t.Errorf("%s has mode %v", name, mode)
		}
		if s.opts.Executable == nil || entry.IsDir() {
			return
		}
		want := slices.Contains(s.opts.Executable, filepath.ToSlash(name))
		if got := mode&executable == executable; got != want {
			t.Errorf("%s has mode %v; executable in the source: %v", name, mode, want)
		}
	})
}
