package template_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"

	"github.com/stroem/stroem/core/template"
)

func TestRenderValue(t *testing.T) {
	t.Parallel()
	vars := template.Context{"x": "X", "n": 3}
	value := map[string]any{
		"{{ x }}": "{{ x }}", "number": 1.5, "null": nil, "bool": true, "plain": "a { b", "count": "{{ n }}",
		"list": []any{"{{ x }}", 1, map[string]any{"deep": []any{"-{{ x }}-"}}}, "empty": []any{}, "strings": []string{"{{ x }}"}, "env": map[string]string{"A": "{{ x }}"},
	}
	got, err := template.RenderValue(t.Context(), value, vars)
	require.NoError(t, err)
	want := map[string]any{
		"{{ x }}": "X", "number": 1.5, "null": nil, "bool": true, "plain": "a { b", "count": "3",
		"list": []any{"X", 1, map[string]any{"deep": []any{"-X-"}}}, "empty": []any{}, "strings": []any{"X"}, "env": map[string]any{"A": "X"},
	}
	require.Empty(t, cmp.Diff(want, got))
	require.Equal(t, "{{ x }}", value["{{ x }}"], "the original is left alone")

	got, err = template.RenderValue(t.Context(), "{{ x }}!", vars)
	require.NoError(t, err)
	require.Equal(t, "X!", got)
}

func TestRenderValueNamesThePath(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		value any
		path  string
	}{
		{map[string]any{"input": map[string]any{"env": []any{"a", "b", map[string]any{"name": "{{ x }}"}}}}, "input.env[2].name"},
		{[]any{[]any{"{{ x"}}, "[0][0]"},
		{map[string]any{"b": "{{ x }}", "a": "{{ x }}"}, "a"},
		{map[string]any{"f": func() {}}, "f"},
		{map[string]any{"f": &struct{ A string }{"{{ x }}"}}, "f"},
	} {
		_, err := template.RenderValue(t.Context(), tc.value, nil)
		var typed *template.Error
		require.ErrorAs(t, err, &typed)
		require.Equal(t, tc.path, typed.Path)
		require.True(t, strings.HasPrefix(err.Error(), tc.path+": "), err.Error())
	}
	_, err := template.RenderValue(t.Context(), map[string]any{"input": []any{"{{ x }}"}}, template.Context{"y": 1})
	require.EqualError(t, err, `input[0]: {{ x }} (line 1, column 4): "x" is undefined; the names here are y; if it may be missing, write |default:"…" behind it`)
}

func TestRenderValueSharesOneBudget(t *testing.T) {
	t.Parallel()
	list := make([]any, 100)
	for i := range list {
		list[i] = "{{ big }}"
	}
	_, err := template.RenderValue(t.Context(), list, template.Context{"big": strings.Repeat("x", template.MaxOutput/50)})
	require.ErrorContains(t, err, "more than 4194304 bytes")
}
