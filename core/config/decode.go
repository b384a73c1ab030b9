package config

import (
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/agnivade/levenshtein"
	"go.yaml.in/yaml/v3"
)

// decoder fills Go values from a YAML tree. Unlike yaml's own it reports every problem with its place, suggests the
// right name for an unknown key, and lets a scalar from the environment stand for a list.
//
// The tag `config` holds "required" and "alias=<older name>".
type decoder struct {
	*problems
	from map[*yaml.Node]string // nodes that came from a variable
}

// selfDecoder decodes itself: its keys depend on one of them.
type selfDecoder interface {
	decodeSection(d *decoder, node *yaml.Node, key string)
}

// defaulter is a section or an entry of a map that starts with other than zero values.
type defaulter interface{ setDefaults() }

func (d *decoder) place(node *yaml.Node) place {
	return place{variable: d.from[node], line: node.Line, column: node.Column}
}

func (d *decoder) decode(node *yaml.Node, to reflect.Value, key string) {
	if node != nil && node.Kind == yaml.AliasNode {
		node = node.Alias
	}
	if node != nil {
		d.places[key] = d.place(node)
	}
	if to.Kind() == reflect.Pointer { // an optional section: there once its key is, even if it is empty
		to.Set(reflect.New(to.Type().Elem()))
		to = to.Elem()
	}
	if s, ok := reflect.TypeAssert[defaulter](to.Addr()); ok {
		s.setDefaults()
	}
	switch target := to.Addr().Interface().(type) {
	case selfDecoder:
		target.decodeSection(d, node, key)
		return
	case yaml.Unmarshaler:
		if err := target.UnmarshalYAML(node); err != nil {
			d.add(key, "%v", err)
		}
		return
	case *time.Duration:
		d.duration(node, target, key)
		return
	}
	switch to.Kind() {
	case reflect.Struct:
		d.section(node, to, key)
	case reflect.Map:
		d.entries(node, to, key, nil)
	case reflect.Slice:
		d.list(node, to, key)
	case reflect.Interface:
		if err := node.Decode(to.Addr().Interface()); err != nil {
			d.add(key, "%v", err)
		}
	default:
		d.scalar(node, to, key)
	}
}

// pairs returns the keys and values of a mapping, complaining about anything else and about keys that come twice.
func (d *decoder) pairs(node *yaml.Node, key string) (keys, values []*yaml.Node) {
	if node == nil || node.Tag == "!!null" {
		return nil, nil
	}
	if node.Kind != yaml.MappingNode {
		d.add(key, "must be a section of keys, not %s", describe(node))
		return nil, nil
	}
	seen := map[string]bool{}
	for i := 0; i+1 < len(node.Content); i += 2 {
		name := node.Content[i]
		if seen[name.Value] {
			d.addAt(d.place(name), join(key, name.Value), "stands here twice; remove one")
			continue
		}
		seen[name.Value] = true
		keys, values = append(keys, name), append(values, node.Content[i+1])
	}
	return keys, values
}

// section fills a struct. Keys that are absent are visited too, so that what is required is asked for.
func (d *decoder) section(node *yaml.Node, to reflect.Value, key string) {
	keys, values := d.pairs(node, key)
	taken := make([]bool, len(keys))
	var known []string
	inline := -1
	for i := range to.NumField() {
		field := to.Type().Field(i)
		name, options, _ := strings.Cut(field.Tag.Get("yaml"), ",")
		if options == "inline" {
			inline = i
			continue
		}
		rule, alias, _ := strings.Cut(field.Tag.Get("config"), "=")
		known = append(known, name)
		at := slices.IndexFunc(keys, func(n *yaml.Node) bool { return n.Value == name || alias != "" && n.Value == alias })
		switch {
		case at >= 0:
			taken[at] = true
			d.decode(values[at], to.Field(i), join(key, name))
		case field.Type.Kind() == reflect.Struct:
			d.decode(nil, to.Field(i), join(key, name))
		}
		if rule == "required" && to.Field(i).IsZero() {
			full := join(key, name)
			d.add(full, "is required; set it in the file or as %s%s", envPrefix, strings.ToUpper(strings.ReplaceAll(full, ".", "__")))
		}
	}
	if inline >= 0 {
		d.entries(node, to.Field(inline), key, known)
		return
	}
	for i, name := range keys {
		if !taken[i] {
			d.addAt(d.place(name), join(key, name.Value), "unknown key; %s", suggest(name.Value, known))
		}
	}
}

