package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"slices"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/object"
	"github.com/go-git/go-git/v5/plumbing/protocol/packp"
	"github.com/go-git/go-git/v5/plumbing/protocol/packp/capability"

	"github.com/stroem/stroem/pluginapi"
)

// nearby is how many commits of a branch are looked at for one that is no longer its last, where the remote does not hand
// out what it has not named.
const nearby = 100

func (s *source) Fetch(ctx context.Context, req *pluginapi.FetchRequest) (*pluginapi.Revision, error) {
	w, err := s.workspace(ctx, req.Workspace, req.Settings)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, s.config.timeout())
	defer cancel()
	revision, err := s.fetch(ctx, w, req)
	if err != nil {
		return nil, w.explain(err)
	}
	return revision, nil
}

func (s *source) fetch(ctx context.Context, w *workspace, req *pluginapi.FetchRequest) (*pluginapi.Revision, error) {
	id := req.Revision
	if id == "" {
		var err error
		if id, err = s.resolve(ctx, w); err != nil {
			return nil, err
		}
	}
	if !commitID.MatchString(id) {
		return nil, gone(id)
	}
	place, err := s.store.take(ctx, w.remote.key(), id, func(dir string) error { return s.download(ctx, w, id, dir) })
	if err != nil {
		return nil, err
	}
	defer func() {
		if err := place.give(); err != nil {
			s.logger.WarnContext(ctx, "packs of old revisions stay on the disk", "error", err)
		}
	}()
	storage := objects(place.dir())
	commit, err := object.GetCommit(storage, plumbing.NewHash(id))
	if err != nil {
		return nil, fmt.Errorf("read the commit: %w", err)
	}
	dir, err := os.OpenRoot(req.Dir)
	if err != nil {
		return nil, fmt.Errorf("open target: %w", err)
	}
	defer func() { _ = dir.Close() }() // every file in it was closed with its error heeded
	c := &checkout{config: s.config, objects: storage, dir: dir}
	if err := c.tree(ctx, commit.TreeHash, ""); err != nil {
		return nil, err
	}
	return describe(commit), nil
}

// download fills a directory with the objects of a commit.
func (s *source) download(ctx context.Context, w *workspace, id, dir string) error {
	return s.converse(ctx, w, func(conversation session, refs *packp.AdvRefs) error {
		req, err := ask(refs, w.Ref, id)
		if err != nil {
			return err
		}
		err = download(ctx, conversation, req, func(pack io.Reader) error { return s.config.takePack(ctx, pack, dir) })
		if err != nil {
			return err
		}
		if _, err := object.GetCommit(objects(dir), plumbing.NewHash(id)); err != nil {
			return gone(id)
		}
		return nil
	})
}

// generous are what servers say that hand out more than they have named.
var generous = []capability.Capability{capability.AllowReachableSHA1InWant, "allow-any-sha1-in-want"}

// ask decides what to ask for in order to get one commit. All servers hand out what a branch or tag is at, and many
// whatever a branch leads to. Of others it takes a piece of the history to get an older commit, or all of it where that is
// what the workspace stays at.
func ask(refs *packp.AdvRefs, ref, id string) (*packp.UploadPackRequest, error) {
	if want, ok := advertised(refs, id); ok {
		return newRequest(refs, 1, want), nil
	}
	if slices.ContainsFunc(generous, refs.Capabilities.Supports) {
		return newRequest(refs, 1, plumbing.NewHash(id)), nil
	}
	if ref != id {
		last, err := tip(refs, ref)
		if err != nil {
			return nil, err
		}
		want, _ := advertised(refs, last)
		return newRequest(refs, nearby, want), nil
	}
	var wants []plumbing.Hash
	for _, hash := range refs.References {
		if !slices.Contains(wants, hash) {
			wants = append(wants, hash)
		}
	}
	return newRequest(refs, 0, wants...), nil
}

func gone(id string) error {
	return pluginapi.Errorf(pluginapi.CodeNotFound, "the remote has no commit %.100s any more", id)
}
