package workflow

import (
	"slices"
	"strings"

	"github.com/google/jsonschema-go/jsonschema"
	"go.yaml.in/yaml/v3"
)

// shape is a kind of YAML value: how it is read, and what the JSON Schema for editors says of it.
type shape[V any] struct {
	schema *jsonschema.Schema
	null   nullRule
	read   func(r *reader, n *yaml.Node) V
}

// nullRule says what a key means that has null, or nothing, behind it.
type nullRule int

const (
	nullUnset nullRule = iota // as if the key were not there
	nullEmpty                 // lists and maps: nothing is an empty one, a written null an error
	nullRead                  // the shape decides
)

// ref gives the shape a name under which the schema defines it once.
func (s shape[V]) ref(name string) shape[V] {
	s.schema = &jsonschema.Schema{Ref: "#/$defs/" + name}
	return s
}

// key is one key of an object of type T.
type key[T any] struct {
	name   string
	doc    string
	needed bool
	schema *jsonschema.Schema
	read   func(r *reader, n *yaml.Node, into *T)
}

// field makes the key that fills one field of T.
func field[T, V any](name, doc string, s shape[V], of func(*T) *V) key[T] {
	read := func(r *reader, n *yaml.Node, into *T) {
		if isNull(n) && s.null != nullRead {
			if s.null == nullEmpty && !isEmpty(n) {
				r.errorf(n, "'%s' cannot be null: leave it out, or leave it empty", name)
			}
			return
		}
		*of(into) = s.read(r, n)
	}
	return key[T]{name: name, doc: doc, schema: s.schema, read: read}
}

// required marks a key that has to be there and to have a value.
func (k key[T]) required() key[T] {
	k.needed = true
	return k
}

// object is a map with known keys. what names it in messages, with its article.
func object[T any](what string, keys ...key[T]) shape[T] {
	return shape[T]{
		null:   nullEmpty,
		schema: objectSchema(keys),
		read: func(r *reader, n *yaml.Node) (value T) {
			if pairs, ok := r.mapping(n, what); ok {
				for _, unknown := range readKeys(r, n, what, keys, pairs, &value) {
					r.unknownKey(unknown, what, keyNames(keys))
				}
			}
			return value
		},
	}
}

// mapping returns the entries of a map, or reports that n is none.
func (r *reader) mapping(n *yaml.Node, what string) ([]pair, bool) {
	if n.Kind != yaml.MappingNode {
		r.errorf(n, "%s has to be a map, and is %s", what, kindName(n))
		return nil, false
	}
	return r.pairs(n), true
}

// readKeys fills value from the entries that have one of the keys, and returns the others.
func readKeys[T any](r *reader, n *yaml.Node, what string, keys []key[T], pairs []pair, value *T) (others []pair) {
	present := make([]bool, len(keys))
	for _, p := range pairs {
		i := slices.IndexFunc(keys, func(k key[T]) bool { return k.name == p.name })
		if i < 0 {
			others = append(others, p)
			continue
		}
		present[i] = true
		if keys[i].needed && isNull(p.value) {
			r.errorf(p.key, "'%s' is required in %s, and is empty", p.name, what)
			continue
		}
		keys[i].read(r, p.value, value)
	}
	for i, k := range keys {
		if k.needed && !present[i] {
			r.errorf(n, "%s needs '%s'", what, k.name)
		}
	}
	return others
}

func (r *reader) unknownKey(p pair, what string, known []string) {
	r.errorf(p.key, "unknown key '%s' in %s%s", p.name, what, orKnown(p.name, known))
}

// orKnown proposes the nearest of the known names, or lists them all.
func orKnown(name string, known []string) string {
	if suggestion := DidYouMean(name, slices.Values(known)); suggestion != "" {
		return suggestion
	}
	return "; known are: " + strings.Join(known, ", ")
}

func keyNames[T any](keys []key[T]) []string {
	names := make([]string, len(keys))
	for i, k := range keys {
		names[i] = k.name
	}
	return names
}

// mapOf is a map with names of the user's; valid checks each. what names the map in messages.
func mapOf[V any](what string, valid nameRule, item shape[V]) shape[map[string]V] {
	schema := &jsonschema.Schema{Types: []string{"object", "null"}, AdditionalProperties: item.schema}
	if valid.pattern != "" {
		schema.PropertyNames = &jsonschema.Schema{Pattern: valid.pattern}
	}
	return shape[map[string]V]{
		null:   nullEmpty,
		schema: schema,
		read: func(r *reader, n *yaml.Node) map[string]V {
			pairs, ok := r.mapping(n, what)
			if !ok || len(pairs) == 0 {
				return nil
			}
			values := make(map[string]V, len(pairs))
			for _, p := range pairs {
				valid.check(r, p.key)
				values[p.name] = item.read(r, p.value)
			}
			return values
		},
	}
}

// listOf is a list of one kind of value. what names the list in messages.
func listOf[V any](what string, item shape[V]) shape[[]V] {
	return shape[[]V]{
		null:   nullEmpty,
		schema: &jsonschema.Schema{Types: []string{"array", "null"}, Items: item.schema},
		read: func(r *reader, n *yaml.Node) []V {
			if n.Kind != yaml.SequenceNode {
				r.errorf(n, "%s has to be a list, and is %s: write […]", what, kindName(n))
				return nil
			}
			values := make([]V, 0, len(n.Content))
			for _, item0 := range n.Content {
				if r.within(item0) {
					values = append(values, item.read(r, resolve(item0)))
				}
			}
			return values
		},
	}
}

// pointer reads a value to be referred to.
func pointer[V any](s shape[V]) shape[*V] {
	return shape[*V]{schema: s.schema, null: s.null, read: func(r *reader, n *yaml.Node) *V {
		value := s.read(r, n)
		return &value
	}}
}
