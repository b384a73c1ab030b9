// Package schema reads JSON Schemas that were not written by us, such as those of plugins, so that checking a value against
// one is safe: it ends, and soon.
package schema

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/google/jsonschema-go/jsonschema"
)

// maxChecks is how many schemas may apply to one value, those that they refer to included. References can double that
// number with every line.
const maxChecks = 10_000

// Schema is one that can be used. It is immutable.
type Schema struct {
	resolved *jsonschema.Resolved
	cost     *node
}

// Root is the schema as it was read.
func (s *Schema) Root() *jsonschema.Schema { return s.resolved.Schema() }

// Validate holds a value, of the types that encoding/json makes, against the schema. Its error repeats parts of the value.
func (s *Schema) Validate(value any) error {
	if err := s.affordable(value); err != nil {
		return err
	}
	return s.resolved.Validate(value)
}

// Resolve reads a schema and gets it ready for use. References lead to other places in the same schema (#/$defs/name), and
// none leads back to itself without going deeper into the value: checking a value against such a schema never ends.
func Resolve(text json.RawMessage) (*Schema, error) {
	var schema jsonschema.Schema
	if err := json.Unmarshal(text, &schema); err != nil {
		return nil, fmt.Errorf("not a JSON schema: %w", err)
	}
	text, err := json.Marshal(&schema) // as it was understood: keywords are read whatever their case
	if err != nil {
		return nil, fmt.Errorf("not a JSON schema: %w", err)
	}
	var root any
	if err := json.Unmarshal(text, &root); err != nil {
		return nil, fmt.Errorf("not a JSON schema: %w", err)
	}
	w := walk{root: root, checks: map[string]int{}}
	if err := w.all("", root); err != nil {
		return nil, fmt.Errorf("not a JSON schema that can be used: %w", err)
	}
	resolved, err := schema.Resolve(nil)
	if err != nil {
		return nil, fmt.Errorf("not a JSON schema: %w", err)
	}
	c := compiler{walk: &w, nodes: map[string]*node{}}
	return &Schema{resolved: resolved, cost: c.node("", root)}, nil
}

// walk looks at every object of a schema as if it were a schema: what is data, such as in an enum, does no harm.
type walk struct {
	root   any
	checks map[string]int // by JSON Pointer: how many schemas apply where this one does; 0 while it is counted
}

func (w *walk) all(at string, node any) error {
	switch node := node.(type) {
	case []any:
		for i, element := range node {
			if err := w.all(at+"/"+strconv.Itoa(i), element); err != nil {
				return err
			}
		}
	case map[string]any:
		if _, err := w.count(at, node); err != nil {
			return err
		}
		for key, value := range node {
			if err := w.all(at+"/"+escape(key), value); err != nil {
				return err
			}
		}
	}
	return nil
}

// sameValue are the keywords whose schemas apply to the value itself; all others apply to a part of it.
var sameValue = []string{"allOf", "anyOf", "oneOf", "not", "if", "then", "else", "dependentSchemas", "dependencies"}

// elsewhere are the keywords that give a schema another address than its place.
var elsewhere = []string{"$id", "$anchor", "$dynamicAnchor", "$dynamicRef", "$recursiveRef"}

func (w *walk) count(at string, node map[string]any) (int, error) {
	if n, ok := w.checks[at]; ok {
		if n == 0 {
			return 0, fmt.Errorf("%s refers to itself", place(at))
		}
		return n, nil
	}
	for _, key := range elsewhere {
		if _, ok := node[key].(string); ok && (at != "" || key != "$id") {
			return 0, fmt.Errorf("%s has %s; refer to schemas by their place, such as #/$defs/name", place(at), key)
		}
	}
	w.checks[at] = 0
	total := 1
	add := func(at string, node any) error {
		object, ok := node.(map[string]any)
		if !ok {
			return nil
		}
		n, err := w.count(at, object)
		if total += n; err == nil && total > maxChecks {
			err = fmt.Errorf("%s has more than %d schemas apply to one value", place(at), maxChecks)
		}
		return err
	}
	if ref, ok := node["$ref"].(string); ok {
		target, value, err := w.follow(ref)
		if err != nil {
			return 0, fmt.Errorf("%s: %w", place(at), err)
		}
		if err := add(target, value); err != nil {
			return 0, err
		}
	}
	for _, key := range sameValue {
		if err := each(at+"/"+key, node[key], add); err != nil {
			return 0, err
		}
	}
	w.checks[at] = total
	return total, nil
}

// each calls f for a schema, and for those in a list or map of schemas.
func each(at string, node any, f func(string, any) error) error {
	switch node := node.(type) {
	case []any:
		for i, element := range node {
			if err := f(at+"/"+strconv.Itoa(i), element); err != nil {
				return err
			}
		}
	case map[string]any:
		if mapOfSchemas(at) {
			for key, value := range node {
				if err := f(at+"/"+escape(key), value); err != nil {
					return err
				}
			}
			return nil
		}
		return f(at, node)
	}
	return nil
}

// mapOfSchemas tells whether a keyword, at the end of a place, has schemas by name.
func mapOfSchemas(at string) bool {
	return slices.Contains([]string{"dependentSchemas", "dependencies", "patternProperties"}, at[strings.LastIndexByte(at, '/')+1:])
}

// follow returns what a reference leads to.
func (w *walk) follow(ref string) (at string, node any, err error) {
	fragment, ok := strings.CutPrefix(ref, "#")
	if !ok || fragment != "" && !strings.HasPrefix(fragment, "/") {
		return "", nil, fmt.Errorf("$ref %q leads out of the schema; refer to its own parts, such as #/$defs/name", ref)
	}
	if fragment, err = url.PathUnescape(fragment); err != nil {
		return "", nil, fmt.Errorf("$ref %q: %w", ref, err)
	}
	node = w.root
	for segment := range strings.SplitSeq(strings.TrimPrefix(fragment, "/"), "/") {
		if fragment == "" {
			break
		}
		key := strings.NewReplacer("~1", "/", "~0", "~").Replace(segment)
		switch parent := node.(type) {
		case map[string]any:
			node = parent[key]
		case []any:
			i, err := strconv.Atoi(key)
			if err != nil || i < 0 || i >= len(parent) {
				return "", nil, fmt.Errorf("$ref %q leads nowhere", ref)
			}
			node = parent[i]
			key = strconv.Itoa(i)
		default:
			return "", nil, fmt.Errorf("$ref %q leads nowhere", ref)
		}
		at += "/" + escape(key)
	}
	if node == nil {
		return "", nil, errors.New("$ref " + strconv.Quote(ref) + " leads nowhere")
	}
	return at, node, nil
}

func escape(key string) string { return strings.NewReplacer("~", "~0", "/", "~1").Replace(key) }

func place(at string) string {
	if at == "" {
		return "the schema"
	}
	return "#" + at
}
