package workflow

import (
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"
)

// Bounds of one file. They keep small files from becoming large by aliases.
const (
	maxValues = 1_000_000
	maxText   = 16 << 20 // bytes
	maxNested = 64
)

// reader turns the nodes of one file into values and collects what is wrong with them.
type reader struct {
	file      string
	specs     specs
	checkSpec func(actionType string, spec json.RawMessage) []SpecProblem // nil: nobody is asked
	now       time.Time                                                   // from which cron expressions have to fire
	inRoot    bool
	diags     Diagnostics
	values    int // read so far
	bytes     int // of text, read so far
}

func (r *reader) errorf(n *yaml.Node, format string, args ...any) {
	r.report(n, SeverityError, format, args...)
}

func (r *reader) warnf(n *yaml.Node, format string, args ...any) {
	r.report(n, SeverityWarning, format, args...)
}

func (r *reader) report(n *yaml.Node, severity Severity, format string, args ...any) {
	r.diags = append(r.diags, Diagnostic{
		File: r.file, Line: max(n.Line, 1), Column: max(n.Column, 1), Severity: severity, Message: fmt.Sprintf(format, args...),
	})
}

// within counts a value and tells whether there may be more.
func (r *reader) within(n *yaml.Node) bool {
	if r.values++; r.values == maxValues {
		r.errorf(n, "the file has more than %d values, counting those that aliases repeat", maxValues)
	}
	return r.values < maxValues
}

// resolve follows aliases to what they stand for.
func resolve(n *yaml.Node) *yaml.Node {
	for n.Kind == yaml.AliasNode {
		n = n.Alias
	}
	return n
}

func isNull(n *yaml.Node) bool { return n.Kind == yaml.ScalarNode && n.ShortTag() == "!!null" }

// isEmpty tells a key with nothing behind it from one with a written null.
func isEmpty(n *yaml.Node) bool { return isNull(n) && n.Value == "" }

// kindName names what stands in the file.
func kindName(n *yaml.Node) string {
	switch {
	case n.Kind == yaml.MappingNode:
		return "a map"
	case n.Kind == yaml.SequenceNode:
		return "a list"
	case isNull(n):
		return "null"
	case n.ShortTag() == "!!bool":
		return "a boolean"
	case n.ShortTag() == "!!int", n.ShortTag() == "!!float":
		return "a number"
	default:
		return "text"
	}
}

// pair is one entry of a map.
type pair struct {
	name  string
	key   *yaml.Node
	value *yaml.Node
}

// pairs are the entries of a map, none of anything else; a key that stands twice is reported. Entries merged by << come last, where the map
// has none of that name.
func (r *reader) pairs(n *yaml.Node) []pair {
	if n.Kind != yaml.MappingNode {
		return nil
	}
	pairs, merged := make([]pair, 0, len(n.Content)/2), []pair(nil)
	seen := make(map[string]*yaml.Node, len(n.Content)/2)
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := resolve(n.Content[i]), resolve(n.Content[i+1])
		if !r.within(key) {
			return nil
		}
		if key.Kind != yaml.ScalarNode {
			r.errorf(key, "a key has to be text, and is %s", kindName(key))
			continue
		}
		if key.ShortTag() == "!!merge" {
			merged = append(merged, r.merged(value, 0)...)
			continue
		}
		if first := seen[key.Value]; first != nil {
			r.errorf(key, "duplicate key '%s': it stands in line %d already", key.Value, first.Line)
			continue
		}
		seen[key.Value] = key
		pairs = append(pairs, pair{key.Value, key, value})
	}
	for _, p := range merged {
		if seen[p.name] == nil {
			seen[p.name] = p.key
			pairs = append(pairs, p)
		}
	}
	return pairs
}

