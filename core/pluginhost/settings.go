package pluginhost

import (
	"encoding/json"
	"fmt"
	"regexp"
	"strings"

	"github.com/stroem/stroem/core/schema"
	"github.com/stroem/stroem/pluginapi"
)

// settings returns the configuration of a plugin as it gets it, checked against its schema. Errors name the key and what the
// schema asks for, but no values: they may be secret.
func settings(c *candidate, d *pluginapi.Description) (json.RawMessage, error) {
	config := c.Config
	if config == nil {
		config = map[string]any{}
	}
	text, err := json.Marshal(config)
	if err != nil {
		return nil, fmt.Errorf("%s.config: %w", c.key(), err)
	}
	if len(d.ConfigSchema) == 0 {
		if len(config) > 0 {
			return nil, fmt.Errorf("%s.config: this plugin has no configuration; leave it out", c.key())
		}
		return text, nil
	}
	return text, matches(text, d.ConfigSchema, c.key()+".config")
}

// matches holds a JSON text against a schema.
func matches(text, against json.RawMessage, where string) error {
	resolved, err := schema.Resolve(against)
	if err != nil {
		return err
	}
	var value any // of JSON types alone
	if err := json.Unmarshal(text, &value); err != nil {
		return fmt.Errorf("%s: %w", where, err)
	}
	if err := resolved.Validate(value); err != nil {
		return violation(err, against).in(where)
	}
	return nil
}

// schemaViolation is what can be told about a value that does not match its schema.
type schemaViolation struct {
	keys   []string // to the value
	reason string
}

func (v schemaViolation) in(where string) error {
	return fmt.Errorf("%s: %s", strings.Join(append([]string{where}, v.keys...), "."), v.reason)
}

// The text of a validation error is a chain of schema locations, outermost first, and then the keyword that was violated:
// validating root: validating /properties/port: type: x has type "string", want "integer".
var (
	validating  = regexp.MustCompile(`^validating (\S+): `)
	violated    = regexp.MustCompile(`^([A-Za-z]+): `)
	namesOnKeys = regexp.MustCompile(`^(?:required: )?(missing properties|unexpected additional properties)[: ]+(.*)$`)
)

// violation takes a validation error apart, because its text repeats values.
func violation(err error, schema json.RawMessage) schemaViolation {
	text, location := err.Error(), "root"
	var v schemaViolation
	for {
		m := validating.FindStringSubmatch(text)
		if m == nil {
			break
		}
		location, text = m[1], text[len(m[0]):]
		if at := propertyKeys(location); len(at) > len(v.keys) {
			v.keys = at
		}
	}
	v.reason = "it does not match the plugin's schema"
	if m := namesOnKeys.FindStringSubmatch(text); m != nil {
		v.reason = map[string]string{"missing properties": "missing ", "unexpected additional properties": "unknown "}[m[1]] +
			strings.ReplaceAll(strings.Trim(m[2], "[]"), `" "`, `", "`)
	} else if m := violated.FindStringSubmatch(text); m != nil {
		if want, ok := keyword(schema, location, m[1]); ok {
			v.reason = fmt.Sprintf("the plugin's schema asks for %s: %s", m[1], want)
		}
	}
	return v
}

// propertyKeys are the names of the properties in a location in a schema: /properties/a/items/properties/b has a and b.
func propertyKeys(location string) []string {
	var keys []string
	segments := strings.Split(location, "/")
	for i := 1; i < len(segments); i++ {
		if segments[i] == "properties" && i+1 < len(segments) {
			i++
			keys = append(keys, unescape(segments[i]))
		}
	}
	return keys
}

// keyword returns what a schema says at a location for a keyword.
func keyword(schema json.RawMessage, location, name string) (string, bool) {
	node := schema
	path := append(strings.Split(strings.TrimPrefix(location, "root"), "/"), name)
	for _, segment := range path {
		if segment == "" {
			continue
		}
		var object map[string]json.RawMessage
		if json.Unmarshal(node, &object) != nil {
			return "", false
		}
		next, ok := object[unescape(segment)]
		if !ok {
			return "", false
		}
		node = next
	}
	return string(node), true
}

// unescape undoes the escapes of a JSON Pointer.
func unescape(segment string) string {
	return strings.NewReplacer("~1", "/", "~0", "~").Replace(segment)
}
