package archive_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"

	"github.com/stroem/stroem/core/archive"
)

func packed(t *testing.T, dir string) []byte {
	t.Helper()
	var b bytes.Buffer
	require.NoError(t, archive.Pack(t.Context(), &b, dir))
	return b.Bytes()
}

// tree describes all that is below dir: "mode content" or "-> target" by name.
func tree(t *testing.T, dir string) map[string]string {
	t.Helper()
	found := map[string]string{}
	require.NoError(t, filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		require.NoError(t, err)
		name, err := filepath.Rel(dir, path)
		require.NoError(t, err)
		info, err := entry.Info()
		require.NoError(t, err)
		switch {
		case name == ".":
		case info.Mode().IsRegular():
			content, err := os.ReadFile(path)
			require.NoError(t, err)
			found[name] = info.Mode().String() + " " + string(content)
		case info.Mode()&fs.ModeSymlink != 0:
			target, err := os.Readlink(path)
			require.NoError(t, err)
			found[name] = "-> " + target
		default:
			found[name] = info.Mode().String()
		}
		return nil
	}))
	return found
}

func TestRoundTrip(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	long := strings.Repeat("long/", 40) + "name"
	require.NoError(t, os.MkdirAll(filepath.Join(dir, filepath.Dir(long)), 0o700))
	for name, mode := range map[string]fs.FileMode{long: 0o600, "run.sh": 0o700, "über.txt": 0o666, "long/.gitignore": 0o644} {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte("content of "+name), mode))
		require.NoError(t, os.Chmod(filepath.Join(dir, name), mode))
	}
	require.NoError(t, os.MkdirAll(filepath.Join(dir, "empty"), 0o777))
	require.NoError(t, os.MkdirAll(filepath.Join(dir, ".git", "objects"), 0o777))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "empty", ".git"), []byte("gitdir: elsewhere"), 0o600))
	for name, target := range map[string]string{
		"link": "run.sh", "empty/up": "../run.sh", "dir": "long", "through": "dir/long",
		"absolute": "/etc/passwd", "out": "../x", "empty/out": "../../x", "tricky": "empty/../../x",
	} {
		require.NoError(t, os.Symlink(target, filepath.Join(dir, name)))
	}

	first := packed(t, dir)
	again := filepath.Join(t.TempDir(), "again")
	require.NoError(t, os.Mkdir(again, 0o750))
	require.NoError(t, archive.Unpack(t.Context(), bytes.NewReader(first), again, archive.Limits{}))
	got := tree(t, again)
	for name, want := range map[string]string{
		"run.sh": "-rwxr-xr-x content of run.sh", "über.txt": "-rw-r--r-- content of über.txt",
		long: "-rw-r--r-- content of " + long, "empty": "drwxr-xr-x", "long/.gitignore": "-rw-r--r-- content of long/.gitignore",
		"link": "-> run.sh", "empty/up": "-> ../run.sh", "dir": "-> long", "through": "-> dir/long",
	} {
		require.Equal(t, want, got[name], name)
	}
	for _, name := range []string{".git", "empty/.git", "absolute", "out", "empty/out", "tricky"} {
		require.NotContains(t, got, name)
	}

	require.NoError(t, os.Chtimes(filepath.Join(again, "run.sh"), time.Now(), time.Unix(1, 0)))
	require.Equal(t, first, packed(t, again), "the same files give the same bytes")
	require.NoError(t, os.Chmod(filepath.Join(again, "run.sh"), 0o600))
	require.NotEqual(t, first, packed(t, again))
}

func TestPackErrors(t *testing.T) {
	t.Parallel()
	require.ErrorIs(t, archive.Pack(t.Context(), io.Discard, filepath.Join(t.TempDir(), "none")), fs.ErrNotExist)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "a"), nil, 0o600))
	require.ErrorIs(t, archive.Pack(ctx, io.Discard, dir), context.Canceled)
	require.ErrorIs(t, archive.Unpack(ctx, bytes.NewReader(packed(t, dir)), t.TempDir(), archive.Limits{}), context.Canceled)
}

// entry is a tar header with content.
type entry struct {
	tar.Header
	content string
}

func file(name, content string) entry {
	return entry{tar.Header{Typeflag: tar.TypeReg, Name: name, Mode: 0o644, Size: int64(len(content))}, content}
}

