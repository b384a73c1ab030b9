// Package version says which build this is; the values are set by the linker.
package version

// What the build says of itself.
var (
	Version = "dev"
	Commit  = "unknown"
	Date    = "unknown"
)
