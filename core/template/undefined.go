package template

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
)

const mendUndefined = `; if it may be missing, write |default:"…" behind it`

func (r *rendering) undefinedName(p *path) error {
	names := slices.Collect(maps.Keys(r.vars))
	for _, l := range r.locals {
		names = append(names, l.name)
	}
	return errorAt(p.offset, "%q is undefined; the names here are %s%s", p.name, list(names), mendUndefined)
}

// undefinedKey tells that the i-th key of p, called name, is not in v.
func undefinedKey(p *path, i int, name string, v any) error {
	parent := p.until(i)
	why := fmt.Sprintf("%s is %s and has no keys", parent, kindOf(v))
	switch v := v.(type) {
	case map[string]any:
		why = fmt.Sprintf("%s has the keys %s", parent, list(slices.Collect(maps.Keys(v))))
	case []any:
		why = fmt.Sprintf("%s is a list of %d", parent, len(v))
	case *loop:
		why = "forloop has " + list(slices.Clone(loopKeys))
	}
	if _, literal := p.keys[i].index.(*literal); p.keys[i].index == nil || literal {
		name = parent + "." + name
	} else {
		name = p.until(i + 1) // a computed key may be a secret
	}
	return errorAt(p.offset, "%q is undefined: %s%s", shorten(name), why, mendUndefined)
}

// until is the text of the path before its i-th key.
func (p *path) until(i int) string {
	var b strings.Builder
	b.WriteString(p.name)
	for _, k := range p.keys[:i] {
		if k.index != nil {
			b.WriteString("[…]")
		} else {
			b.WriteString("." + k.name)
		}
	}
	return shorten(b.String())
}

func list(names []string) string {
	const limit = 10
	slices.Sort(names)
	names = slices.Compact(names)
	switch {
	case len(names) == 0:
		return "(none)"
	case len(names) > limit:
		names = append(names[:limit:limit], "…")
	}
	return shorten(strings.Join(names, ", "))
}

// hyphenHint explains an error in a-b, which is a minus, where a name with a hyphen was meant.
func hyphenHint(e *binary, err error) error {
	left, isPath := e.left.(*path)
	right, isName := e.right.(*path)
	at, ok := errors.AsType[*located](err)
	if !ok || e.op != "-" || !e.tight || !isPath || !isName {
		return err
	}
	l, r := left.until(len(left.keys)), right.until(len(right.keys))
	if len(left.keys) > 0 {
		parent := left.until(len(left.keys) - 1)
		key := left.keys[len(left.keys)-1].name + "-" + right.name
		return errorAt(at.offset, `%s; "-" is a minus here: for a key with a hyphen write %s["%s"]`, at.msg, parent, key)
	}
	return errorAt(at.offset, `%s; "-" is a minus here: a step's name is written with "_" instead, as in %s_%s`, at.msg, l, r)
}