func link(kind byte, name, target string) entry {
	return entry{tar.Header{Typeflag: kind, Name: name, Linkname: target, Mode: 0o777}, ""}
}

func special(kind byte, name string) entry {
	return entry{tar.Header{Typeflag: kind, Name: name, Mode: 0o644}, ""}
}

func build(t *testing.T, entries []entry) []byte {
	t.Helper()
	var b bytes.Buffer
	zip := gzip.NewWriter(&b)
	w := tar.NewWriter(zip)
	for _, e := range entries {
		require.NoError(t, w.WriteHeader(&e.Header))
		_, err := io.WriteString(w, e.content)
		require.NoError(t, err)
	}
	require.NoError(t, w.Close())
	require.NoError(t, zip.Close())
	return b.Bytes()
}

func TestHostileArchives(t *testing.T) {
	t.Parallel()
	for name, entries := range map[string][]entry{
		"up":                       {file("../evil", "x")},
		"up later":                 {file("a/../../evil", "x")},
		"up within":                {file("a/../b", "x")},
		"only up":                  {special(tar.TypeDir, "..")},
		"absolute":                 {file("/evil", "x")},
		"backslash":                {file(`..\evil`, "x")},
		"link out":                 {link(tar.TypeSymlink, "l", "../evil")},
		"absolute link":            {link(tar.TypeSymlink, "l", "/etc")},
		"empty link":               {link(tar.TypeSymlink, "l", "")},
		"deep link out":            {link(tar.TypeSymlink, "a/b/l", "../../../evil")},
		"link down and out":        {link(tar.TypeSymlink, "l", "a/../../evil")},
		"links that add up":        {link(tar.TypeSymlink, "s", "."), link(tar.TypeSymlink, "t", "s/s/s/../../../evil")},
		"link below a link":        {link(tar.TypeSymlink, "s", "."), link(tar.TypeSymlink, "s/l", "../evil")},
		"file through a link":      {link(tar.TypeSymlink, "s", "a"), special(tar.TypeDir, "a"), file("s/evil", "x")},
		"file over a link":         {link(tar.TypeSymlink, "s", "a"), file("s", "x")},
		"directory over a file":    {file("a", "x"), special(tar.TypeDir, "a")},
		"twice":                    {file("a", "x"), file("a", "y")},
		"twice, other spelling":    {file("a", "x"), file("./a", "y")},
		"hard link out":            {link(tar.TypeLink, "l", "../victim")},
		"absolute hard link":       {link(tar.TypeLink, "l", "/etc/passwd")},
		"hard link to a link":      {link(tar.TypeSymlink, "s", "a"), link(tar.TypeLink, "l", "s"), file("l", "x")},
		"hard link over a file":    {file("a", "x"), file("b", "y"), link(tar.TypeLink, "b", "a")},
		"character device":         {special(tar.TypeChar, "null")},
		"block device":             {special(tar.TypeBlock, "sda")},
		"fifo":                     {special(tar.TypeFifo, "pipe")},
		"long name":                {file(strings.Repeat("a/", 3000)+"a", "x")},
		"too many entries":         {file("1", ""), file("2", ""), file("3", ""), file("4", ""), file("5", "")},
		"too many bytes":           {file("1", strings.Repeat("x", 1000)), file("2", strings.Repeat("x", 1000))},
		"too many bytes announced": {file("1", strings.Repeat("\x00", 2000))},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			parent := t.TempDir()
			require.NoError(t, os.WriteFile(filepath.Join(parent, "victim"), []byte("untouched"), 0o600))
			dir := filepath.Join(parent, "dir")
			require.NoError(t, os.Mkdir(dir, 0o750))
			err := archive.Unpack(t.Context(), bytes.NewReader(build(t, entries)), dir, archive.Limits{Entries: 4, Bytes: 1500})
			if name == "hard link to a link" {
				require.Error(t, err, "links are made last, so there is nothing to link to")
			} else {
				require.ErrorIs(t, err, archive.ErrRefused)
			}
			requireUntouched(t, parent)
		})
	}
}

func requireUntouched(t *testing.T, parent string) {
	t.Helper()
	entries, err := os.ReadDir(parent)
	require.NoError(t, err)
	require.Len(t, entries, 2, "nothing beside the directory")
	content, err := os.ReadFile(filepath.Join(parent, "victim"))
	require.NoError(t, err)
	require.Equal(t, "untouched", string(content))
}

