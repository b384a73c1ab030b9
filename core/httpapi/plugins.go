package httpapi

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/gofiber/fiber/v2"

	"github.com/stroem/stroem/core"
	"github.com/stroem/stroem/core/api"
	"github.com/stroem/stroem/core/workflow"
)

// serverHost is the name of the server among the hosts of plugins.
const serverHost = "server"

// pluginReady is the state of a plugin that works.
const pluginReady = "ready"

func (a *API) listPlugins(c *fiber.Ctx) error {
	workers, err := a.Store.ActiveWorkers(requestContext(c))
	if err != nil {
		return err
	}
	list := []api.HostedPlugin{}
	if a.Plugins != nil {
		for _, p := range a.Plugins() {
			list = append(list, api.HostedPlugin{Host: serverHost, Plugin: p})
		}
	}
	for _, w := range workers {
		plugins, err := pluginsOf(&w)
		if err != nil {
			return err
		}
		for _, p := range plugins {
			list = append(list, api.HostedPlugin{Host: w.Name, WorkerID: optionalID(w.ID), Plugin: p})
		}
	}
	return c.JSON(list)
}

func pluginsOf(w *core.Worker) ([]api.Plugin, error) {
	plugins := []api.Plugin{}
	if err := json.Unmarshal(w.Plugins, &plugins); err != nil {
		return nil, fmt.Errorf("decode the plugins of worker %s: %w", w.Name, err)
	}
	return plugins, nil
}

// typeKey is what tells action types apart.
type typeKey struct{ name, runner string }

// listActionTypes merges our own types, which are there before any worker is, with what workers have described.
func (a *API) listActionTypes(c *fiber.Ctx) error {
	described, err := a.Store.ActionTypes(requestContext(c))
	if err != nil {
		return err
	}
	offered, err := a.offered(c)
	if err != nil {
		return err
	}
	byKey := map[typeKey]core.ActionType{}
	list := make([]api.OfferedActionType, 0, len(described))
	add := func(t core.ActionType, builtin bool) {
		list = append(list, api.OfferedActionType{
			Name: t.Name, Runner: t.Runner, Tag: t.Tag, Vendor: core.Vendor(t.Name), Builtin: builtin, Schema: t.SpecSchema,
			Workspace: t.Workspace, Attachable: t.Attachable, Plugin: t.Plugin, Version: t.PluginVersion,
			Workers: offered[typeKey{t.Name, t.Runner}],
		})
	}
	for _, t := range described {
		byKey[typeKey{t.Name, t.Runner}] = t
	}
	for _, builtin := range workflow.BuiltinTypes() {
		t := byKey[typeKey{builtin.Name, builtin.Runner}]
		t.Name, t.Runner, t.Tag, t.SpecSchema = builtin.Name, builtin.Runner, builtin.Tag, builtin.SpecSchema
		add(t, true)
	}
	for _, t := range described {
		if core.IsVendorType(t.Name) {
			add(t, false)
		}
	}
	slices.SortStableFunc(list, func(x, y api.OfferedActionType) int { return strings.Compare(x.Vendor, y.Vendor) })
	return c.JSON(list)
}

// offered counts the active workers with a ready plugin for each action type.
func (a *API) offered(c *fiber.Ctx) (map[typeKey]int, error) {
	workers, err := a.Store.ActiveWorkers(requestContext(c))
	if err != nil {
		return nil, err
	}
	counts := map[typeKey]int{}
	for i := range workers {
		plugins, err := pluginsOf(&workers[i])
		if err != nil {
			return nil, err
		}
		for _, p := range plugins {
			if p.State != pluginReady {
				continue
			}
			for _, t := range p.ActionTypes {
				counts[typeKey{t.Name, t.Runner}]++ // a type has one plugin on a worker
			}
		}
	}
	return counts, nil
}
