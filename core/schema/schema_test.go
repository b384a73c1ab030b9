package schema_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/stroem/stroem/core/schema"
)

func TestResolve(t *testing.T) {
	t.Parallel()
	for name, text := range map[string]string{
		"anything":      `{}`,
		"true":          `true`,
		"with its id":   `{"$schema": "https://json-schema.org/draft/2020-12/schema", "$id": "https://example.com/x", "type": "object"}`,
		"references":    `{"$defs": {"a b/c": {"type": "string"}}, "properties": {"x": {"$ref": "#/$defs/a%20b~1c"}, "y": {"$ref": "#/$defs/a%20b~1c"}}}`,
		"into a list":   `{"anyOf": [{"type": "object"}, {"$ref": "#/anyOf/0"}]}`,
		"a tree":        `{"type": "object", "properties": {"children": {"type": "array", "items": {"$ref": "#"}}}}`,
		"property $ref": `{"properties": {"$ref": {"type": "string"}, "$id": {"type": "string"}}}`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			resolved, err := schema.Resolve(json.RawMessage(text))
			require.NoError(t, err)
			require.NoError(t, resolved.Validate(map[string]any{}))
		})
	}
}

func TestSchemasThatAreRefused(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ text, want string }{
		"no JSON":           {`{`, "not a JSON schema"},
		"no schema":         {`{"type": 3}`, "not a JSON schema"},
		"a list":            {`[]`, "not a JSON schema"},
		"itself":            {`{"$ref": "#"}`, "the schema refers to itself"},
		"in capitals":       {`{"$REF": "#"}`, "the schema refers to itself"},
		"itself, in a part": {`{"properties": {"a": {"allOf": [{"$ref": "#/properties/a"}]}}}`, "#/properties/a refers to itself"},
		"in a circle":       {`{"$defs": {"a": {"not": {"$ref": "#/$defs/b"}}, "b": {"if": {"$ref": "#/$defs/a"}}}}`, "refers to itself"},
		"when it depends":   {`{"dependentSchemas": {"x": {"$ref": "#"}}}`, "refers to itself"},
		"another document":  {`{"$ref": "https://example.com/schema"}`, "leads out of the schema"},
		"a file":            {`{"$ref": "other.json#/x"}`, "leads out of the schema"},
		"an anchor":         {`{"$defs": {"a": {"$anchor": "a"}}, "$ref": "#a"}`, "$"},
		"a dynamic one":     {`{"$dynamicAnchor": "a", "items": {"$dynamicRef": "#a"}}`, "refer to schemas by their place"},
		"another id":        {`{"$defs": {"a": {"$id": "https://example.com/a", "$ref": "#"}}}`, "#/$defs/a has $id"},
		"nowhere":           {`{"$ref": "#/$defs/a"}`, "leads nowhere"},
		"nowhere in a list": {`{"anyOf": [{}], "not": {"$ref": "#/anyOf/1"}}`, "leads nowhere"},
		"through a number":  {`{"minimum": 1, "not": {"$ref": "#/minimum/x"}}`, "leads nowhere"},
		"a bad escape":      {`{"$ref": "#/%zz"}`, "$ref"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := schema.Resolve(json.RawMessage(c.text))
			require.ErrorContains(t, err, c.want)
		})
	}
}

// TestReferencesThatDouble has a schema of forty lines that would take years to check anything against.
func TestReferencesThatDouble(t *testing.T) {
	t.Parallel()
	var defs []string
	for i := range 40 {
		defs = append(defs, fmt.Sprintf(`"d%d": {"allOf": [{"$ref": "#/$defs/d%d"}, {"$ref": "#/$defs/d%d"}]}`, i, i+1, i+1))
	}
	_, err := schema.Resolve(json.RawMessage(`{"$ref": "#/$defs/d0", "$defs": {` + strings.Join(defs, ",") + `, "d40": {}}}`))
	require.ErrorContains(t, err, "more than 10000 schemas apply to one value")
}

// TestTreesThatDouble has an ordinary schema of expressions, of which the library would check a deep one for years.
func TestTreesThatDouble(t *testing.T) {
	t.Parallel()
	for keyword, items := range map[string]string{
		"anyOf": `"properties": {"of": {"$ref": "#/$defs/n"}}, "required": ["op"]`,
		"allOf": `"properties": {"of": {"$ref": "#/$defs/n"}}`,
		"oneOf": `"additionalProperties": {"$ref": "#/$defs/n"}, "required": ["op"]`,
	} {
		resolved, err := schema.Resolve(json.RawMessage(fmt.Sprintf(`{"$defs": {"n": {"%s": [{%s}, {%s}]}}, "$ref": "#/$defs/n"}`, keyword, items, items)))
		require.NoError(t, err)
		tree := func(depth int) any {
			var value any = map[string]any{}
			for range depth {
				value = map[string]any{"of": value}
			}
			return value
		}
		require.ErrorContains(t, resolved.Validate(tree(60)), "more than 1000000 checks", keyword)
		if err := resolved.Validate(tree(5)); err != nil {
			require.NotContains(t, err.Error(), "checks", keyword)
		}
	}
}

func TestLargeValuesAreChecked(t *testing.T) {
	t.Parallel()
	resolved, err := schema.Resolve(json.RawMessage(`{"type": "array", "prefixItems": [{"type": "string"}], "items": {"type": "object",
		"propertyNames": {"maxLength": 3}, "patternProperties": {"^a": {"type": "integer"}}, "additionalProperties": false}}`))
	require.NoError(t, err)
	list := []any{"first"}
	for range 10_000 {
		list = append(list, map[string]any{"a": 1.0, "ab": 2.0})
	}
	require.NoError(t, resolved.Validate(list))
	require.Error(t, resolved.Validate(append(list, map[string]any{"b": 1.0})))
	require.Error(t, resolved.Validate([]any{1.0}))
}

// FuzzResolve looks for schemas that are taken, and then do not let go of a value.
func FuzzResolve(f *testing.F) {
	f.Add(`{"$ref": "#"}`, `{"a": 1}`)
	f.Add(`{"properties": {"a": {"$ref": "#"}}, "dependencies": {"a": {"$ref": "#/properties/a"}}}`, `{"a": {"a": {}}}`)
	f.Add(`{"$defs": {"a": {"not": {"$ref": "#/$defs/b"}}, "b": {"items": {"$ref": "#/$defs/a"}}}, "$ref": "#/$defs/a"}`, `[[1]]`)
	f.Fuzz(func(t *testing.T, text, value string) {
		resolved, err := schema.Resolve(json.RawMessage(text))
		var instance any
		if err != nil || json.Unmarshal([]byte(value), &instance) != nil {
			return
		}
		_ = resolved.Validate(instance) // that it returns is what matters
	})
}
