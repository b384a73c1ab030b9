package workflow_test

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/stroem/stroem/core"
	"github.com/stroem/stroem/core/workflow"
)

func TestCheckInput(t *testing.T) {
	t.Parallel()
	upper := func(text string) (string, error) {
		if text == "bad" {
			return "", errors.New("no secret.db")
		}
		return "7", nil
	}
	for _, c := range []struct {
		name   string
		fields map[string]core.InputField
		given  map[string]any
		opts   workflow.InputOptions
		want   map[string]any
		err    string
	}{
		{name: "nothing declared, nothing given", want: map[string]any{}},
		{name: "undeclared keys stay", given: map[string]any{"x": 1.5}, want: map[string]any{"x": 1.5}},
		{
			name:   "defaults fill in, given values win",
			fields: map[string]core.InputField{"a": {Type: "string", Default: "A"}, "b": {Type: "string", Default: "B"}, "c": {Type: "string"}},
			given:  map[string]any{"b": "mine"},
			want:   map[string]any{"a": "A", "b": "mine"},
		},
		{
			name:   "null counts as not given",
			fields: map[string]core.InputField{"a": {Type: "string", Default: "A"}, "b": {Type: "string"}},
			given:  map[string]any{"a": nil, "b": nil},
			want:   map[string]any{"a": "A", "b": nil},
		},
		{
			name:   "a rendered default is converted",
			fields: map[string]core.InputField{"n": {Type: "integer", Default: "{{ secret.n }}"}},
			opts:   workflow.InputOptions{RenderDefault: upper},
			want:   map[string]any{"n": int64(7)},
		},
		{
			name:   "a default that cannot be rendered",
			fields: map[string]core.InputField{"n": {Type: "integer", Default: "bad"}},
			opts:   workflow.InputOptions{RenderDefault: upper},
			err:    "Invalid input: n has a default that cannot be rendered: no secret.db",
		},
		{
			name: "every problem at once, no values",
			fields: map[string]core.InputField{
				"a": {Type: "string", Required: true, Description: "what it is for"}, "b": {Type: "number"}, "c": {Type: "boolean"},
				"d": {Type: "date"}, "e": {Type: "integer"}, "f": {Type: "string", Enum: []any{"x", "y"}},
				"g": {Type: "object"}, "h": {Type: "array"}, "i": {Type: "string", Required: true},
				"j": {Type: "integer", Secret: true}, "k": {Type: "integer"},
			},
			given: map[string]any{"b": "5", "c": "true", "d": "31.1.2026", "e": 1.5, "f": "s3cret", "g": []any{}, "h": map[string]any{}, "i": 5.0, "j": "s3cret", "k": strings.Repeat("x", 41)},
			err: `Invalid input: a is required (what it is for); b has to be a number, and is the string "5"; ` +
				`c has to be a boolean, and is the string "true"; d has to be a date (2006-01-31, or an instant as in RFC 3339), and is the string "31.1.2026"; ` +
				`e has to be an integer, and is the number 1.5; f has to be one of "x","y"; g has to be an object, and is an array; ` +
				`h has to be an array, and is an object; i has to be a string, and is the number 5; ` +
				`j has to be an integer (it is secret and not shown); k has to be an integer, and is a string of 41 characters`,
		},
		{
			name: "right types",
			fields: map[string]core.InputField{
				"s": {Type: "string"}, "n": {Type: "number"}, "i": {Type: "integer"}, "b": {Type: "boolean"},
				"o": {Type: "object"}, "a": {Type: "array"}, "d": {Type: "date"}, "any": {}, "e": {Type: "integer", Enum: []any{int64(1), int64(2)}},
			},
			given: map[string]any{
				"s": "", "n": 1.5, "i": json.Number("3"), "b": false, "o": map[string]any{}, "a": []any{}, "d": "2026-02-28", "any": true, "e": 2.0,
			},
			want: map[string]any{
				"s": "", "n": 1.5, "i": json.Number("3"), "b": false, "o": map[string]any{}, "a": []any{}, "d": "2026-02-28", "any": true, "e": 2.0,
			},
		},
		{
			name: "strings are converted on request",
			fields: map[string]core.InputField{
				"s": {Type: "string"}, "n": {Type: "number"}, "i": {Type: "integer"}, "b": {Type: "boolean"},
				"o": {Type: "object"}, "a": {Type: "array"}, "e": {Type: "integer", Enum: []any{int64(1)}},
			},
			given: map[string]any{"s": " 5", "n": "1.5\n", "i": "-3", "b": " true", "o": `{"k":1}`, "a": "[1]", "e": "1", "x": "5"},
			opts:  workflow.InputOptions{Convert: true},
			want: map[string]any{
				"s": " 5", "n": 1.5, "i": int64(-3), "b": true, "o": map[string]any{"k": 1.0}, "a": []any{1.0}, "e": int64(1), "x": "5",
			},
		},
		{
			name:   "strings that do not convert",
			fields: map[string]core.InputField{"a": {Type: "number"}, "b": {Type: "boolean"}, "c": {Type: "array"}, "d": {Type: "integer"}, "e": {Type: "object"}},
			given:  map[string]any{"a": "0x10", "b": "maybe", "c": "{}", "d": "1.5", "e": "{"},
			opts:   workflow.InputOptions{Convert: true},
			err: `Invalid input: a has to be a number, and is the string "0x10"; b has to be a boolean, and is the string "maybe"; ` +
				`c has to be an array, and is an object; d has to be an integer, and is the number 1.5; e has to be an object, and is the string "{"`,
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			got, err := workflow.CheckInput(c.fields, c.given, c.opts)
			if c.err != "" {
				require.EqualError(t, err, c.err)
				require.Equal(t, core.CodeInvalid, core.ErrorCode(err))
				return
			}
			require.NoError(t, err)
			require.Equal(t, c.want, got)
		})
	}
}

func TestConvertInput(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		fieldType, text string
		want            any // nil: refused
	}{
		{"", "5", "5"},
		{"string", "5", "5"},
		{"number", "5", int64(5)},
		{"number", "1e3", 1000.0},
		{"number", "+5", nil},
		{"number", "NaN", nil},
		{"number", "null", nil},
		{"number", "", nil},
		{"integer", "9007199254740993", int64(9007199254740993)},
		{"integer", "2.0", 2.0},
		{"boolean", "false", false},
		{"boolean", "Yes", true},
		{"boolean", "2", nil},
		{"date", "2024-02-29T10:00:00Z", "2024-02-29T10:00:00Z"},
		{"date", "2024-02-29", "2024-02-29"},
		{"date", "2023-02-29", nil},
		{"array", "null", nil},
	} {
		got, err := workflow.ConvertInput(c.fieldType, c.text)
		if c.want == nil {
			require.Error(t, err, "%s %q", c.fieldType, c.text)
			continue
		}
		require.NoError(t, err)
		require.Equal(t, c.want, got)
	}
}