// merged are the entries of a map, or of several, that stand behind <<.
func (r *reader) merged(n *yaml.Node, depth int) []pair {
	if depth > maxNested || !r.within(n) {
		return nil
	}
	switch n.Kind {
	case yaml.SequenceNode:
		var all []pair
		for _, item := range n.Content {
			all = append(all, r.merged(resolve(item), depth+1)...)
		}
		return all
	case yaml.MappingNode:
		var all, behind []pair
		for i := 0; i+1 < len(n.Content); i += 2 {
			key, value := resolve(n.Content[i]), resolve(n.Content[i+1])
			switch {
			case key.Kind != yaml.ScalarNode: // reported where the map stands
			case key.ShortTag() == "!!merge":
				behind = append(behind, r.merged(value, depth+1)...)
			case r.within(key):
				all = append(all, pair{key.Value, key, value})
			}
		}
		return append(all, behind...)
	default:
		r.errorf(n, "<< needs a map, or a list of maps, and has %s", kindName(n))
		return nil
	}
}

// text is a scalar's raw text: 1.10 is "1.10".
func (r *reader) text(n *yaml.Node) (string, bool) {
	switch {
	case n.Kind != yaml.ScalarNode:
		r.errorf(n, "this has to be text, and is %s", kindName(n))
	case isNull(n) && n.Value != "":
		r.errorf(n, `this has to be text, and is null: write "" for nothing, or "%s" for the word`, n.Value)
	case strings.ContainsRune(n.Value, 0):
		r.errorf(n, "text with a NUL character cannot be stored")
	case r.bytes <= maxText && r.bytes+len(n.Value) > maxText:
		r.bytes += len(n.Value)
		r.errorf(n, "the file has more than %d bytes of text, counting what aliases repeat", maxText)
	default:
		r.bytes += len(n.Value)
		if r.bytes <= maxText {
			return n.Value, true
		}
	}
	return "", false
}

// free is a value of whatever type it has in YAML: nil, bool, int64, float64, string, []any, map[string]any.
func (r *reader) free(n *yaml.Node, depth int) any {
	if !r.within(n) {
		return nil
	}
	if depth > maxNested {
		r.errorf(n, "values are nested more than %d deep", maxNested)
		return nil
	}
	switch n.Kind {
	case yaml.MappingNode:
		m := make(map[string]any, len(n.Content)/2)
		for _, p := range r.pairs(n) {
			if name, ok := r.text(p.key); ok {
				m[name] = r.free(p.value, depth+1)
			}
		}
		return m
	case yaml.SequenceNode:
		list := make([]any, 0, len(n.Content))
		for _, item := range n.Content {
			list = append(list, r.free(resolve(item), depth+1))
		}
		return list
	default:
		return r.scalar(n)
	}
}

func (r *reader) scalar(n *yaml.Node) any {
	var value any
	switch tag := n.ShortTag(); {
	case tag == "!!null":
		return nil
	case slices.Contains([]string{"!!bool", "!!int", "!!float"}, tag) && !isDigitsNotNumber(n.Value):
		if err := n.Decode(&value); err != nil {
			r.errorf(n, "this cannot be read: %s", strings.TrimPrefix(err.Error(), "yaml: "))
			return nil
		}
	}
	switch v := value.(type) {
	case bool:
		return v
	case int:
		return int64(v)
	case int64:
		return v
	case uint64:
		return float64(v)
	case float64:
		if math.IsNaN(v) || math.IsInf(v, 0) {
			r.errorf(n, "%s is no number that JSON knows: put it in quotes if it is meant as text", n.Value)
			return nil
		}
		return v
	}
	text, _ := r.text(n)
	return text
}

// isDigitsNotNumber finds what YAML 1.1 took for numbers and people do not: 007 (a code) and 1_000.
func isDigitsNotNumber(text string) bool {
	digits := strings.TrimLeft(text, "+-")
	return strings.Contains(text, "_") || len(digits) > 1 && digits[0] == '0' && '0' <= digits[1] && digits[1] <= '9'
}
