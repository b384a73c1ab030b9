package pluginhost

import (
	"context"

	"github.com/stroem/stroem/pluginapi"
)

// sourceHandle is a source that stays valid across restarts.
type sourceHandle struct{ handle }

// Resolve implements [pluginapi.Source].
func (h sourceHandle) Resolve(ctx context.Context, req *pluginapi.ResolveRequest) (*pluginapi.Revision, error) {
	return call(ctx, h.s, func(ctx context.Context, i *instance) (*pluginapi.Revision, error) {
		return i.source().Resolve(ctx, req)
	})
}

// Fetch implements [pluginapi.Source].
func (h sourceHandle) Fetch(ctx context.Context, req *pluginapi.FetchRequest) (*pluginapi.Revision, error) {
	return call(ctx, h.s, func(ctx context.Context, i *instance) (*pluginapi.Revision, error) {
		return i.source().Fetch(ctx, req)
	})
}
