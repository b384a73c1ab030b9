// Package workspace keeps the revisions of workspaces: it asks their sources for the current one, fetches a new one into
// a directory of its own, loads and validates it, and only then puts it in the place of the old one. A workspace whose
// newest revision is bad goes on with the last good one, says what is wrong, and is tried again; other workspaces are
// not affected.
package workspace
