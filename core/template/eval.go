package template

import (
	"fmt"
	"slices"
	"strconv"
)

// rendering is the state of one Render.
type rendering struct {
	*budget
	template *Template
	vars     Context
	locals   []local // innermost last
	frame    int     // where the locals of the innermost for or with begin; set stays inside them
}

type local struct {
	name  string
	value any
}

// bind gives a local name a value until the innermost for or with ends.
func (r *rendering) bind(name string, value any) {
	for i := r.frame; i < len(r.locals); i++ {
		if r.locals[i].name == name {
			r.locals[i].value = value
			return
		}
	}
	r.locals = append(r.locals, local{name, value})
}

// scope runs body with a frame of its own for local names.
func (r *rendering) scope(body func() error) error {
	frame := r.frame
	r.frame = len(r.locals)
	err := body()
	r.locals = r.locals[:r.frame]
	r.frame = frame
	return err
}

// value evaluates e, in which everything must be defined.
func (r *rendering) value(e expr) (any, error) { return r.eval(e, false) }

// holds evaluates e as a condition, in which what is undefined is false.
func (r *rendering) holds(e expr) (bool, error) {
	v, err := r.eval(e, true)
	return truth(v), err
}

// eval evaluates e to a plain value. If lenient, a name or key that is not there yields undefined, and so does any
// operation on it but a comparison; otherwise it is an error.
func (r *rendering) eval(e expr, lenient bool) (any, error) {
	if err := r.spend(0); err != nil {
		return nil, err
	}
	switch e := e.(type) {
	case *literal:
		return e.value, nil
	case *path:
		return r.resolve(e, lenient)
	case *unary:
		return r.unary(e, lenient)
	case *binary:
		return r.binary(e, lenient)
	case *filtered:
		return r.filtered(e, lenient)
	default:
		return nil, fmt.Errorf("unknown expression %T", e)
	}
}

func (r *rendering) unary(e *unary, lenient bool) (any, error) {
	v, err := r.eval(e.operand, lenient)
	if err != nil {
		return nil, err
	}
	if e.op == "not" {
		return !truth(v), nil
	}
	if v == (undefined{}) {
		return v, nil
	}
	if e.op == "+" {
		return arithmetic("+", int64(0), v, e.offset)
	}
	return arithmetic("-", int64(0), v, e.offset)
}

func (r *rendering) binary(e *binary, lenient bool) (any, error) {
	left, err := r.eval(e.left, lenient)
	if err != nil {
		return nil, hyphenHint(e, err)
	}
	switch {
	case e.op == "and" && !truth(left):
		return false, nil
	case e.op == "or" && truth(left):
		return true, nil
	}
	right, err := r.eval(e.right, lenient)
	if err != nil {
		return nil, hyphenHint(e, err)
	}
	switch e.op {
	case "and", "or":
		return truth(right), nil
	case "==", "!=", "<", "<=", ">", ">=", "in":
		return r.compare(e, left, right)
	}
	if left == (undefined{}) || right == (undefined{}) {
		return undefined{}, nil
	}
	if e.op == "+" {
		_, leftText := left.(string)
		if _, rightText := right.(string); leftText || rightText {
			return r.concatenate(left, right)
		}
	}
	v, err := arithmetic(e.op, left, right, e.offset)
	return v, hyphenHint(e, err)
}

func (r *rendering) concatenate(left, right any) (any, error) {
	s, err := text(left)
	if err != nil {
		return nil, err
	}
	t, err := text(right)
	if err != nil {
		return nil, err
	}
	if err := r.fits(len(s) + len(t)); err != nil {
		return nil, err
	}
	return s + t, r.spend(len(s) + len(t))
}

// resolve looks a path up: local names first, then the context.
func (r *rendering) resolve(p *path, lenient bool) (any, error) {
	v, ok := r.lookup(p.name)
	if !ok {
		if lenient {
			return undefined{}, nil
		}
		return nil, r.undefinedName(p)
	}
	v, err := r.plain(v)
	if err != nil {
		return nil, errorAt(p.offset, "%s: %v", p.name, err)
	}
	for i, k := range p.keys {
		if k.index != nil {
			index, err := r.eval(k.index, lenient)
			if err != nil {
				return nil, err
			}
			if index == (undefined{}) {
				return undefined{}, nil
			}
			if k.name, err = text(index); err != nil {
				return nil, err
			}
		}
		if err := r.spend(len(k.name)); err != nil {
			return nil, err
		}
		next, ok := member(v, k.name)
		if !ok {
			if lenient {
				return undefined{}, nil
			}
			return nil, undefinedKey(p, i, k.name, v)
		}
		if v, err = r.plain(next); err != nil {
			return nil, errorAt(p.offset, "%s: %v", p.until(i+1), err)
		}
	}
	return v, nil
}

func (r *rendering) lookup(name string) (any, bool) {
	for _, v := range slices.Backward(r.locals) {
		if v.name == name {
			return v.value, true
		}
	}
	v, ok := r.vars[name]
	return v, ok
}

// member is a key of an object or an item of a list, counted from 0.
func member(v any, name string) (any, bool) {
	switch v := v.(type) {
	case map[string]any:
		item, ok := v[name]
		return item, ok
	case []any:
		i, err := strconv.Atoi(name)
		if err != nil || i < 0 || i >= len(v) {
			return nil, false
		}
		return v[i], true
	case *loop:
		return v.member(name)
	default:
		return nil, false
	}
}
