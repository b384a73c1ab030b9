package template_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/stroem/stroem/core/template"
)

// notation writes references as line:column path, with "?" behind those that are guarded.
func notation(refs []template.Reference) string {
	parts := make([]string, len(refs))
	for i, r := range refs {
		parts[i] = fmt.Sprintf("%d:%d %s", r.Line, r.Column, strings.Join(r.Path, "."))
		if r.Guarded {
			parts[i] += "?"
		}
	}
	return strings.Join(parts, ", ")
}

func TestReferences(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct{ source, want string }{
		{"constant", ""},
		{"a\nü {{ build.output.x }}", "2:6 build.output.x"},
		{`{{ a["k-1"].b[0].c[d.e].f }}`, "1:4 a.k-1.b.0.c, 1:20 d.e"},
		{`{{ a + b * (c - d) }}`, "1:4 a, 1:8 b, 1:13 c, 1:17 d"},
		{`{{ a|default:b }}`, "1:4 a?, 1:14 b"},
		{`{{ (a + -b)|upper|default:1 }}`, "1:5 a?, 1:10 b?"},
		{`{{ a|default:b|default:c|cut:d }}`, "1:4 a?, 1:14 b?, 1:24 c, 1:30 d"},
		{`{{ a|join:b }}`, "1:4 a, 1:11 b"},
		{`{% if a %}{{ b }}{% elif c %}{% endif %}`, "1:7 a?, 1:14 b, 1:26 c?"},
		{`{% firstof a b %}`, "1:12 a?, 1:14 b?"},
		{`{% for x in l %}{{ x.a }}{{ forloop.first }}{{ y }}{% empty %}{{ x }}{% endfor %}{{ x }}`, "1:13 l, 1:48 y, 1:66 x, 1:85 x"},
		{`{% with a=a %}{{ a }}{% endwith %}{{ a }}`, "1:11 a, 1:38 a"},
		{`{% set a = b %}{{ a }}`, "1:12 b"},
		{`{% for x in l %}{% set a = 1 %}{{ a }}{% endfor %}{{ a }}`, "1:13 l, 1:54 a"},
		{`{% if c %}{% set a = 1 %}{{ a }}{% else %}{{ a }}{% endif %}{{ a }}`, "1:7 c?, 1:46 a?, 1:64 a?"},
		{`{% filter cut:a %}{{ b }}{% endfilter %}`, "1:15 a, 1:22 b"},
		{`{# {{ a }} #}{% comment %}{{ b }}{% endcomment %}{% verbatim %}{{ c }}{% endverbatim %}{{ "d" }}`, ""},
	} {
		tmpl, err := template.Compile(tc.source)
		require.NoError(t, err, tc.source)
		require.Equal(t, tc.want, notation(tmpl.References()), tc.source)
	}
}

func TestUnquoted(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct{ source, want string }{
		{"rm {{ input.a }}", "1:7 input.a"},
		{"echo\nrm x{{ input.a }}y {{ input.b }}", "2:8 input.a, 2:23 input.b"},
		{`rm "{{ input.a }}" '{{ input.b }}' {{ input.c }}`, "1:39 input.c"},
		{`rm "a"{{ input.a }}"b"`, "1:10 input.a"},
		{"rm {{ input.a|shellquote }} {{ input.a|upper|shellquote }} {{ input.n|integer }}", ""},
		{"rm {{ input.a|shellquote|upper }}", "1:7 input.a"},
		{"rm {{ input.a|default:input.b }}", "1:7 input.a?, 1:23 input.b"},
		{"rm {{ secret.a }} {{ build.output.a }}", ""},
		{"# don't {{ input.a }}\nrm {{ input.b }}", "2:7 input.b"},
		{"echo a#'b {{ input.a }}'", ""},
		{"echo {{ secret.a }}#'b {{ input.a }}'", ""},
		{`echo \' {{ input.a }}`, "1:12 input.a"},
		{`echo '\' {{ input.a }}`, "1:13 input.a"},
		{`echo "\"{{ input.a }}"`, ""},
		{"cat <<EOF\ndon't {{ input.a }}\nEOF\nrm {{ input.b }}", "4:7 input.b"},
		{"cat <<-'E1' <<E2 > {{ input.x }}\n\"\n\tE1\n'{{ input.a }}\nE2\nrm {{ input.b }}", "1:23 input.x, 6:7 input.b"},
		{"cat <<< '{{ input.a }}' {{ input.b }}", "1:28 input.b"},
		{"cat < 'a' {{ input.b }}", "1:14 input.b"},
		{"{# don't #}{% if input.on %}rm {{ input.a }}{% endif %}", "1:35 input.a"},
		{"{% verbatim %}'{% endverbatim %}{{ input.a }}'", ""},
		{"echo 'two\nlines {{ input.a }}'", ""},
	} {
		tmpl, err := template.Compile(tc.source)
		require.NoError(t, err, tc.source)
		require.Equal(t, tc.want, notation(tmpl.Unquoted("input")), tc.source)
	}
}
