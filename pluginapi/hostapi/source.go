package hostapi

import (
	"context"
	"regexp"

	"google.golang.org/grpc"

	"github.com/stroem/stroem/pluginapi"
	"github.com/stroem/stroem/pluginapi/internal/pluginv1"
)

// Source is a source plugin at the other end of a connection.
type Source struct {
	*Plugin
	rpc pluginv1.SourceServiceClient
}

// NewSource returns the source at the other end of conn; see [NewPlugin].
func NewSource(conn grpc.ClientConnInterface, name string) *Source {
	return &Source{Plugin: NewPlugin(conn, name), rpc: pluginv1.NewSourceServiceClient(conn)}
}

// Resolve implements [pluginapi.Source].
func (s *Source) Resolve(ctx context.Context, req *pluginapi.ResolveRequest) (*pluginapi.Revision, error) {
	resp, err := s.rpc.Resolve(ctx, &pluginv1.ResolveRequest{Workspace: req.Workspace, Settings: req.Settings})
	if err != nil {
		return nil, s.label.fail(err)
	}
	return s.revision(resp.GetRevision())
}

// Fetch implements [pluginapi.Source].
func (s *Source) Fetch(ctx context.Context, req *pluginapi.FetchRequest) (*pluginapi.Revision, error) {
	resp, err := s.rpc.Fetch(ctx, &pluginv1.FetchRequest{
		Workspace: req.Workspace, Settings: req.Settings, Revision: req.Revision, Dir: req.Dir,
	})
	if err != nil {
		return nil, s.label.fail(err)
	}
	return s.revision(resp.GetRevision())
}

// revisionID is strict because hosts make directory names of it: no slash, no leading dot.
var revisionID = regexp.MustCompile(`^[0-9A-Za-z_][0-9A-Za-z._-]{0,127}$`)

func (s *Source) revision(r *pluginv1.Revision) (*pluginapi.Revision, error) {
	if !revisionID.MatchString(r.GetId()) {
		return nil, s.label.broken("%q is not the id of a revision", r.GetId())
	}
	revision := &pluginapi.Revision{ID: r.GetId(), Author: clip(r.GetAuthor(), maxDiagnostic), Message: clip(r.GetMessage(), maxText)}
	if r.GetTime() != nil {
		revision.Time = r.GetTime().AsTime()
	}
	return revision, nil
}
