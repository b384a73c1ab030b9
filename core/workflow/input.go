package workflow

import (
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/stroem/stroem/core"
)

// InputTypes are the types that an input can be declared to have.
var InputTypes = []string{"string", "number", "integer", "boolean", "object", "array", "date"}

// InputOptions say how an input is checked.
type InputOptions struct {
	// Convert turns strings into the declared type: for templates, queries and command lines, not for JSON bodies.
	Convert bool
	// RenderDefault renders a default that is a string; nil takes it as it is.
	RenderDefault func(text string) (string, error)
}

// CheckInput returns given with defaults filled in and, if asked, strings converted to their declared types. Keys that
// are not declared are kept. All problems are told in one error with core.CodeInvalid.
func CheckInput(fields map[string]core.InputField, given map[string]any, opts InputOptions) (map[string]any, error) {
	input := make(map[string]any, len(given)+len(fields))
	maps.Copy(input, given)
	var problems []string
	for _, name := range slices.Sorted(maps.Keys(fields)) {
		field := fields[name]
		value, present := input[name]
		convert := opts.Convert
		if !present || value == nil {
			if field.Default == nil {
				if field.Required {
					problems = append(problems, fmt.Sprintf("%s is required%s", name, described(field)))
				}
				continue
			}
			var err error
			if value, err = defaultValue(field, opts); err != nil {
				problems = append(problems, fmt.Sprintf("the default of %s cannot be rendered: %s", name, err))
				continue
			}
			convert = true
		}
		value, err := checkValue(field, value, convert)
		if err != nil && field.Secret {
			err = fmt.Errorf("has to be %s (its value is secret and not shown)", typeName(field.Type))
		}
		if err != nil {
			problems = append(problems, fmt.Sprintf("%s %s", name, err))
			continue
		}
		input[name] = value
	}
	if len(problems) > 0 {
		return nil, core.Errorf(core.CodeInvalid, "input_invalid", "Invalid input: %s", strings.Join(problems, "; "))
	}
	return input, nil
}

func described(field core.InputField) string {
	if field.Description == "" {
		return ""
	}
	return " (" + field.Description + ")"
}

func defaultValue(field core.InputField, opts InputOptions) (any, error) {
	text, ok := field.Default.(string)
	if !ok || opts.RenderDefault == nil {
		return field.Default, nil
	}
	return opts.RenderDefault(text)
}

func checkValue(field core.InputField, value any, convert bool) (any, error) {
	if text, ok := value.(string); ok && convert {
		var err error
		if value, err = ConvertInput(field.Type, text); err != nil {
			return nil, err
		}
	}
	if !hasType(field.Type, value) {
		return nil, fmt.Errorf("has to be %s, and is %s", typeName(field.Type), kind(value))
	}
	if len(field.Enum) > 0 && !slices.ContainsFunc(field.Enum, func(allowed any) bool { return equal(allowed, value) }) {
		allowed, _ := json.Marshal(field.Enum)
		return nil, fmt.Errorf("has to be one of %s", strings.Trim(string(allowed), "[]"))
	}
	return value, nil
}

// ConvertInput turns a string into a declared type; a type that is not one of [InputTypes] leaves it as it is.
func ConvertInput(declared, text string) (any, error) {
	switch declared {
	case "integer":
		n, err := strconv.ParseInt(strings.TrimSpace(text), 10, 64)
		if err != nil {
			return nil, fmt.Errorf("has to be an integer, and is %q", text)
		}
		return n, nil
	case "number":
		n, err := strconv.ParseFloat(strings.TrimSpace(text), 64)
		if err != nil || math.IsInf(n, 0) || math.IsNaN(n) {
			return nil, fmt.Errorf("has to be a number, and is %q", text)
		}
		return n, nil
	case "boolean":
		switch strings.ToLower(strings.TrimSpace(text)) {
		case "true", "yes", "on", "1":
			return true, nil
		case "false", "no", "off", "0":
			return false, nil
		}
		return nil, fmt.Errorf("has to be true or false, and is %q", text)
	case "object", "array":
		var value any
		if err := json.Unmarshal([]byte(text), &value); err != nil || !hasType(declared, value) {
			return nil, fmt.Errorf("has to be %s in JSON, and is %q", typeName(declared), text)
		}
		return value, nil
	default:
		return text, nil
	}
}

func hasType(declared string, value any) bool {
	switch declared {
	case "string":
		_, ok := value.(string)
		return ok
	case "number":
		_, ok := number(value)
		return ok
	case "integer":
		n, ok := number(value)
		return ok && n == math.Trunc(n)
	case "boolean":
		_, ok := value.(bool)
		return ok
	case "object":
		_, ok := value.(map[string]any)
		return ok
	case "array":
		_, ok := value.([]any)
		return ok
	case "date":
		text, ok := value.(string)
		return ok && isDate(text)
	default:
		return true
	}
}

// isDate accepts a day, and an instant as in RFC 3339.
func isDate(text string) bool {
	for _, layout := range []string{time.DateOnly, time.RFC3339} {
		if _, err := time.Parse(layout, text); err == nil {
			return true
		}
	}
	return false
}

func number(value any) (float64, bool) {
	switch n := value.(type) {
	case int:
		return float64(n), true
	case int64:
		return float64(n), true
	case uint64:
		return float64(n), true
	case float64:
		return n, true
	case json.Number:
		f, err := n.Float64()
		return f, err == nil
	default:
		return 0, false
	}
}

// equal compares values as JSON does: 1 and 1.0 are the same number.
func equal(a, b any) bool {
	x, okX := number(a)
	y, okY := number(b)
	if okX && okY {
		return x == y
	}
	left, errLeft := json.Marshal(a)
	right, errRight := json.Marshal(b)
	return errLeft == nil && errRight == nil && string(left) == string(right)
}

func typeName(declared string) string {
	switch declared {
	case "integer", "object", "array":
		return "an " + declared
	case "date":
		return "a date (2006-01-02, or an instant as in RFC 3339)"
	default:
		return "a " + declared
	}
}

func kind(value any) string {
	switch v := value.(type) {
	case nil:
		return "null"
	case string:
		if len(v) > 40 {
			v = v[:40] + "…"
		}
		return fmt.Sprintf("the string %q", v)
	case bool:
		return fmt.Sprintf("the boolean %t", v)
	case map[string]any:
		return "an object"
	case []any:
		return "an array"
	default:
		return fmt.Sprintf("the number %v", v)
	}
}
