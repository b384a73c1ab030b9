// Package archive turns a directory into a tar.gz and back. The server packs a workspace's revision, workers unpack it.
//
// The same files always give the same bytes. Unpacking trusts nothing: whatever an archive holds, nothing is written
// outside of the directory, no link leads out of it, and limits hold while it is read.
package archive

import (
	"path"
	"strings"
)

// linkStaysInside tells whether a symbolic link at name leads to a place below the top directory, whatever other links
// of the kind are on its way. That is so if it climbs first, no higher than the top, and then only descends.
func linkStaysInside(name, target string) bool {
	if target == "" || path.IsAbs(target) || strings.ContainsAny(target, "\\\x00") {
		return false
	}
	room := strings.Count(path.Clean(name), "/")
	descending := false
	for part := range strings.SplitSeq(target, "/") {
		switch part {
		case "", ".":
		case "..":
			if room--; room < 0 || descending {
				return false
			}
		default:
			descending = true
		}
	}
	return true
}