func TestBomb(t *testing.T) {
	t.Parallel()
	raw := build(t, []entry{file("bomb", strings.Repeat("\x00", 40<<20))})
	err := archive.Unpack(t.Context(), bytes.NewReader(raw), t.TempDir(), archive.Limits{Ratio: 100})
	require.ErrorIs(t, err, archive.ErrRefused)
	require.ErrorContains(t, err, "100 times its size")
}

func TestHarmlessArchives(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	suid := file("suid", "x")
	suid.Mode = 0o6755
	raw := build(t, []entry{
		special(tar.TypeDir, "./"), file("./deep/down/file", "1"), special(tar.TypeDir, "deep/"), suid,
		link(tar.TypeLink, "same", "suid"), link(tar.TypeSymlink, "a/later", "../deep"), link(tar.TypeSymlink, "dangling", "nowhere"),
	})
	require.NoError(t, archive.Unpack(t.Context(), bytes.NewReader(raw), dir, archive.Limits{}))
	want := map[string]string{
		"deep": "drwxr-xr-x", "deep/down": "drwxr-xr-x", "deep/down/file": "-rw-r--r-- 1", "suid": "-rwxr-xr-x x", "same": "-rwxr-xr-x x",
		"a": "drwxr-xr-x", "a/later": "-> ../deep", "dangling": "-> nowhere",
	}
	require.Empty(t, cmp.Diff(want, tree(t, dir)))
}

func TestDamagedArchives(t *testing.T) {
	t.Parallel()
	raw := build(t, []entry{file("a", strings.Repeat("content", 1000))})
	for cut := range raw {
		require.Error(t, archive.Unpack(t.Context(), bytes.NewReader(raw[:cut]), t.TempDir(), archive.Limits{}))
	}
	broken := bytes.Clone(raw)
	broken[len(broken)-6] ^= 1 // in the checksum
	require.ErrorIs(t, archive.Unpack(t.Context(), bytes.NewReader(broken), t.TempDir(), archive.Limits{}), gzip.ErrChecksum)
}

// FuzzUnpack checks that whatever is unpacked stays inside, links included.
func FuzzUnpack(f *testing.F) {
	f.Add("a", "b", byte(tar.TypeSymlink), "a/c", "../x", byte(tar.TypeReg))
	f.Add("s", ".", byte(tar.TypeSymlink), "s/l", "s/../..", byte(tar.TypeSymlink))
	f.Add("a/./b", "x", byte(tar.TypeReg), "l", "a/./b", byte(tar.TypeLink))
	f.Fuzz(func(t *testing.T, name1, target1 string, kind1 byte, name2, target2 string, kind2 byte) {
		var b bytes.Buffer
		zip := gzip.NewWriter(&b)
		w := tar.NewWriter(zip)
		for _, e := range []entry{link(kind1, name1, target1), link(kind2, name2, target2), file("z", "z")} {
			if err := w.WriteHeader(&e.Header); err != nil {
				continue
			}
			if _, err := io.WriteString(w, e.content); err != nil {
				return
			}
		}
		if w.Close() != nil || zip.Close() != nil {
			return
		}
		parent := t.TempDir()
		require.NoError(t, os.WriteFile(filepath.Join(parent, "victim"), []byte("untouched"), 0o600))
		dir := filepath.Join(parent, "dir")
		require.NoError(t, os.Mkdir(dir, 0o750))
		err := archive.Unpack(t.Context(), &b, dir, archive.Limits{})
		requireUntouched(t, parent)
		for name, what := range tree(t, dir) {
			if !strings.HasPrefix(what, "-> ") {
				require.Contains(t, "-d", what[:1])
				continue
			}
			if place, err := filepath.EvalSymlinks(filepath.Join(dir, name)); err == nil {
				top, err := filepath.EvalSymlinks(dir)
				require.NoError(t, err)
				require.True(t, place == top || strings.HasPrefix(place, top+string(filepath.Separator)), "%s leads to %s", name, place)
			}
		}
		if err == nil {
			require.NoError(t, archive.Pack(t.Context(), io.Discard, dir))
		}
	})
}
