package worker

import (
	"archive/tar"
	"fmt"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/stroem/stroem/core/archive"
)

func TestNamesThatLeadOutOfTheCache(t *testing.T) {
	t.Parallel()
	parent := t.TempDir()
	c := openCache(t, filepath.Join(parent, "cache"), 0)
	for _, names := range [][2]string{
		{"..", "r1"}, {"ws", ".."}, {"ws", "../../r1"}, {"/ws", "r1"}, {"ws", "a/b"}, {"", "r1"}, {"ws", ""}, {"ws", "r1.partial"}, {"ws", "r\x00"},
	} {
		_, _, err := c.get(t.Context(), names[0], names[1], opens(tarball(t, 1), new(atomic.Int32)))
		require.ErrorContains(t, err, "is no name", "%q", names)
	}
	left, err := os.ReadDir(parent)
	require.NoError(t, err)
	require.Empty(t, left)
}

// An archive that wants to write elsewhere leaves nothing, there or here.
func TestHostileTarball(t *testing.T) {
	t.Parallel()
	for i, entries := range [][]tar.Header{
		{{Name: "../evil", Typeflag: tar.TypeReg, Size: 1}},
		{{Name: "good", Typeflag: tar.TypeReg, Size: 1}, {Name: "../../../evil", Typeflag: tar.TypeReg, Size: 1}},
		{{Name: "l", Typeflag: tar.TypeSymlink, Linkname: "../.."}, {Name: "l/evil", Typeflag: tar.TypeReg, Size: 1}},
		{{Name: "null", Typeflag: tar.TypeChar}},
	} {
		t.Run(fmt.Sprint(i), func(t *testing.T) {
			t.Parallel()
			parent := t.TempDir()
			c := openCache(t, filepath.Join(parent, "cache"), 0)
			_, _, err := c.get(t.Context(), "ws", "r1", opens(packed(t, entries...), new(atomic.Int32)))
			require.ErrorIs(t, err, archive.ErrRefused)
			require.Empty(t, revisions(t, c))
			left, err := os.ReadDir(parent)
			require.NoError(t, err)
			require.Len(t, left, 1)
		})
	}
}
