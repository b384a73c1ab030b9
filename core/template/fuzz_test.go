package template_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/stroem/stroem/core/template"
)

// FuzzRender holds that any template over any context ends soon, without a panic, within its bounds, and the same way
// each time, and that what it uses is announced.
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
		f.Add(source)
	}
	f.Fuzz(func(t *testing.T, source string) { checkRender(t, source, decoded(t, sample)) })
}

// TestRenderOfRandomTemplates holds the same for templates that are put together from what the syntax consists of.
func TestRenderOfRandomTemplates(t *testing.T) {
	t.Parallel()
	vars := decoded(t, sample)
	names := []string{"input", "input.name", "input.n", "input.list", "input.object", "input.files", "nope", "x", "input.list[0]", "first-one", "forloop.counter", "null", "true", "1", "2.5", `"s"`, "0"}
	operators := []string{"+", "-", "*", "/", "%", "^", "==", "!=", "<", ">=", "in", "not in", "and", "or"}
	filters := []string{"upper", "tojson", "length", "first", "integer", "shellquote", `default:"d"`, `join:"-"`, `split:","`, "ljust:5", `slice:"1:"`, `yesno:"a,b"`, "floatformat:2", "add:x", "title", "cut:x"}
	tags := []string{
		"{% if @ %}", "{% elif @ %}", "{% else %}", "{% endif %}", "{% for x in @ %}", "{% for x, y in @ sorted %}", "{% empty %}", "{% endfor %}", "{% set x = @ %}", "{% with x=@ %}", "{% endwith %}",
		"{% filter upper %}", "{% endfilter %}", "{% spaceless %}", "{% endspaceless %}", "{% firstof @ @ %}", "{# x #}", "{{- @ -}}", "{{ @ }}", "{{ @ }}", "{{ @ }}", " text ", "{", "> <",
	}
	rapid.Check(t, func(t *rapid.T) {
		var expression func(depth int) string
		expression = func(depth int) string {
			e := rapid.SampledFrom(names).Draw(t, "name")
			switch n := rapid.IntRange(0, 9).Draw(t, "form"); {
			case n < 3:
				e += "|" + rapid.SampledFrom(filters).Draw(t, "filter")
			case n < 5 && depth > 0:
				e += " " + rapid.SampledFrom(operators).Draw(t, "operator") + " " + expression(depth-1)
			case n == 5 && depth > 0:
				e = "(" + expression(depth-1) + ")|" + rapid.SampledFrom(filters).Draw(t, "filter")
			case n == 6:
				e = "not " + e
			}
			return e
		}
		var source strings.Builder
		for range rapid.IntRange(1, 12).Draw(t, "length") {
			for _, r := range rapid.SampledFrom(tags).Draw(t, "tag") {
				if r == '@' {
					source.WriteString(expression(3))
				} else {
					source.WriteRune(r)
				}
			}
		}
		checkRender(t, source.String(), vars)
	})
}

// TestTextIsLeftAlone holds that whatever stands around a tag comes through.
func TestTextIsLeftAlone(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.StringMatching(`([^{\x01]|\{[^{%#\x01])*`)
		before, between, after := text.Draw(t, "before"), text.Draw(t, "between"), text.Draw(t, "after")
		got, err := template.RenderString(context.Background(), before+"{{ 1 }}"+between+"{% if 1 %}{# x #}{% endif %}"+after, nil)
		require.NoError(t, err)
		require.Equal(t, before+"1"+between+after, got)
	})
}

func checkRender(t require.TestingT, source string, vars template.Context) {
	ctx := context.Background()
	started := time.Now()
	tmpl, err := template.Compile(source)
	if err != nil {
		requireProperError(t, err)
		return
	}
	refs := tmpl.References()
	tmpl.Unquoted("input")
	got, err := tmpl.Render(ctx, vars)
	again, errAgain := tmpl.Render(ctx, vars)
	require.Equal(t, got, again)
	require.Equal(t, err, errAgain)
	require.Less(t, time.Since(started), 10*time.Second)
	if err != nil {
		require.Empty(t, got)
		requireProperError(t, err)
		return
	}
	require.LessOrEqual(t, len(got), max(template.MaxOutput, len(source)))
	if !template.HasTemplate(source) {
		require.Equal(t, source, got)
	}
	used := make(template.Context, len(refs))
	for _, ref := range refs {
		if v, ok := vars[ref.Path[0]]; ok {
			used[ref.Path[0]] = v
		}
	}
	from, err := tmpl.Render(ctx, used)
	require.NoError(t, err, "what is not announced is not used")
	require.Equal(t, got, from)
}

func requireProperError(t require.TestingT, err error) {
	var typed *template.Error
	require.ErrorAs(t, err, &typed)
	require.False(t, template.IsPanic(err), "%v", errors.Unwrap(err))
	require.Positive(t, typed.Line)
	require.Positive(t, typed.Column)
	require.NotEmpty(t, typed.Message)
}
