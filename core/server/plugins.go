package server

import (
	"context"
	"reflect"
	"sync"

	"github.com/stroem/stroem/core"
	"github.com/stroem/stroem/core/api"
	"github.com/stroem/stroem/core/pluginhost"
	"github.com/stroem/stroem/core/postgres"
)

// actionTypes are the types that workers have described, as of the last reload.
type actionTypes struct {
	store *postgres.Store

	mu    sync.Mutex
	known []core.ActionType
}

// reload reads them again and tells whether they are others.
func (a *actionTypes) reload(ctx context.Context) (changed bool, err error) {
	types, err := a.store.ActionTypes(ctx)
	if err != nil {
		return false, err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	changed = !reflect.DeepEqual(types, a.known)
	a.known = types
	return changed, nil
}

func (a *actionTypes) list() []core.ActionType {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.known
}

// describePlugins tells how the plugins of this server are.
func describePlugins(host *pluginhost.Host) []api.Plugin {
	list := []api.Plugin{}
	for _, p := range host.Plugins() {
		list = append(list, api.Plugin{
			Kind: string(p.Kind), Name: p.Name, Version: p.Version, State: string(p.State), Since: new(p.Since.UTC()),
			Restarts: p.Restarts, LastError: p.LastError,
		})
	}
	return list
}
