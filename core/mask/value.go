package mask

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// Values lists what is secret in a value from YAML or JSON: strings at any depth, and numbers as they are printed, from
// [MinLength] bytes on. Booleans and null are no secrets, and neither are the keys of objects.
func Values(value any) []string {
	switch v := value.(type) {
	case string:
		if len(v) >= MinLength {
			return []string{v}
		}
	case map[string]any:
		var values []string
		for _, key := range slices.Sorted(maps.Keys(v)) {
			values = append(values, Values(v[key])...)
		}
		return values
	case []any:
		var values []string
		for _, item := range v {
			values = append(values, Values(item)...)
		}
		return values
	case nil, bool:
	default:
		if text, err := json.Marshal(v); err == nil && len(text) >= MinLength && isNumber(text) {
			return []string{string(text)}
		}
	}
	return nil
}

func isNumber(text []byte) bool {
	_, err := strconv.ParseFloat(string(text), 64)
	return err == nil
}

// JSON returns a document with its strings, its numbers and the keys of its objects masked, and whether that changed
// anything: if not, it is the document as it was given. A number in which a secret is found becomes a string.
func (m *Masker) JSON(document []byte) (masked []byte, changed bool, err error) {
	// Without an escape a string in JSON reads as it is, and a secret cannot be there without being found. Numbers can be
	// written in several ways.
	if m.Empty() || len(document) == 0 || !m.numbers && bytes.IndexByte(document, '\\') < 0 && !m.Found(document) {
		return document, false, nil
	}
	decoder := json.NewDecoder(bytes.NewReader(document))
	decoder.UseNumber()
	var value any
	if err := decoder.Decode(&value); err != nil {
		return nil, false, fmt.Errorf("decode what is to be masked: %w", err)
	}
	if value, changed = m.Value(value); !changed {
		return document, false, nil
	}
	if masked, err = json.Marshal(value); err != nil {
		return nil, false, fmt.Errorf("encode what was masked: %w", err)
	}
	return masked, true, nil
}

// Value masks a decoded document in place as far as it can, and returns it.
func (m *Masker) Value(value any) (masked any, changed bool) {
	switch v := value.(type) {
	case string:
		text := m.String(v)
		return text, text != v
	case json.Number:
		return m.number(v.String(), value)
	case float64:
		return m.number(strconv.FormatFloat(v, 'f', -1, 64), value)
	case []any:
		for i := range v {
			item, itemChanged := m.Value(v[i])
			v[i], changed = item, changed || itemChanged
		}
		return v, changed
	case map[string]any:
		return m.object(v)
	}
	return value, false
}

func (m *Masker) number(text string, value any) (any, bool) {
	if m.Empty() {
		return value, false
	}
	if strings.ContainsAny(text, "eE") { // the database keeps it without exponent
		if f, err := strconv.ParseFloat(text, 64); err == nil {
			text = strconv.FormatFloat(f, 'f', -1, 64)
		}
	}
	if shown := m.String(text); shown != text {
		return shown, true
	}
	return value, false
}

func (m *Masker) object(object map[string]any) (any, bool) {
	changed := false
	for _, key := range slices.Sorted(maps.Keys(object)) {
		item, itemChanged := m.Value(object[key])
		object[key], changed = item, changed || itemChanged
		if shown := m.String(key); shown != key {
			delete(object, key)
			object[free(object, shown)] = item
			changed = true
		}
	}
	return object, changed
}

// free is a key like the given one that an object does not have.
func free(object map[string]any, key string) string {
	for n := 2; ; n++ {
		if _, taken := object[key]; !taken {
			return key
		}
		key = fmt.Sprintf("%s (%d)", Mark, n)
	}
}
