package workflow

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/google/jsonschema-go/jsonschema"

	"github.com/stroem/stroem/core"
)

// InputOptions says how an input is held against what a task or action declares.
type InputOptions struct {
	// Convert turns strings into the declared type, as for templates, query parameters and key=value; a JSON body
	// has to have the right types already.
	Convert bool
	// RenderDefault renders a default that is a string, which is then converted; nil takes it as it is.
	RenderDefault func(text string) (string, error)
}

// CheckInput returns a copy of an input with defaults filled in and every declared field of its type; keys that are not
// declared stay. null counts as not given. The error (code invalid, reason input_invalid) lists every problem; the
// value of a secret field is not in it.
func CheckInput(fields map[string]core.InputField, given map[string]any, opts InputOptions) (map[string]any, error) {
	input := make(map[string]any, len(given))
	maps.Copy(input, given)
	var problems []string
	for _, name := range slices.Sorted(maps.Keys(fields)) {
		field := fields[name]
		value, err := fieldValue(field, input[name], opts)
		switch {
		case err != nil:
			problems = append(problems, name+" "+err.Error())
		case value != nil:
			input[name] = value
		}
	}
	if len(problems) > 0 {
		return nil, core.Errorf(core.CodeInvalid, "input_invalid", "Invalid input: %s", strings.Join(problems, "; "))
	}
	return input, nil
}

func fieldValue(field core.InputField, value any, opts InputOptions) (any, error) {
	convert := opts.Convert
	if value == nil && field.Default != nil {
		text, isText := field.Default.(string)
		value, convert = field.Default, isText
		if isText && opts.RenderDefault != nil {
			rendered, err := opts.RenderDefault(text)
			if err != nil {
				return nil, fmt.Errorf("has a default that cannot be rendered: %w", err)
			}
			value = rendered
		}
	}
	if value == nil {
		if field.Required {
			return nil, errors.New("is required" + described(field))
		}
		return nil, nil
	}
	value, err := typedValue(field, value, convert)
	if err != nil && field.Secret {
		err = fmt.Errorf("has to be %s (it is secret and not shown)", typeName(field.Type))
	}
	return value, err
}

func typedValue(field core.InputField, value any, convert bool) (any, error) {
	if text, isText := value.(string); isText && convert {
		converted, err := ConvertInput(field.Type, text)
		if err != nil {
			return nil, err
		}
		value = converted
	}
	if err := checkType(field.Type, value); err != nil {
		return nil, err
	}
	return value, checkEnum(field.Enum, value)
}

func checkEnum(enum []any, value any) error {
	if len(enum) == 0 || slices.ContainsFunc(enum, func(allowed any) bool { return jsonschema.Equal(allowed, value) }) {
		return nil
	}
	allowed, err := json.Marshal(enum)
	if err != nil {
		return fmt.Errorf("has an enum that cannot be shown: %w", err)
	}
	return fmt.Errorf("has to be one of %s", strings.Trim(string(allowed), "[]"))
}

func described(field core.InputField) string {
	if field.Description == "" {
		return ""
	}
	return " (" + field.Description + ")"
}
