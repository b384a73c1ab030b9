package engine

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/stroem/stroem/core/template"
)

// expr is a value whose strings, at any depth, are compiled templates. The zero expr is null.
type expr struct {
	constant any // if nothing below it is a template
	text     *template.Template
	object   map[string]expr
	list     []expr
	where    string // path for errors: input.env[2].name
}

func compileExpr(where string, value any) (expr, error) {
	switch v := value.(type) {
	case string:
		if !template.HasTemplate(v) {
			return expr{constant: v}, nil
		}
		text, err := template.Compile(v)
		if err != nil {
			return expr{}, fmt.Errorf("%s: %w", where, err)
		}
		return expr{text: text, where: where}, nil
	case map[string]any:
		object, dynamic := make(map[string]expr, len(v)), false
		for _, key := range slices.Sorted(maps.Keys(v)) {
			item, err := compileExpr(join(where, key), v[key])
			if err != nil {
				return expr{}, err
			}
			object[key], dynamic = item, dynamic || item.dynamic()
		}
		if dynamic {
			return expr{object: object}, nil
		}
	case []any:
		list, dynamic := make([]expr, len(v)), false
		for i := range v {
			item, err := compileExpr(fmt.Sprintf("%s[%d]", where, i), v[i])
			if err != nil {
				return expr{}, err
			}
			list[i], dynamic = item, dynamic || item.dynamic()
		}
		if dynamic {
			return expr{list: list}, nil
		}
	}
	return expr{constant: value}, nil
}

func join(where, key string) string {
	if where == "" {
		return key
	}
	return where + "." + key
}

// dynamic tells whether anything has to be rendered.
func (x expr) dynamic() bool { return x.text != nil || x.object != nil || x.list != nil }

// render returns the value with its templates rendered; a rendered value is always a string. Constant parts are shared
// and must not be changed.
func (x expr) render(ctx context.Context, vars template.Context) (any, error) {
	switch {
	case x.text != nil:
		text, err := x.text.Render(ctx, vars)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", x.where, err)
		}
		return text, nil
	case x.object != nil:
		object := make(map[string]any, len(x.object))
		for _, key := range slices.Sorted(maps.Keys(x.object)) { // so that the first error is always the same one
			value, err := x.object[key].render(ctx, vars)
			if err != nil {
				return nil, err
			}
			object[key] = value
		}
		return object, nil
	case x.list != nil:
		list := make([]any, len(x.list))
		for i := range x.list {
			value, err := x.list[i].render(ctx, vars)
			if err != nil {
				return nil, err
			}
			list[i] = value
		}
		return list, nil
	default:
		return x.constant, nil
	}
}

// roots returns the first names of all that the templates refer to.
func (x expr) roots() []string {
	seen := map[string]bool{}
	x.collect(seen)
	return slices.Sorted(maps.Keys(seen))
}

func (x expr) collect(seen map[string]bool) {
	if x.text != nil {
		for _, reference := range x.text.References() {
			seen[reference.Path[0]] = true
		}
	}
	for _, item := range x.object {
		item.collect(seen)
	}
	for _, item := range x.list {
		item.collect(seen)
	}
}
