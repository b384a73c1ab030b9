package template_test

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/stroem/stroem/core/template"
)

// FuzzRender holds that any template over any context ends soon, without a panic, within its bounds, and the same way
// each time; that what it uses is announced; and that text outside of tags comes through.
func FuzzRender(f *testing.F) {
	for _, source := range []string{
		"", "plain", "{{ input.name }}", "{{ nope }}", "{{ first-one.output }}", "{{ 1st.output }}", "{{ 5/0 }}", "{{ x[nope] }}", "{% cycle %}", `{{ "a"|ljust:99999999 }}`,
		"{% for f in input.files reversed sorted %}{{ forloop.counter }}{{ f }}{% empty %}-{% endfor %}", "{% for k, v in input.object %}{{ k }}{{ v|tojson }}{% endfor %}",
		"{% if input.on and not nope or 1 in input.list %}a{% elif 2 %}b{% else %}c{% endif %}", "{% set x = input.list %}{% with y=x[0] %}{{ y }}{% endwith %}",
		`{% firstof nope "x" %}{% filter upper|cut:"A" %}abc{% endfilter %}{% spaceless %}<a> <b>{% endspaceless %}`, "{% comment %}{% if %}{% endcomment %}{# x #}{% verbatim %}{{{% endverbatim %}",
		"{%- if 1 -%} x {%- endif -%}", `{{ (1 + 2.5) * -3 ^ 2 % 4 / 5 == "a" }}`, `{{ nope|default:"x"|shellquote|urlencode|truncatechars:3|center:9 }}`,
		`{{ input.list|join:","|split:","|slice:"1:-1"|first|last|length }}`, `{{ 1|floatformat:-3|add:2|yesno:"a,b"|pluralize }}`, "{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}",
		"{{", "{%", "{#", "{{ '\\", "a\x01{{ 1 }}", "{{ \xff }}", "{{{{ 1 }}}}", "{{#{{ 1 }}", strings.Repeat("{% for a in input.list %}", 8) + strings.Repeat("{% endfor %}", 8),
	} {
		f.Add(source, sample)
	}
	f.Fuzz(func(t *testing.T, source, context string) {
		var vars template.Context
		if json.Unmarshal([]byte(context), &vars) != nil {
			return
		}
		started := time.Now()
		tmpl, err := template.Compile(source)
		if err != nil {
			requireProperError(t, err)
			return
		}
		refs := tmpl.References()
		tmpl.Unquoted("input")
		got, err := tmpl.Render(t.Context(), vars)
		again, errAgain := tmpl.Render(t.Context(), vars)
		require.Equal(t, got, again)
		require.Equal(t, err, errAgain)
		require.Less(t, time.Since(started), 10*time.Second)
		if err != nil {
			require.Empty(t, got)
			requireProperError(t, err)
			return
		}
		if !template.HasTemplate(source) {
			require.Equal(t, source, got)
			return
		}
		require.LessOrEqual(t, len(got), template.MaxOutput)
		used := make(template.Context, len(refs))
		for _, ref := range refs {
			if v, ok := vars[ref.Path[0]]; ok {
				used[ref.Path[0]] = v
			}
		}
		from, err := tmpl.Render(t.Context(), used)
		require.NoError(t, err, "what is not announced is not used")
		require.Equal(t, got, from)
	})
}

func requireProperError(t *testing.T, err error) {
	t.Helper()
	var typed *template.Error
	require.ErrorAs(t, err, &typed)
	require.False(t, template.IsPanic(err), "%v", errors.Unwrap(err))
	require.Positive(t, typed.Line)
	require.Positive(t, typed.Column)
	require.NotEmpty(t, typed.Message)
}
