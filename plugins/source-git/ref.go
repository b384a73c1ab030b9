package main

import (
	"maps"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/protocol/packp"

	"github.com/stroem/stroem/pluginapi"
)

var (
	commitID  = regexp.MustCompile(`^[0-9a-f]{40}$`)
	shortID   = regexp.MustCompile(`^[0-9a-fA-F]{7,40}$`)
	forbidden = regexp.MustCompile(`[\x00-\x20\x7f~^:?*\[\\]|\.\.|@\{|//`)
)

// checkRef refuses what git would not take for the name of a branch or tag, and what a program could take for an option.
func checkRef(ref string) error {
	for part := range strings.SplitSeq(ref, "/") {
		if strings.HasPrefix(part, "-") || strings.HasPrefix(part, ".") || strings.HasSuffix(part, ".lock") {
			return invalid("ref: %.100q is no branch, tag or commit: no part of a name begins with - or . or ends with .lock", ref)
		}
	}
	if ref == "" || ref == "@" || !utf8.ValidString(ref) || forbidden.MatchString(ref) ||
		strings.HasPrefix(ref, "/") || strings.HasSuffix(ref, "/") || strings.HasSuffix(ref, ".") {
		return invalid("ref: %.100q is no branch, tag or full commit id", ref)
	}
	return nil
}

// pinned tells whether ref is the id of a commit.
func pinned(ref string) bool { return commitID.MatchString(ref) }

// tip returns the id of the commit that a branch or tag is at. Of an annotated tag it is what that stands for.
func tip(refs *packp.AdvRefs, ref string) (string, error) {
	names := []string{ref}
	if !strings.HasPrefix(ref, "refs/") {
		names = []string{"refs/heads/" + ref, "refs/tags/" + ref}
	}
	for _, name := range names {
		if peeled, ok := refs.Peeled[name]; ok {
			return peeled.String(), nil
		}
		if hash, ok := refs.References[name]; ok {
			return hash.String(), nil
		}
	}
	if ref == "HEAD" && refs.Head != nil {
		return refs.Head.String(), nil
	}
	if shortID.MatchString(ref) {
		return "", pluginapi.Errorf(pluginapi.CodeNotFound,
			"the remote has no branch or tag %s; a commit is named by all 40 digits of its id, in lower case", ref)
	}
	return "", pluginapi.Errorf(pluginapi.CodeNotFound, "the remote has no branch or tag %s%s", ref, others(refs))
}

// others names some branches that are there.
func others(refs *packp.AdvRefs) string {
	const enough = 5
	var branches []string
	for name := range maps.Keys(refs.References) {
		if branch, ok := strings.CutPrefix(name, "refs/heads/"); ok {
			branches = append(branches, branch)
		}
	}
	slices.Sort(branches)
	switch {
	case len(branches) == 0:
		return "; it has no branches"
	case len(branches) > enough:
		return "; its branches are " + strings.Join(branches[:enough], ", ") + " and others"
	default:
		return "; its branches are " + strings.Join(branches, ", ")
	}
}

// advertised returns what to ask for in order to get the commit, if a branch or tag is at it. Servers let clients have
// what they have named, which for an annotated tag is the tag and not its commit.
func advertised(refs *packp.AdvRefs, id string) (plumbing.Hash, bool) {
	for _, hash := range refs.References {
		if hash.String() == id {
			return hash, true
		}
	}
	for name, hash := range refs.Peeled {
		if tag, ok := refs.References[name]; ok && hash.String() == id {
			return tag, true
		}
	}
	if refs.Head != nil && refs.Head.String() == id {
		return *refs.Head, true
	}
	return plumbing.ZeroHash, false
}
