package pluginapi

import (
	"context"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/stroem/stroem/pluginapi/internal/pluginv1"
)

type sourceServer struct {
	pluginv1.UnimplementedSourceServiceServer
	*server
	source Source
}

func (s *sourceServer) Resolve(ctx context.Context, req *pluginv1.ResolveRequest) (*pluginv1.ResolveResponse, error) {
	if err := s.ready(); err != nil {
		return nil, err
	}
	revision, err := s.source.Resolve(ctx, &ResolveRequest{Workspace: req.GetWorkspace(), Settings: req.GetSettings()})
	if err != nil {
		return nil, err
	}
	return &pluginv1.ResolveResponse{Revision: revisionToProto(revision)}, nil
}

func (s *sourceServer) Fetch(ctx context.Context, req *pluginv1.FetchRequest) (*pluginv1.FetchResponse, error) {
	if err := s.ready(); err != nil {
		return nil, err
	}
	revision, err := s.source.Fetch(ctx, &FetchRequest{
		Workspace: req.GetWorkspace(), Settings: req.GetSettings(), Revision: req.GetRevision(), Dir: req.GetDir(),
	})
	if err != nil {
		return nil, err
	}
	return &pluginv1.FetchResponse{Revision: revisionToProto(revision)}, nil
}

func revisionToProto(r *Revision) *pluginv1.Revision {
	p := &pluginv1.Revision{Id: r.ID, Author: r.Author, Message: r.Message}
	if !r.Time.IsZero() {
		p.Time = timestamppb.New(r.Time)
	}
	return p
}
