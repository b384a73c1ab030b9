package coretest

import (
	"os"
	"path/filepath"
	"testing"
)

// Programs puts shell scripts on the PATH of this process, by the names of the programs that they stand in for, and returns
// their directory. Beside them there is only what every system has. Tests that call it are not parallel.
func Programs(t *testing.T, scripts map[string]string) (dir string) {
	t.Helper()
	dir = t.TempDir()
	for name, script := range scripts {
		if err := os.WriteFile(filepath.Join(dir, name), []byte("#!/bin/sh\n"+script), 0o700); err != nil {
			t.Fatalf("write the program %s: %v", name, err)
		}
	}
	t.Setenv("PATH", dir+":/usr/bin:/bin")
	return dir
}
