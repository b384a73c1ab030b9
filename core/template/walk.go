package template

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
)

// RenderValue renders the strings at any depth of a value's slices and maps (their keys are left alone) and returns a
// copy in which every slice is a []any and every map a map[string]any; other values stay as they are. One budget serves all strings. The [*Error] says by its Path where it happened.
func RenderValue(ctx context.Context, value any, vars Context) (any, error) {
	b := &budget{ctx: ctx}
	return b.walk("", value, vars)
}

func (b *budget) walk(path string, value any, vars Context) (any, error) {
	switch v := value.(type) {
	case string:
		if !HasTemplate(v) {
			return v, nil
		}
		t, err := Compile(v)
		var s string
		if err == nil {
			s, err = t.render(b, vars)
		}
		if e, ok := errors.AsType[*Error](err); ok {
			e.Path = path
		}
		return s, err
	case []any:
		if v == nil {
			return v, nil
		}
		list := make([]any, len(v))
		for i, item := range v {
			var err error
			if list[i], err = b.walk(fmt.Sprintf("%s[%d]", path, i), item, vars); err != nil {
				return nil, err
			}
		}
		return list, nil
	case map[string]any:
		if v == nil {
			return v, nil
		}
		m := make(map[string]any, len(v))
		for _, k := range slices.Sorted(maps.Keys(v)) {
			var err error
			if m[k], err = b.walk(keyPath(path, k), v[k], vars); err != nil {
				return nil, err
			}
		}
		return m, nil
	default:
		p, err := b.plain(value)
		if err != nil {
			return nil, &Error{Path: path, Line: 1, Column: 1, Message: err.Error()}
		}
		switch p.(type) {
		case string, []any, map[string]any:
			return b.walk(path, p, vars)
		}
		return value, nil
	}
}

func keyPath(path, name string) string {
	if path == "" {
		return name
	}
	return path + "." + name
}
