// Package glob matches names with the patterns that people write into configurations.
package glob

import (
	"strings"
	"unicode/utf8"
)

// Match tells whether the whole name fits the glob, in which * is any run of characters, none included, ? is one character, and
// all else is itself. Case matters; a / is a character as others. What is not UTF-8 is taken byte by byte.
//
// Only the last * that was passed is tried in other places, so that it takes at most so many steps as both lengths multiplied.
func Match(glob, name string) bool {
	star, resume := -1, 0 // behind that *, and where in the name what follows it was tried
	g, n := 0, 0
	for n < len(name) {
		want, got := character(glob[g:]), character(name[n:])
		switch {
		case want == "*":
			g++
			star, resume = g, n
		case want == "?" || want != "" && want == got:
			g += len(want)
			n += len(got)
		case star >= 0:
			resume += len(character(name[resume:]))
			g, n = star, resume
		default:
			return false
		}
	}
	return strings.Trim(glob[g:], "*") == ""
}

// character is the first one of a text, "" if that is empty.
func character(text string) string {
	_, size := utf8.DecodeRuneInString(text)
	return text[:size]
}

// All tells whether the glob fits every name.
func All(glob string) bool { return glob != "" && strings.Trim(glob, "*") == "" }
