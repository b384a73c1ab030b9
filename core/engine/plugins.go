package engine

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"unicode/utf8"

	"github.com/stroem/stroem/core"
	"github.com/stroem/stroem/core/api"
)

// Limits of what a worker says of its plugins.
const (
	maxPlugins     = 100
	maxActionTypes = 1000 // of all plugins
	maxSpecSchema  = 256 << 10
	maxPluginText  = 4 << 10 // of a name, a version, an error
)

// splitPlugins returns what is kept with the worker, which is the plugins without the schemas of their action types, and
// the action types, sorted and each once.
func splitPlugins(plugins []api.Plugin) (json.RawMessage, []core.ActionType, error) {
	if len(plugins) > maxPlugins {
		return nil, nil, core.Errorf(core.CodeInvalid, "", "more than %d plugins", maxPlugins)
	}
	kept, types := make([]api.Plugin, len(plugins)), map[[2]string]core.ActionType{}
	for i, p := range plugins {
		if p.Name == "" || max(len(p.Kind), len(p.Name), len(p.Version), len(p.State), len(p.LastError)) > maxPluginText {
			return nil, nil, core.Errorf(core.CodeInvalid, "", "plugin %d: it needs a name, and no text of it may exceed %d bytes", i, maxPluginText)
		}
		kept[i] = p
		kept[i].ActionTypes = make([]api.ActionType, len(p.ActionTypes))
		for j, t := range p.ActionTypes {
			if err := checkActionType(t); err != nil {
				return nil, nil, core.Errorf(core.CodeInvalid, "", "plugin %s: action type %.100q: %s", p.Name, t.Name, err)
			}
			types[[2]string{t.Name, t.Runner}] = core.ActionType{
				Name: t.Name, Runner: t.Runner, Tag: t.Tag, Workspace: t.Workspace, Attachable: t.Attachable, SpecSchema: t.SpecSchema,
				Plugin: p.Name, PluginVersion: p.Version,
			}
			t.SpecSchema = nil
			kept[i].ActionTypes[j] = t
		}
	}
	if len(types) > maxActionTypes {
		return nil, nil, core.Errorf(core.CodeInvalid, "", "more than %d action types", maxActionTypes)
	}
	document, err := json.Marshal(kept)
	if err == nil {
		document, err = cleanJSON(document)
	}
	if err != nil {
		return nil, nil, fmt.Errorf("encode plugins: %w", err)
	}
	sorted := make([]core.ActionType, 0, len(types))
	for _, key := range slices.SortedFunc(maps.Keys(types), func(a, b [2]string) int { return slices.Compare(a[:], b[:]) }) {
		sorted = append(sorted, types[key])
	}
	return document, sorted, nil
}

func checkActionType(t api.ActionType) error {
	switch {
	case !core.IsActionType(t.Name):
		return errors.New("a type is called vendor.name, in lower case")
	case core.Vendor(t.Name) != "" && t.Runner != "":
		return errors.New("types of third parties have no variants")
	case t.Runner != "" && !core.IsActionType(t.Runner):
		return fmt.Errorf("%.100q is no name for its runner", t.Runner)
	case t.Tag == "" || len(t.Tag) > maxTag:
		return fmt.Errorf("its tag has to have 1 to %d characters", maxTag)
	case len(t.SpecSchema) > maxSpecSchema || !utf8.Valid(t.SpecSchema):
		return fmt.Errorf("its schema has to be UTF-8 of at most %d bytes", maxSpecSchema)
	}
	return nil
}
