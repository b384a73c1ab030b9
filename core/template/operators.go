package template

import (
	"math"
	"strings"
)

// arithmetic computes with numbers. Integers stay integers where the result is one.
func arithmetic(op string, left, right any, offset int) (any, error) {
	f, fok := toFloat(left)
	g, gok := toFloat(right)
	if !fok || !gok {
		return nil, errorAt(offset, `%q needs two numbers, not %s and %s; |integer and |float make a number of a string`, op, kindOf(left), kindOf(right))
	}
	if (op == "/" || op == "%") && g == 0 {
		return nil, errorAt(offset, "division by zero")
	}
	i, iok := left.(int64)
	j, jok := right.(int64)
	if iok && jok {
		if n, ok := integers(op, i, j); ok {
			return n, nil
		}
	}
	result := floats(op, f, g)
	if math.IsNaN(result) || math.IsInf(result, 0) {
		return nil, errorAt(offset, "the result of %q is not a finite number", op)
	}
	return result, nil
}

// integers computes exactly; ok is false if the result is no integer of 64 bits. For "/" and "%" j is not 0.
func integers(op string, i, j int64) (n int64, ok bool) {
	switch op {
	case "+":
		n = i + j
		return n, (n > i) == (j > 0)
	case "-":
		n = i - j
		return n, (n < i) == (j > 0)
	case "*":
		if i == 0 || j == 0 {
			return 0, true
		}
		n = i * j
		return n, n/j == i && (i != -1 || j != math.MinInt64) && (j != -1 || i != math.MinInt64)
	case "/":
		if j == -1 && i == math.MinInt64 || i%j != 0 {
			return 0, false
		}
		return i / j, true
	case "%":
		return i % j, true
	default:
		f := math.Pow(float64(i), float64(j))
		return int64(f), j >= 0 && math.Abs(f) <= 1<<53
	}
}

func floats(op string, f, g float64) float64 {
	switch op {
	case "+":
		return f + g
	case "-":
		return f - g
	case "*":
		return f * g
	case "/":
		return f / g
	case "%":
		return math.Mod(f, g)
	default:
		return math.Pow(f, g)
	}
}

// compare decides comparisons and in. Compared with undefined everything is unequal, unordered and not contained.
func (r *rendering) compare(e *binary, left, right any) (any, error) {
	if left == (undefined{}) || right == (undefined{}) {
		return e.op == "!=", nil
	}
	switch e.op {
	case "==", "!=":
		same, err := r.equal(left, right)
		return same == (e.op == "=="), err
	case "in":
		return r.contains(e, right, left)
	}
	order, ok := compareNumbers(left, right)
	if s, isString := left.(string); isString && !ok {
		var t string
		if t, ok = right.(string); ok {
			order = strings.Compare(s, t)
			if err := r.spend(len(s)); err != nil {
				return nil, err
			}
		}
	}
	if !ok {
		return nil, errorAt(e.offset, "%q needs two numbers or two strings, not %s and %s; |integer and |float make a number of a string", e.op, kindOf(left), kindOf(right))
	}
	switch e.op {
	case "<":
		return order < 0, nil
	case "<=":
		return order <= 0, nil
	case ">":
		return order > 0, nil
	default:
		return order >= 0, nil
	}
}

// contains tells whether item is in a list, a key of an object or a part of a string.
func (r *rendering) contains(e *binary, container, item any) (any, error) {
	name, isString := item.(string)
	switch c := container.(type) {
	case []any:
		for _, v := range c {
			if same, err := r.equal(v, item); same || err != nil {
				return same, err
			}
		}
		return false, nil
	case map[string]any:
		_, ok := c[name]
		return ok && isString, nil
	case string:
		if isString {
			return strings.Contains(c, name), r.spend(len(c))
		}
	}
	return nil, errorAt(e.offset, `"in" needs a list, an object, or two strings, not %s in %s`, kindOf(item), kindOf(container))
}
