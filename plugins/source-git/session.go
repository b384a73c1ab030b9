package main

import (
	"context"
	"fmt"
	"io"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/protocol/packp"
	"github.com/go-git/go-git/v5/plumbing/protocol/packp/capability"
	"github.com/go-git/go-git/v5/plumbing/protocol/packp/sideband"

	"github.com/stroem/stroem/pluginapi"
)

// session is one conversation with git-upload-pack on the other side: first refs, then at most one pack. It ends with its
// context; close frees what it holds. Not for concurrent use.
//
// go-git has transports of its own. These are not used: they read ~/.ssh/config and the environment as they like, connect
// to any address, cannot be interrupted while they do, and share their state among all workspaces.
type session interface {
	// refs returns what the remote has. It is nil for a repository without a commit.
	refs(ctx context.Context) (*packp.AdvRefs, error)
	// pack asks for objects; the answer is that of the protocol, before anything is decoded.
	pack(ctx context.Context, req *packp.UploadPackRequest) (io.ReadCloser, error)
	close()
}

// maxRefs is how long the list of a remote's branches and tags may be.
const maxRefs = 64 << 20

// readRefs reads the list of a remote's branches and tags.
func readRefs(r io.Reader) (*packp.AdvRefs, error) {
	refs := packp.NewAdvRefs()
	if err := refs.Decode(io.LimitReader(r, maxRefs)); err != nil {
		return nil, err
	}
	// Packs have to be complete. The kinds of acknowledgements need no care: nothing is told that could be acknowledged, but
	// some servers (Azure DevOps) serve only who asks for them.
	refs.Capabilities.Delete(capability.ThinPack)
	if format := refs.Capabilities.Get("object-format"); len(format) > 0 && format[0] != "sha1" {
		return nil, pluginapi.Errorf(pluginapi.CodeInvalid, "the repository has object ids of the kind %.20q; only sha1 is supported", format[0])
	}
	return refs, nil
}

// newRequest asks for objects and what they need, with so many commits of history; 0 is all of it.
func newRequest(refs *packp.AdvRefs, depth int, wants ...plumbing.Hash) *packp.UploadPackRequest {
	req := packp.NewUploadPackRequestFromCapabilities(refs.Capabilities)
	req.Wants = wants
	if depth > 0 && refs.Capabilities.Supports(capability.Shallow) {
		req.Depth = packp.DepthCommits(depth)
		_ = req.Capabilities.Set(capability.Shallow) // fails for capabilities with arguments
	}
	if refs.Capabilities.Supports(capability.NoProgress) {
		_ = req.Capabilities.Set(capability.NoProgress)
	}
	return req
}

// download asks for a pack and hands it to take.
func download(ctx context.Context, s session, req *packp.UploadPackRequest, take func(io.Reader) error) error {
	body, err := s.pack(ctx, req)
	if err != nil {
		return err
	}
	defer func() { _ = body.Close() }() // only read from
	answer := packp.NewUploadPackResponse(req)
	if err := answer.Decode(body); err != nil {
		return fmt.Errorf("read the answer of the remote: %w", err)
	}
	switch {
	case req.Capabilities.Supports(capability.Sideband64k):
		return take(sideband.NewDemuxer(sideband.Sideband64k, answer))
	case req.Capabilities.Supports(capability.Sideband):
		return take(sideband.NewDemuxer(sideband.Sideband, answer))
	default:
		return take(answer)
	}
}

// writeRequest writes a request as one text. done ends the negotiation: nothing is there that could be told.
func writeRequest(w io.Writer, req *packp.UploadPackRequest) error {
	if err := req.UploadRequest.Encode(w); err != nil {
		return fmt.Errorf("write the request: %w", err)
	}
	if _, err := io.WriteString(w, "0009done\n"); err != nil {
		return fmt.Errorf("write the request: %w", err)
	}
	return nil
}
