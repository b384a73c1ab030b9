package template

import (
	"cmp"
	"errors"
	"maps"
	"slices"
	"strings"

	"github.com/flosch/pongo2/v6"
)

// loopName is what a for block knows about itself.
const loopName = "forloop"

var loopKeys = []string{"counter", "counter0", "first", "last", "parentloop", "revcounter", "revcounter0"}

type loop struct {
	index, count int
	parent       any // the loop around, or nil
}

func (l *loop) member(name string) (any, bool) {
	switch strings.ToLower(name) {
	case "counter":
		return int64(l.index + 1), true
	case "counter0":
		return int64(l.index), true
	case "revcounter":
		return int64(l.count - l.index), true
	case "revcounter0":
		return int64(l.count - l.index - 1), true
	case "first":
		return l.index == 0, true
	case "last":
		return l.index == l.count-1, true
	case "parentloop":
		return l.parent, l.parent != nil
	default:
		return nil, false
	}
}

// runFor goes through a list, or through an object in the order of its keys.
func runFor(r *rendering, t *tag, b, empty body, w pongo2.TemplateWriter) error {
	v, err := r.value(t.exprs[0])
	if err != nil {
		return err
	}
	var items []any // of an object: its keys
	object, isObject := v.(map[string]any)
	switch v := v.(type) {
	case nil:
	case []any:
		items = v
	case map[string]any:
		for _, name := range slices.Sorted(maps.Keys(v)) {
			items = append(items, name)
		}
	default:
		return errorAt(t.start, "a for needs a list or an object, not %s", kindOf(v))
	}
	if len(t.names) == 2 && !isObject && len(items) > 0 {
		return errorAt(t.start, "a for with two names needs an object, not %s", kindOf(v))
	}
	if len(items) == 0 {
		return empty(w)
	}
	if err := r.loop(len(items)); err != nil {
		return err
	}
	if items, err = r.order(items, t); err != nil {
		return err
	}
	parent, _ := r.lookup(loopName)
	if _, isLoop := parent.(*loop); !isLoop {
		parent = nil
	}
	state := &loop{count: len(items), parent: parent}
	return r.scope(func() error {
		r.bind(loopName, state)
		for i, item := range items {
			state.index = i
			r.bind(t.names[0], item)
			if len(t.names) == 2 {
				name, _ := item.(string)
				r.bind(t.names[1], object[name])
			}
			if err := r.spend(0); err != nil {
				return err
			}
			if err := b(w); err != nil {
				return err
			}
		}
		return nil
	})
}

// order sorts and reverses a copy of items, as the tag says.
func (r *rendering) order(items []any, t *tag) ([]any, error) {
	if !t.sorted && !t.reversed {
		return items, nil
	}
	if err := r.spend(64 * len(items)); err != nil {
		return nil, err
	}
	items = slices.Clone(items)
	if t.sorted {
		numbers, strs := 0, 0
		for i, item := range items {
			v, err := r.plain(item)
			if err != nil {
				return nil, err
			}
			items[i] = v
			if _, ok := v.(string); ok {
				strs++
			} else if _, ok := toFloat(v); ok {
				numbers++
			}
		}
		if numbers != len(items) && strs != len(items) {
			return nil, errors.New("sorted needs a list of numbers or a list of strings")
		}
		slices.SortStableFunc(items, func(x, y any) int {
			if order, ok := compareNumbers(x, y); ok {
				return order
			}
			s, _ := x.(string)
			t, _ := y.(string)
			return cmp.Compare(s, t)
		})
	}
	if t.reversed {
		slices.Reverse(items)
	}
	return items, nil
}
