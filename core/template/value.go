package template

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"reflect"
	"strconv"
	"strings"
)

// undefined stands for a name or key that is not there, where that is not an error: in conditions and under default.
type undefined struct{}

// plain brings a value of a context into the few types that expressions know: nil, bool, int64, float64, string, []any
// and map[string]any. It does not look inside containers: what is inside is converted when it is reached.
func (b *budget) plain(v any) (any, error) {
	switch v := v.(type) {
	case nil, bool, int64, float64, string, []any, map[string]any, undefined, *loop:
		return v, nil
	case int:
		return int64(v), nil
	case json.Number:
		if i, err := v.Int64(); err == nil {
			return i, nil
		}
		f, err := v.Float64()
		if err != nil {
			return nil, errors.New("this number is out of range")
		}
		return f, nil
	case Context:
		return map[string]any(v), nil
	}
	return b.reflected(reflect.ValueOf(v))
}

func (b *budget) reflected(v reflect.Value) (any, error) {
	switch v.Kind() {
	case reflect.Bool:
		return v.Bool(), nil
	case reflect.String:
		return v.String(), nil
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		return v.Int(), nil
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		if v.Uint() > math.MaxInt64 {
			return float64(v.Uint()), nil
		}
		return int64(v.Uint()), nil //nolint:gosec // it fits, see above
	case reflect.Float32, reflect.Float64:
		return v.Float(), nil
	case reflect.Slice:
		list := make([]any, v.Len())
		for i := range list {
			list[i] = v.Index(i).Interface()
		}
		return list, b.spend(16 * v.Len())
	case reflect.Map:
		if v.Type().Key().Kind() == reflect.String {
			m := make(map[string]any, v.Len())
			for _, k := range v.MapKeys() {
				m[k.String()] = v.MapIndex(k).Interface()
			}
			return m, b.spend(16 * v.Len())
		}
	}
	return nil, fmt.Errorf("a value of the Go type %s cannot be used in a template", v.Type())
}

// kindOf names the type of a plain value for messages.
func kindOf(v any) string {
	switch v.(type) {
	case nil:
		return "null"
	case bool:
		return "a boolean"
	case int64, float64:
		return "a number"
	case string:
		return "a string"
	case []any:
		return "a list"
	case map[string]any:
		return "an object"
	default:
		return "the forloop"
	}
}

// text is a value as it is printed: a string as it is, null as nothing, everything else as JSON.
func text(v any) (string, error) {
	switch v := v.(type) {
	case nil:
		return "", nil
	case string:
		return v, nil
	case bool:
		return strconv.FormatBool(v), nil
	case int64:
		return strconv.FormatInt(v, 10), nil
	default:
		return jsonText(v)
	}
}

// jsonText is a value as JSON; a float that is integral has no decimals, "<" stays "<", keys are sorted.
func jsonText(v any) (string, error) {
	if _, ok := v.(*loop); ok {
		return "", errors.New("forloop cannot be printed; print forloop.counter")
	}
	var b bytes.Buffer
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(v); err != nil {
		return "", fmt.Errorf("this value has no JSON form: %w", err)
	}
	return strings.TrimSuffix(b.String(), "\n"), nil
}

// truth is what an if makes of a value: null, undefined, zero and empty are false.
func truth(v any) bool {
	switch v := v.(type) {
	case nil, undefined:
		return false
	case bool:
		return v
	case int64:
		return v != 0
	case float64:
		return v != 0
	case string:
		return v != ""
	case []any:
		return len(v) > 0
	case map[string]any:
		return len(v) > 0
	default:
		return true
	}
}

// equal compares plain values by content; numbers by value, whatever their type.
func (b *budget) equal(x, y any) (bool, error) {
	if err := b.spend(0); err != nil {
		return false, err
	}
	x, err := b.plain(x)
	if err != nil {
		return false, err
	}
	if y, err = b.plain(y); err != nil {
		return false, err
	}
	switch x := x.(type) {
	case nil, bool:
		return x == y, nil
	case string:
		y, ok := y.(string)
		return ok && x == y, b.spend(len(x))
	case int64, float64:
		order, ok := compareNumbers(x, y)
		return ok && order == 0, nil
	case []any:
		y, ok := y.([]any)
		if !ok || len(x) != len(y) {
			return false, nil
		}
		for i := range x {
			if same, err := b.equal(x[i], y[i]); !same || err != nil {
				return false, err
			}
		}
		return true, nil
	case map[string]any:
		y, ok := y.(map[string]any)
		if !ok || len(x) != len(y) {
			return false, nil
		}
		for k := range x {
			other, ok := y[k]
			if !ok {
				return false, nil
			}
			if same, err := b.equal(x[k], other); !same || err != nil {
				return false, err
			}
		}
		return true, nil
	default:
		return false, nil
	}
}

// compareNumbers orders two numbers; ok is false if one is not a number.
func compareNumbers(x, y any) (order int, ok bool) {
	i, iok := x.(int64)
	j, jok := y.(int64)
	if iok && jok {
		return cmp.Compare(i, j), true
	}
	f, fok := toFloat(x)
	g, gok := toFloat(y)
	return cmp.Compare(f, g), fok && gok
}

func toFloat(v any) (float64, bool) {
	switch v := v.(type) {
	case int64:
		return float64(v), true
	case float64:
		return v, true
	default:
		return 0, false
	}
}
