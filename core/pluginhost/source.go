package pluginhost

import (
	"context"
	"encoding/json"

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

// CheckSettings holds the settings of a workspace against what the source plugin of a name asks for. checked is false as
// long as that is not known, because the plugin has not been up yet. The error says which key is wrong, below where, and
// what the schema asks for, but no values: they may be secret.
func (h *Host) CheckSettings(name, where string, settings json.RawMessage) (checked bool, err error) {
	s := h.find(pluginapi.KindSource, name)
	if s == nil {
		return false, nil
	}
	description := s.known()
	if description == nil {
		return false, nil
	}
	if len(description.SettingsSchema) == 0 {
		return true, nil
	}
	return true, matches(settings, description.SettingsSchema, where)
}
