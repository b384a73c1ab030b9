package s3server

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/stretchr/testify/require"
)

// ownFiles is where the server keeps what it is about to store, in the bucket's directory.
const ownFiles = ".sgwtmp"

// Objects are the sizes of the bucket's objects, by key.
func (s *Server) Objects() map[string]int64 {
	s.t.Helper()
	found := map[string]int64{}
	root := s.path("files", Bucket)
	require.NoError(s.t, filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if entry.IsDir() {
			if entry.Name() == ownFiles {
				return fs.SkipDir
			}
			return nil
		}
		info, err := entry.Info()
		if err != nil {
			return err
		}
		found[filepath.ToSlash(strings.TrimPrefix(path, root+string(filepath.Separator)))] = info.Size()
		return nil
	}))
	return found
}

// Object is the content of an object, which has to be there.
func (s *Server) Object(key string) []byte {
	s.t.Helper()
	content, err := os.ReadFile(s.path("files", Bucket, filepath.FromSlash(key)))
	require.NoError(s.t, err)
	return content
}

// Remove removes the bucket with all that is in it.
func (s *Server) Remove() {
	s.t.Helper()
	require.NoError(s.t, os.RemoveAll(s.path("files", Bucket)))
}
