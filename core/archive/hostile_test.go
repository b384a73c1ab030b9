package archive_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"

	"github.com/stroem/stroem/core/archive"
)

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

func mode(bits int64, e entry) entry {
	e.Mode = bits
	return e
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
	// The system says no to these: links are made last, so that there is nothing to link to or to go through.
	failing := []string{"hard link to a link", "hard link to a directory", "hard link to nothing", "file below a file"}
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
		"set-user-id":              {mode(0o4755, file("su", "x"))},
		"set-group-id":             {mode(0o2755, file("sg", "x"))},
		"set-group-id directory":   {mode(0o2755, special(tar.TypeDir, "d"))},
		"not UTF-8":                {file("a\xff", "x")},
		"no name":                  {file("", "x")},
		"nothing but dots":         {file("./..", "x")},
		"long part":                {file(strings.Repeat("a", 256), "x")},
		"long target":              {link(tar.TypeSymlink, "l", strings.Repeat("a/", 3000))},
		"link to itself and on":    {link(tar.TypeSymlink, "l", "l"), file("l/x", "x")},
		"file below a file":        {file("a", "x"), file("a/b", "y")},
		"directory over a link":    {link(tar.TypeSymlink, "s", "a"), special(tar.TypeDir, "s")},
		"link over a link":         {link(tar.TypeSymlink, "s", "a"), link(tar.TypeSymlink, "s", "b")},
		"link over a directory":    {special(tar.TypeDir, "a"), link(tar.TypeSymlink, "a", "b")},
		"hard link to a directory": {special(tar.TypeDir, "a"), link(tar.TypeLink, "l", "a")},
		"hard link to nothing":     {link(tar.TypeLink, "l", "a")},
		"hard link through up":     {file("a", "x"), link(tar.TypeLink, "l", "b/../../victim")},
		"contiguous file":          {special(tar.TypeCont, "c")},
		"unknown kind":             {special('Q', "q")},
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
			if slices.Contains(failing, name) {
				require.Error(t, err)
			} else {
				require.ErrorIs(t, err, archive.ErrRefused)
			}
			require.ErrorContains(t, err, "unpack: ")
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
	executable := file("run", "x")
	executable.Mode = 0o1711 // the sticky bit says nothing of a file
	raw := build(t, []entry{
		special(tar.TypeDir, "./"), file("./deep/down/file", "1"), special(tar.TypeDir, "deep/"), executable,
		link(tar.TypeLink, "same", "run"), link(tar.TypeSymlink, "a/later", "../deep"), link(tar.TypeSymlink, "dangling", "nowhere"),
	})
	require.NoError(t, archive.Unpack(t.Context(), bytes.NewReader(raw), dir, archive.Limits{}))
	want := map[string]string{
		"deep": "drwxr-xr-x", "deep/down": "drwxr-xr-x", "deep/down/file": "-rw-r--r-- 1", "run": "-rwxr-xr-x x", "same": "-rwxr-xr-x x",
		"a": "drwxr-xr-x", "a/later": "-> ../deep", "dangling": "-> nowhere",
	}
	require.Empty(t, cmp.Diff(want, tree(t, dir)))
}

// A million entries are not even read to their end.
func TestMillionEntries(t *testing.T) {
	t.Parallel()
	var one bytes.Buffer
	require.NoError(t, tar.NewWriter(&one).WriteHeader(&tar.Header{Typeflag: tar.TypeDir, Name: "d/", Mode: 0o755}))
	r, w := io.Pipe()
	written := make(chan int, 1)
	go func() {
		zip, err := gzip.NewWriterLevel(w, gzip.NoCompression)
		n := 0
		for ; n < 1_000_000 && err == nil; n++ {
			_, err = zip.Write(one.Bytes())
		}
		written <- n
	}()
	dir := t.TempDir()
	err := archive.Unpack(t.Context(), r, dir, archive.Limits{})
	require.ErrorIs(t, err, archive.ErrRefused)
	require.ErrorContains(t, err, "more than 200000 entries")
	require.Equal(t, map[string]string{"d": "drwxr-xr-x"}, tree(t, dir))
	require.NoError(t, r.Close())
	require.Less(t, <-written, 250_000)
}

// A file with a hole of a terabyte is small in an archive, and its content is not read from there.
func TestSparseFile(t *testing.T) {
	t.Parallel()
	var b bytes.Buffer
	zip := gzip.NewWriter(&b)
	w := tar.NewWriter(zip)
	content := "1\n1048576\n1\n" + strings.Repeat("\x00", 512-12) + "x"
	records := ""
	for _, record := range []string{"GNU.sparse.major=1", "GNU.sparse.minor=0", "GNU.sparse.name=hole", "GNU.sparse.realsize=1048577"} {
		records += fmt.Sprintf("%d %s\n", len(record)+4, record)
	}
	raw := func(header tar.Header, content string) { // as no writer of Go's makes it
		var one bytes.Buffer
		part := tar.NewWriter(&one)
		header.Size, header.Mode, header.Format = int64(len(content)), 0o644, tar.FormatUSTAR
		kind := header.Typeflag
		header.Typeflag = tar.TypeReg
		require.NoError(t, part.WriteHeader(&header))
		_, err := io.WriteString(part, content)
		require.NoError(t, err)
		require.NoError(t, part.Flush())
		block := one.Bytes()
		block[156] = kind
		sum(block[:512])
		_, err = zip.Write(block)
		require.NoError(t, err)
	}
	raw(tar.Header{Typeflag: tar.TypeXHeader, Name: "PaxHeaders/hole"}, records)
	raw(tar.Header{Typeflag: tar.TypeReg, Name: "GNUSparseFile/hole"}, content)
	require.NoError(t, w.Close())
	require.NoError(t, zip.Close())
	dir := t.TempDir()
	err := archive.Unpack(t.Context(), &b, dir, archive.Limits{})
	require.ErrorIs(t, err, archive.ErrRefused)
	require.ErrorContains(t, err, "it has holes")
	require.Empty(t, tree(t, dir))
}
