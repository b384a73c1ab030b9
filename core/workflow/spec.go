package workflow

import (
	"embed"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/google/jsonschema-go/jsonschema"

	"github.com/stroem/stroem/core"
	"github.com/stroem/stroem/core/schema"
)

//go:embed schema/*.json
var schemas embed.FS

// BuiltinTypes are the action types that need no third party's plugin, in order. A task action needs no worker and has no
// tag.
func BuiltinTypes() []core.ActionType {
	types := make([]core.ActionType, len(builtinKeys))
	for i, key := range builtinKeys {
		t := core.ActionType{Name: key.actionType, Runner: key.runner, SpecSchema: readSchema(key)}
		if tags := (&core.Action{Type: key.actionType, Runner: key.runner}).RequiredTags(); len(tags) > 0 {
			t.Tag = tags[0]
		}
		types[i] = t
	}
	return types
}

// spec says which keys an action has besides the common ones. The zero spec is of a type with any keys.
type spec struct {
	schema *jsonschema.Schema
	whole  *schema.Schema
	keys   map[string]*schema.Schema
}

// specKey is the type of an action and, for shell, its runner.
type specKey struct{ actionType, runner string }

// String names such an action for messages.

func (k specKey) String() string {
	switch {
	case strings.Contains(k.actionType, "."):
		return "an action of type " + k.actionType
	case k.runner == "" || k.runner == core.RunnerLocal:
		return "a " + k.actionType + " action"
	}
	return "a " + k.actionType + " action with runner " + k.runner
}

type specs map[specKey]*spec

func keyOf(a *core.Action) specKey {
	if a.Type != core.TypeShell {
		return specKey{a.Type, ""}
	}
	return specKey{a.Type, a.RunnerName()}
}

var builtinKeys = []specKey{
	{core.TypeShell, core.RunnerLocal},
	{core.TypeShell, core.RunnerDocker},
	{core.TypeShell, core.RunnerPod},
	{core.TypeDocker, ""},
	{core.TypePod, ""},
	{core.TypeTask, ""},
}

// builtinSpecs reads the schemas that ship with this package. It panics if one of them is broken.
var builtinSpecs = sync.OnceValue(func() specs {
	all := specs{}
	for _, key := range builtinKeys {
		s, err := newSpec(readSchema(key))
		if err != nil {
			panic(fmt.Sprintf("workflow: schema of %s: %v", key, err)) //nolint:forbidigo // a file of this package is wrong
		}
		all[key] = s
	}
	return all
})

func readSchema(key specKey) json.RawMessage {
	name := strings.TrimSuffix(key.actionType+"-"+key.runner, "-")
	document, err := schemas.ReadFile("schema/" + name + ".json")
	if err != nil {
		panic(fmt.Sprintf("workflow: schema of %s: %v", key, err)) //nolint:forbidigo // a file of this package is missing
	}
	return document
}

// newSpecs are the specs of the built-in types and of the given ones. A schema that cannot be used is reported.
func newSpecs(types []core.ActionType) (specs, Diagnostics) {
	all := maps.Clone(builtinSpecs())
	var diags Diagnostics
	for _, t := range types {
		key := specKey{t.Name, ""}
		if !strings.Contains(t.Name, ".") {
			continue // bare names are ours
		}
		all[key] = &spec{}
		if len(t.SpecSchema) == 0 {
			continue
		}
		s, err := newSpec(t.SpecSchema)
		if err != nil {
			diags = append(diags, Diagnostic{
				Severity: SeverityWarning,
				Message:  fmt.Sprintf("the plugin's schema for actions of type %s cannot be used, so they are not checked: %s", t.Name, err),
			})
			continue
		}
		all[key] = s
	}
	return all, diags
}

// newSpec reads the schema of a type, which a third party may have written.
func newSpec(document []byte) (*spec, error) {
	whole, err := schema.Resolve(document)
	if err != nil {
		return nil, err
	}
	s := &spec{schema: whole.Root(), whole: whole, keys: map[string]*schema.Schema{}}
	for name, property := range s.schema.Properties {
		text, err := json.Marshal(property)
		if err != nil {
			return nil, fmt.Errorf("the schema of %s: %w", name, err)
		}
		// A property that refers to the rest of the schema is checked with the whole only.
		if resolved, err := schema.Resolve(text); err == nil {
			s.keys[name] = resolved
		}
	}
	return s, nil
}

// closed tells whether keys without a schema of their own are refused.
func closed(s *jsonschema.Schema) bool {
	return s.AdditionalProperties != nil && s.AdditionalProperties.Not != nil
}

// types are the names of all action types, for suggestions.
func (all specs) types() []string {
	var names []string
	for key := range all {
		names = append(names, key.actionType)
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// owners are the built-in types that have a key.
func (all specs) owners(key string) []string {
	var owners []string
	for _, k := range builtinKeys {
		if all[k].schema.Properties[key] != nil {
			owners = append(owners, k.String())
		}
	}
	return owners
}
