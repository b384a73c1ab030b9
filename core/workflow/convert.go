package workflow

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// Types of an input field.
const (
	typeString  = "string"
	typeNumber  = "number"
	typeInteger = "integer"
	typeBoolean = "boolean"
	typeObject  = "object"
	typeArray   = "array"
	typeDate    = "date"
)

var inputTypes = []string{typeString, typeNumber, typeInteger, typeBoolean, typeObject, typeArray, typeDate}

// typeName names a type for messages.
func typeName(fieldType string) string {
	switch fieldType {
	case typeInteger, typeObject, typeArray:
		return "an " + fieldType
	case typeDate:
		return "a date (2006-01-31, or an instant as in RFC 3339)"
	default:
		return "a " + fieldType
	}
}

// ConvertInput reads a text as a value of an input field's type: a string, int64, float64, bool, map[string]any or
// []any. Text of an unknown or absent type stays text, as does a date, which is checked.
func ConvertInput(fieldType, text string) (any, error) {
	trimmed := strings.TrimSpace(text)
	var value any
	var err error
	switch fieldType {
	case typeNumber, typeInteger:
		value, err = parseNumber(trimmed)
	case typeBoolean:
		value, err = parseBoolean(strings.ToLower(trimmed))
	case typeObject, typeArray:
		err = json.Unmarshal([]byte(trimmed), &value)
	case typeDate:
		value = trimmed
	default:
		return text, nil
	}
	if err != nil {
		return nil, mismatch(fieldType, text)
	}
	return value, checkType(fieldType, value)
}

// parseBoolean accepts what forms and queries send, too.
func parseBoolean(text string) (bool, error) {
	switch text {
	case "true", "yes", "on", "1":
		return true, nil
	case "false", "no", "off", "0":
		return false, nil
	}
	return false, errors.New("not a boolean")
}

// parseNumber reads a number as JSON writes it.
func parseNumber(text string) (any, error) {
	if i, err := strconv.ParseInt(text, 10, 64); err == nil && !strings.HasPrefix(text, "+") {
		return i, nil
	}
	var f float64
	if err := json.Unmarshal([]byte(text), &f); err != nil || text == "null" {
		return nil, errors.New("not a number")
	}
	return f, nil
}

// checkType tells whether a plain value is of a field's type; every value is of no type.
func checkType(fieldType string, value any) error {
	valid := true
	switch fieldType {
	case typeString:
		_, valid = value.(string)
	case typeNumber:
		_, valid = number(value)
	case typeInteger:
		var f float64
		f, valid = number(value)
		valid = valid && f == math.Trunc(f) && !math.IsInf(f, 0)
	case typeBoolean:
		_, valid = value.(bool)
	case typeObject:
		_, valid = value.(map[string]any)
	case typeArray:
		_, valid = value.([]any)
	case typeDate:
		text, isText := value.(string)
		_, notDay := time.Parse(time.DateOnly, text)
		_, notInstant := time.Parse(time.RFC3339, text)
		valid = isText && (notDay == nil || notInstant == nil)
	}
	if !valid {
		return mismatch(fieldType, value)
	}
	return nil
}

// maxShown is the length of the longest text that a message repeats. A longer one is not cut but left out: what is left
// of a secret would no longer be recognised and masked.
const maxShown = 40

func mismatch(fieldType string, value any) error {
	is := "null"
	switch v := value.(type) {
	case nil:
	case string:
		is = fmt.Sprintf("the string %q", v)
		if len(v) > maxShown {
			is = fmt.Sprintf("a string of %d characters", utf8.RuneCountInString(v))
		}
	case bool:
		is = fmt.Sprintf("the boolean %t", v)
	case map[string]any:
		is = "an object"
	case []any:
		is = "an array"
	default:
		is = fmt.Sprintf("the number %v", v)
	}
	return fmt.Errorf("has to be %s, and is %s", typeName(fieldType), is)
}

// number is the value of a plain number.
func number(value any) (float64, bool) {
	switch v := value.(type) {
	case int:
		return float64(v), true
	case int64:
		return float64(v), true
	case uint64:
		return float64(v), true
	case float64:
		return v, true
	case json.Number:
		f, err := v.Float64()
		return f, err == nil
	}
	return 0, false
}
