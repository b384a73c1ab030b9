package main

import (
	"strings"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/object"

	"github.com/stroem/stroem/pluginapi"
)

// describe returns what is told of a commit.
func describe(commit *object.Commit) *pluginapi.Revision {
	const longest = 4096
	r := &pluginapi.Revision{
		ID:      commit.Hash.String(),
		Author:  clean(commit.Author.Name+" <"+commit.Author.Email+">", 512),
		Message: clean(commit.Message, longest),
	}
	// When it came to where it is, not when it was first written. Some commits have times that no clock shows.
	if at := commit.Committer.When.UTC(); at.Year() >= 1 && at.Year() <= 9999 {
		r.Time = at
	}
	return r
}

// clean makes text of what is in a commit, which may be anything.
func clean(text string, longest int) string {
	text = strings.ReplaceAll(strings.ToValidUTF8(text, "�"), "\x00", "�")
	return strings.TrimSpace(strings.ToValidUTF8(text[:min(len(text), longest)], ""))
}

// known returns a revision with what is told of it, as far as it is in the store.
func (s *source) known(w *workspace, id string) *pluginapi.Revision {
	if dir, ok := s.store.find(w.remote.key(), id); ok {
		if commit, err := object.GetCommit(objects(dir), plumbing.NewHash(id)); err == nil {
			return describe(commit)
		}
	}
	return &pluginapi.Revision{ID: id}
}
