package main

import (
	"path"
	"path/filepath"
	"strings"
	"unicode"
	"unicode/utf8"
)

// maxPath is how long a path in a revision may be.
const maxPath = 4096

// linkStaysInside tells whether a link at name leads to a place below the top directory, whatever other links of the kind
// are on its way. That is so if it climbs first, no higher than the top, and then only descends. Archives of workspaces
// have the same rule, so that no link gets lost later.
func linkStaysInside(name, target string) bool {
	if target == "" || path.IsAbs(target) || strings.ContainsAny(target, "\\\x00") || !utf8.ValidString(target) {
		return false
	}
	room := strings.Count(name, "/")
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

// checkName refuses names of entries that git itself does not check out, and those that archives of workspaces cannot hold.
func checkName(name, at string) error {
	switch {
	case name == "" || name == "." || name == ".." || strings.ContainsAny(name, "/\\\x00") || !filepath.IsLocal(name):
		return invalid("%.200q is no name for a file", at)
	case !utf8.ValidString(name):
		return invalid("%.200q is no name for a file: it is not UTF-8", at)
	case len(at) > maxPath:
		return invalid("%.200q… is too long a path", at)
	case isDotGit(name):
		return invalid("%.200q is refused: it would be taken for the data of a repository", at)
	default:
		return nil
	}
}

// isDotGit tells whether some file system takes a name for .git: those that ignore case, characters without width, or dots
// and blanks at the end, that have short names, or streams behind a colon.
func isDotGit(name string) bool {
	name, _, _ = strings.Cut(name, ":")
	name = strings.Map(func(r rune) rune {
		if unicode.Is(unicode.Cf, r) {
			return -1
		}
		return unicode.ToLower(r)
	}, name)
	name = strings.TrimRight(name, ". ")
	return name == ".git" || name == "git~1"
}
