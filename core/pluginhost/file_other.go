//go:build !unix

package pluginhost

import "io/fs"

func executable(fs.FileMode) bool { return true }

// checkWritable finds nothing: where there are access lists, the mode says nothing about them.
func checkWritable(string, fs.FileMode) error { return nil }