// entries fills a map with free keys, leaving out those in except.
func (d *decoder) entries(node *yaml.Node, to reflect.Value, key string, except []string) {
	keys, values := d.pairs(node, key)
	for i, name := range keys {
		if slices.Contains(except, name.Value) {
			continue
		}
		if to.IsNil() {
			to.Set(reflect.MakeMap(to.Type()))
		}
		entry := reflect.New(to.Type().Elem()).Elem()
		d.decode(values[i], entry, join(key, name.Value))
		to.SetMapIndex(reflect.ValueOf(name.Value), entry)
	}
}

func (d *decoder) list(node *yaml.Node, to reflect.Value, key string) {
	items := node.Content
	if d.from[node] != "" {
		items = nil
		for item := range strings.SplitSeq(node.Value, ",") {
			if item = strings.TrimSpace(item); item != "" {
				items = append(items, &yaml.Node{Kind: yaml.ScalarNode, Value: item})
			}
		}
	} else if node.Kind != yaml.SequenceNode && node.Tag != "!!null" {
		d.add(key, "must be a list, not %s", describe(node))
		return
	}
	to.Set(reflect.MakeSlice(to.Type(), len(items), len(items)))
	for i, item := range items {
		at := key + "." + strconv.Itoa(i)
		if d.from[node] != "" {
			d.from[item] = d.from[node]
		}
		d.decode(item, to.Index(i), at)
	}
}

// scalar takes the text as it is written; null keeps the default.
func (d *decoder) scalar(node *yaml.Node, to reflect.Value, key string) {
	if node.Tag == "!!null" {
		return
	}
	if node.Kind != yaml.ScalarNode {
		d.add(key, "must be one value, not %s", describe(node))
		return
	}
	switch to.Kind() {
	case reflect.String:
		to.SetString(node.Value)
	case reflect.Bool:
		value, err := strconv.ParseBool(strings.ToLower(node.Value))
		if err != nil {
			d.add(key, "must be true or false")
		}
		to.SetBool(value)
	default:
		value, err := strconv.ParseInt(node.Value, 10, 64)
		if err != nil || to.OverflowInt(value) {
			d.add(key, "must be a whole number")
			return
		}
		to.SetInt(value)
	}
}

// duration reads seconds, or a text such as 30s or 1h30m.
func (d *decoder) duration(node *yaml.Node, to *time.Duration, key string) {
	if node.Tag == "!!null" {
		return
	}
	const longest = float64(10 * 365 * 24 * time.Hour / time.Second)
	seconds, err := strconv.ParseFloat(node.Value, 64)
	if node.Kind == yaml.ScalarNode && err == nil && seconds >= 0 && seconds <= longest {
		*to = time.Duration(seconds * float64(time.Second))
		return
	}
	span, err := time.ParseDuration(node.Value)
	if node.Kind != yaml.ScalarNode || err != nil || span < 0 {
		d.add(key, "must be a number of seconds, not negative, or a time such as 30s or 5m")
		return
	}
	*to = span
}

func describe(node *yaml.Node) string {
	switch node.Kind {
	case yaml.MappingNode:
		return "a section of keys"
	case yaml.SequenceNode:
		return "a list"
	default:
		return "a single value"
	}
}

func join(section, name string) string {
	if section == "" {
		return name
	}
	return section + "." + name
}

// suggest names the key that was probably meant, or else all keys that could stand there.
func suggest(name string, known []string) string {
	best, distance := "", 3
	for _, candidate := range known {
		if n := levenshtein.ComputeDistance(strings.ToLower(name), candidate); n < distance {
			best, distance = candidate, n
		}
	}
	if best != "" {
		return "did you mean " + best + "?"
	}
	return "known here: " + strings.Join(known, ", ")
}
