package workflow

import (
	"errors"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/google/jsonschema-go/jsonschema"
	"go.yaml.in/yaml/v3"

	"github.com/stroem/stroem/core"
)

// text is any scalar, by its raw text.
var text = shape[string]{
	schema: &jsonschema.Schema{Types: []string{"string", "number", "boolean", "null"}},
	read: func(r *reader, n *yaml.Node) string {
		value, _ := r.text(n)
		return value
	},
}

var boolean = shape[bool]{
	schema: &jsonschema.Schema{Types: []string{"boolean", "null"}},
	read: func(r *reader, n *yaml.Node) bool {
		var value bool
		if n.Kind != yaml.ScalarNode || n.ShortTag() != "!!bool" || n.Decode(&value) != nil {
			r.errorf(n, "this has to be true or false, and is %s", kindName(n))
		}
		return value
	},
}

// oneOf is a text out of a list.
func oneOf(what string, allowed ...string) shape[string] {
	values := []any{nil}
	for _, value := range allowed {
		values = append(values, value)
	}
	return shape[string]{
		schema: &jsonschema.Schema{Enum: values},
		read: func(r *reader, n *yaml.Node) string {
			value, ok := r.text(n)
			if ok && !slices.Contains(allowed, value) {
				r.errorf(n, "unknown %s '%s'%s", what, value, orKnown(value, allowed))
			}
			return value
		},
	}
}

// free is a value that keeps its YAML type.
var free = shape[any]{
	schema: &jsonschema.Schema{},
	read:   func(r *reader, n *yaml.Node) any { return r.free(n, 0) },
}

var freeList = listOf("this", free)

// freeMap is a map of values that keep their YAML types.
func freeMap(what string) shape[map[string]any] { return mapOf(what, anyName, free) }

// duration is a time span: 30s, 5m, 1h30m, or a number of seconds.
var duration = shape[core.Duration]{
	schema: &jsonschema.Schema{AnyOf: []*jsonschema.Schema{
		{Type: "number", ExclusiveMinimum: new(0.0)},
		{Type: "string", Pattern: `^([0-9]+(\.[0-9]+)?(h|m|s|ms)?)+$`},
		{Type: "null"},
	}},
	read: func(r *reader, n *yaml.Node) core.Duration {
		value, ok := r.text(n)
		if !ok {
			return 0
		}
		d, err := parseDuration(value)
		if err != nil {
			r.errorf(n, "'%s' is not a time span: %s", value, err)
		}
		return core.Duration(d)
	},
}

func parseDuration(value string) (time.Duration, error) {
	d, err := time.ParseDuration(value)
	if err != nil {
		seconds, notNumber := strconv.ParseFloat(value, 64)
		switch {
		case notNumber == nil && math.Abs(seconds) < math.MaxInt64/float64(time.Second):
			d = time.Duration(seconds * float64(time.Second))
		case strings.HasSuffix(value, "d"):
			return 0, errors.New("days are not a unit here; write hours, like 24h")
		default:
			return 0, errors.New("write it like 30s, 5m or 1h30m, or as a number of seconds")
		}
	}
	if d <= 0 {
		return 0, errors.New("it has to be longer than nothing")
	}
	return d, nil
}

// maxName is the length of the longest name.
const maxName = 100

// nameRule says which names are valid.
type nameRule struct {
	what    string
	pattern string // for the JSON Schema
	hint    string
	matcher *regexp.Regexp
}

func newNameRule(what, pattern, hint string) nameRule {
	return nameRule{what: what, pattern: pattern, hint: hint, matcher: regexp.MustCompile(pattern)}
}

const (
	plainName = `[A-Za-z0-9_][A-Za-z0-9_.-]*`
	letters   = "letters, digits, _, - and ., begins with a letter, a digit or _"
)

var (
	anyName     = nameRule{}
	stepName    = newNameRule("step name", `^`+plainName+`$`, letters)
	inputName   = newNameRule("input name", `^`+plainName+`$`, letters)
	triggerName = newNameRule("trigger name", `^`+plainName+`$`, letters)
	taskName    = newNameRule("task name", `^`+plainName+`(/`+plainName+`)*$`, letters+"; parts are separated by /")
	actionName  = newNameRule("action name", `^`+plainName+`(/`+plainName+`)*$`, letters+"; parts are separated by /")
	secretName  = newNameRule("secret name", `^[A-Za-z0-9_]+$`, "letters, digits and _")
	envName     = newNameRule("name of an environment variable", `^[^=\x00]+$`, "any characters but =")
)

func (rule nameRule) check(r *reader, n *yaml.Node) {
	switch {
	case rule.matcher == nil:
		r.text(n)
	case len(n.Value) > maxName:
		r.errorf(n, "a %s can have up to %d characters, and this one has %d", rule.what, maxName, len(n.Value))
	case !rule.matcher.MatchString(n.Value):
		r.errorf(n, "'%s' is not a valid %s: it consists of %s", n.Value, rule.what, rule.hint)
	}
}
