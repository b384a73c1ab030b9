package workflow

import (
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/google/jsonschema-go/jsonschema"
	"go.yaml.in/yaml/v3"

	"github.com/stroem/stroem/core"
	"github.com/stroem/stroem/core/schema"
	"github.com/stroem/stroem/core/template"
)

// spec reads the keys of an action that belong to its type, and checks them against the type's schema.
func (r *reader) spec(n *yaml.Node, action *core.Action, pairs []pair) map[string]any {
	key := keyOf(action)
	s := r.specs[key]
	if s == nil {
		s = &spec{}
	}
	values, errorsBefore := map[string]any{}, len(r.diags)
	for _, p := range pairs {
		property := s.property(p.name)
		switch {
		case property != nil && isNull(p.value): // unset
		case property != nil:
			if values[p.name] = r.bySchema(p.value, property); r.hasKind(p, property, values[p.name]) {
				r.checkValue(p.value, values[p.name], s.keys[p.name])
			}
		case s.schema != nil && closed(s.schema):
			r.foreignKey(p, key, s)
		default:
			values[p.name] = r.free(p.value, 0)
		}
	}
	if s.schema != nil {
		r.checkPresence(n, key, s.schema, values)
	}
	if s.whole != nil && len(r.diags) == errorsBefore {
		r.checkValue(n, values, s.whole)
	}
	if len(r.diags) == errorsBefore {
		r.askPlugin(n, key, values)
	}
	return values
}

func (s *spec) property(name string) *jsonschema.Schema {
	if s.schema == nil {
		return nil
	}
	return s.schema.Properties[name]
}

// foreignKey reports a key that an action of this type does not have, and says which types do.
func (r *reader) foreignKey(p pair, key specKey, s *spec) {
	if owners := r.specs.owners(p.name); len(owners) > 0 {
		r.errorf(p.key, "'%s' does not belong to %s; it is for: %s", p.name, key, strings.Join(owners, ", "))
		return
	}
	known := slices.Concat(keyNames(actionKeys), slices.Sorted(maps.Keys(s.schema.Properties)))
	r.unknownKey(p, key.String(), known)
}

// checkPresence finds what is missing, and what excludes each other.
func (r *reader) checkPresence(n *yaml.Node, key specKey, schema *jsonschema.Schema, values map[string]any) {
	for _, name := range schema.Required {
		if _, ok := values[name]; !ok {
			r.errorf(n, "%s needs '%s'", key, name)
		}
	}
	var alternatives, present []string
	for _, one := range slices.Concat(schema.OneOf, schema.AnyOf) {
		if len(one.Required) != 1 || one.Properties != nil {
			return
		}
		alternatives = append(alternatives, one.Required[0])
		if _, ok := values[one.Required[0]]; ok {
			present = append(present, one.Required[0])
		}
	}
	switch {
	case len(alternatives) > 0 && len(present) == 0:
		r.errorf(n, "%s needs '%s'", key, strings.Join(alternatives, "' or '"))
	case len(schema.OneOf) > 0 && len(present) > 1:
		r.errorf(n, "%s has '%s': keep one of them", key, strings.Join(present, "' and '"))
	}
}

// bySchema reads a value with the types that a schema wants: where that is a string, any scalar is taken as text.
func (r *reader) bySchema(n *yaml.Node, schema *jsonschema.Schema) any {
	switch {
	case schema.Type == "string" && n.Kind == yaml.ScalarNode:
		value, _ := r.text(n)
		return value
	case schema.Type == "array" && n.Kind == yaml.SequenceNode && schema.Items != nil:
		list := make([]any, 0, len(n.Content))
		for _, item := range n.Content {
			if r.within(item) {
				list = append(list, r.bySchema(resolve(item), schema.Items))
			}
		}
		return list
	case schema.Type == "object" && n.Kind == yaml.MappingNode && len(schema.Properties) > 0:
		values := map[string]any{}
		for _, p := range r.pairs(n) {
			switch property := schema.Properties[p.name]; {
			case property != nil:
				values[p.name] = r.bySchema(p.value, property)
			case closed(schema):
				r.unknownKey(p, "this map", slices.Sorted(maps.Keys(schema.Properties)))
			default:
				values[p.name] = r.free(p.value, 0)
			}
		}
		return values
	default:
		return r.free(n, 0)
	}
}

// hasKind reports the commonest mistakes with words of our own: text for a list, nothing for text.
func (r *reader) hasKind(p pair, schema *jsonschema.Schema, value any) bool {
	wanted := ""
	switch schema.Type {
	case "array":
		if p.value.Kind != yaml.SequenceNode {
			wanted = "a list"
		}
	case "object":
		if p.value.Kind != yaml.MappingNode {
			wanted = "a map"
		}
	case "string":
		if p.value.Kind != yaml.ScalarNode {
			wanted = "text"
		} else if value == "" && schema.MinLength != nil && *schema.MinLength == 1 {
			r.errorf(p.value, "'%s' cannot be empty", p.name)
			return false
		}
	}
	if wanted != "" {
		r.errorf(p.value, "'%s' has to be %s, and is %s", p.name, wanted, kindName(p.value))
	}
	return wanted == ""
}

var validating = regexp.MustCompile(`^(validating [^:]+: )+`)

// checkValue holds a value against a schema, unless it has templates: what these render is not known yet.
func (r *reader) checkValue(n *yaml.Node, value any, against *schema.Schema) {
	if against == nil || hasTemplate(value) {
		return
	}
	if err := against.Validate(value); err != nil {
		r.errorf(n, "this value is not valid: %s", validating.ReplaceAllString(err.Error(), ""))
	}
}

func hasTemplate(value any) bool {
	found := false
	walkStrings(value, nil, func(_ []any, text string) { found = found || template.HasTemplate(text) })
	return found
}

// walkStrings visits the strings at any depth of a value, in order of keys, each with its path below the given one.
// The path is only valid during the call.
func walkStrings(value any, path []any, visit func(path []any, text string)) {
	switch v := value.(type) {
	case string:
		visit(path, v)
	case []any:
		for i, item := range v {
			walkStrings(item, append(path, i), visit)
		}
	case map[string]any:
		for _, name := range slices.Sorted(maps.Keys(v)) {
			walkStrings(v[name], append(path, name), visit)
		}
	}
}
