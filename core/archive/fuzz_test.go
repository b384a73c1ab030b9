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

	"github.com/stretchr/testify/require"

	"github.com/stroem/stroem/core/archive"
)

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
		requireInside(t, dir)
		if err == nil {
			require.NoError(t, archive.Pack(t.Context(), io.Discard, dir))
		}
	})
}

// requireInside checks that there is nothing in dir but files without special modes, directories, and links that stay.
func requireInside(t *testing.T, dir string) {
	t.Helper()
	for name, what := range tree(t, dir) {
		if !strings.HasPrefix(what, "-> ") {
			require.Contains(t, "-d", what[:1])
			require.Contains(t, []string{"rw-r--r--", "rwxr-xr-x"}, what[1:10])
			continue
		}
		if place, err := filepath.EvalSymlinks(filepath.Join(dir, name)); err == nil {
			top, err := filepath.EvalSymlinks(dir)
			require.NoError(t, err)
			require.True(t, place == top || strings.HasPrefix(place, top+string(filepath.Separator)), "%s leads to %s", name, place)
		}
	}
}

// summed gives whatever looks like a header its checksum, so that changes of headers get past that.
func summed(raw []byte) []byte {
	raw = bytes.Clone(raw)
	for block := range slices.Chunk(raw, 512) {
		if len(block) == 512 && string(block[257:262]) == "ustar" {
			sum(block)
		}
	}
	return raw
}

// sum writes the checksum of a header.
func sum(block []byte) {
	copy(block[148:156], "        ")
	total := 0
	for _, c := range block {
		total += int(c)
	}
	copy(block[148:156], fmt.Sprintf("%06o\x00 ", total))
}

// FuzzUnpackBytes checks the same of whatever a tar may be made of.
func FuzzUnpackBytes(f *testing.F) {
	for _, entries := range [][]entry{
		{file("a", "x"), special(tar.TypeDir, "d"), link(tar.TypeSymlink, "l", "a"), link(tar.TypeLink, "h", "a")},
		{file("../evil", "x")},
		{file("/evil", "x")},
		{link(tar.TypeSymlink, "l", "../evil"), file("l/x", "x")},
		{special(tar.TypeChar, "null"), mode(0o4755, file("su", "x"))},
		{file(strings.Repeat("long/", 60)+"name", "x"), file("ü", "x")},
	} {
		var b bytes.Buffer
		w := tar.NewWriter(&b)
		for _, e := range entries {
			require.NoError(f, w.WriteHeader(&e.Header))
			_, err := io.WriteString(w, e.content)
			require.NoError(f, err)
		}
		require.NoError(f, w.Close())
		f.Add(b.Bytes())
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		var b bytes.Buffer
		zip, err := gzip.NewWriterLevel(&b, gzip.NoCompression)
		require.NoError(t, err)
		_, err = zip.Write(summed(raw))
		require.NoError(t, err)
		require.NoError(t, zip.Close())
		parent := t.TempDir()
		require.NoError(t, os.WriteFile(filepath.Join(parent, "victim"), []byte("untouched"), 0o600))
		dir := filepath.Join(parent, "dir")
		require.NoError(t, os.Mkdir(dir, 0o750))
		err = archive.Unpack(t.Context(), &b, dir, archive.Limits{Entries: 50, Bytes: 1 << 20})
		requireUntouched(t, parent)
		requireInside(t, dir)
		if err == nil {
			require.NoError(t, archive.Pack(t.Context(), io.Discard, dir))
		}
	})
}
