package template

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
)

func defaultIfNone(_ *rendering, in, arg any) (any, error) {
	if in == nil {
		return arg, nil
	}
	return in, nil
}

func toJSON(r *rendering, in, _ any) (any, error) {
	s, err := jsonText(in)
	if err != nil {
		return nil, err
	}
	if err := r.fits(len(s)); err != nil {
		return nil, err
	}
	return s, r.spend(len(s))
}

// shellquote makes one word of a POSIX shell of any text.
func shellquote(r *rendering, in, _ any) (any, error) {
	s, ok := in.(string)
	if !ok || strings.ContainsRune(s, 0) {
		return nil, errors.New("cannot quote a text with a NUL byte: no shell can hold one")
	}
	quoted := "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
	if err := r.fits(len(quoted)); err != nil {
		return nil, err
	}
	return quoted, r.spend(len(quoted))
}

// join puts the items of a list, as they are printed, between separators.
func join(r *rendering, in, arg any) (any, error) {
	items, ok := in.([]any)
	if !ok {
		return in, nil
	}
	separator, _ := arg.(string)
	var b strings.Builder
	for i, item := range items {
		v, err := r.plain(item)
		if err != nil {
			return nil, err
		}
		s, err := text(v)
		if err != nil {
			return nil, err
		}
		if i > 0 {
			b.WriteString(separator)
		}
		b.WriteString(s)
		if err := r.spend(len(s) + len(separator)); err != nil {
			return nil, err
		}
		if err := r.fits(b.Len()); err != nil {
			return nil, err
		}
	}
	return b.String(), nil
}

// add is "+" as a filter.
func add(r *rendering, in, arg any) (any, error) {
	_, inText := in.(string)
	if _, argText := arg.(string); inText || argText {
		return r.concatenate(in, arg)
	}
	return arithmetic("+", in, arg, 0)
}

func toFloatFilter(_ *rendering, in, _ any) (any, error) {
	if f, ok := toFloat(in); ok {
		return f, nil
	}
	if s, ok := in.(string); ok {
		if f, err := strconv.ParseFloat(strings.TrimSpace(s), 64); err == nil && !math.IsNaN(f) && !math.IsInf(f, 0) {
			return f, nil
		}
	}
	return nil, fmt.Errorf("needs a number or a string that holds one, not %s", kindOfText(in))
}

// toInteger cuts off decimals.
func toInteger(_ *rendering, in, _ any) (any, error) {
	if s, ok := in.(string); ok {
		if i, err := strconv.ParseInt(strings.TrimSpace(s), 10, 64); err == nil {
			return i, nil
		}
	}
	if i, ok := in.(int64); ok {
		return i, nil
	}
	f, err := toFloatFilter(nil, in, nil)
	if err != nil {
		return nil, err
	}
	if f, ok := f.(float64); ok && math.Abs(f) < 1<<63 {
		return int64(f), nil
	}
	return nil, errors.New("got a number that does not fit 64 bits")
}

func kindOfText(v any) string {
	if _, ok := v.(string); ok {
		return "this string"
	}
	return kindOf(v)
}
