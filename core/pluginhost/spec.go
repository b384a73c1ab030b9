package pluginhost

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/google/jsonschema-go/jsonschema"

	"github.com/stroem/stroem/core/schema"
)

// specSchema is the schema of an action type, made ready.
type specSchema struct {
	*schema.Schema
	text json.RawMessage
}

// specSchemas are those of a plugin's action types; a type without one is left out.
type specSchemas map[actionKey]*specSchema

// conform returns the spec as the schema wants it: what a template rendered is text, which is taken for a number, a
// boolean, a list or a map where the schema asks for one. A spec that does not match even so is an error that names the
// key and no value.
func (s *specSchema) conform(spec json.RawMessage) (json.RawMessage, error) {
	decoder := json.NewDecoder(bytes.NewReader(spec))
	decoder.UseNumber() // large numbers stay as they are
	var value any
	if err := decoder.Decode(&value); err != nil {
		return nil, fmt.Errorf("spec: not JSON: %w", err)
	}
	if converted, changed := convert(value, s.Root()); changed {
		var err error
		if spec, err = json.Marshal(converted); err != nil {
			return nil, fmt.Errorf("encode spec: %w", err)
		}
	}
	var plain any // of the types that the validator knows
	if err := json.Unmarshal(spec, &plain); err != nil {
		return nil, fmt.Errorf("spec: not JSON: %w", err)
	}
	if err := s.Validate(plain); err != nil {
		return nil, violation(err, s.text).in("spec")
	}
	return spec, nil
}

// convert turns text into what the schema asks for, at any depth that properties, additionalProperties and items describe.
func convert(value any, schema *jsonschema.Schema) (converted any, changed bool) {
	if schema == nil {
		return value, false
	}
	switch v := value.(type) {
	case string:
		return convertText(v, schema)
	case []any:
		for i, item := range v {
			if item, ok := convert(item, schema.Items); ok {
				v[i], changed = item, true
			}
		}
	case map[string]any:
		for name, item := range v {
			property := schema.Properties[name]
			if property == nil {
				property = schema.AdditionalProperties
			}
			if item, ok := convert(item, property); ok {
				v[name], changed = item, true
			}
		}
	}
	return value, changed
}

func convertText(text string, schema *jsonschema.Schema) (converted any, changed bool) {
	wanted := schema.Types
	if schema.Type != "" {
		wanted = []string{schema.Type}
	}
	if len(wanted) == 0 || slices.Contains(wanted, "string") {
		return text, false
	}
	decoder := json.NewDecoder(strings.NewReader(text))
	decoder.UseNumber()
	var value any
	if !json.Valid([]byte(text)) || decoder.Decode(&value) != nil { // a decoder alone would leave what follows
		return text, false
	}
	var kind string
	switch value.(type) {
	case json.Number:
		kind = "number"
	case bool:
		kind = "boolean"
	case []any:
		kind = "array"
	case map[string]any:
		kind = "object"
	}
	fits := slices.Contains(wanted, kind) || kind == "number" && slices.Contains(wanted, "integer")
	if !fits {
		return text, false
	}
	return value, true
}
