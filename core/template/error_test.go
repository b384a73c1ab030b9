package template_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/stroem/stroem/core/template"
)

func TestErrors(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct{ name, source, want string }{
		{"undefined name", "{{ nope }}", `{{ nope }} (line 1, column 4): "nope" is undefined; the names here are , 1st, a.b, build`},
		{"mend", "{{ nope }}", `if it may be missing, write |default:"…" behind it`},
		{"missing key", "a\n  {{ build.output.nope }}", `(line 2, column 6): "build.output.nope" is undefined: build.output has the keys version`},
		{"key of a string", "{{ input.name.x }}", `"input.name.x" is undefined: input.name is a string and has no keys`},
		{"key of null", "{{ input.nothing.x }}", "input.nothing is null and has no keys"},
		{"index out of range", "{{ input.list[9] }}", `"input.list.9" is undefined: input.list is a list of 5`},
		{"negative index", "{{ input.list[-1] }}", "input.list is a list of 5"},
		{"undefined subscript", "{{ input[nope] }}", `"nope" is undefined`},
		{"hyphenated step", "{{ first-one.output }}", `"-" is a minus here: a step's name is written with "_" instead, as in first_one`},
		{"hyphenated key", "{{ input.object.a-b }}", `for a key with a hyphen write input.object["a-b"]`},
		{"undefined argument", `{{ input.nothing|default:nope }}`, `"nope" is undefined`},
		{"undefined in for", "{% for x in nope %}{% endfor %}", `{% for x in nope %} (line 1, column 13): "nope" is undefined`},
		{"undefined in set", "{% set x = nope %}", `"nope" is undefined`},
		{"undefined in with", "{% with x=nope %}{% endwith %}", `"nope" is undefined`},
		{"undefined comparison outside an if", "{{ nope == 1 }}", `"nope" is undefined`},
		{"undefined under an if", "{% if input.on %}{{ nope }}{% endif %}", `"nope" is undefined`},
		{"undefined before the filter tag's argument", "{% filter cut:nope %}{% endfilter %}", `"nope" is undefined`},
		{"name of a loop behind it", "{% for x in input.files %}{% endfor %}{{ x }}", `"x" is undefined`},
		{"forloop outside", "{{ forloop.counter }}", `"forloop" is undefined`},
		{"print of the loop", "{% for x in input.files %}{{ forloop }}{% endfor %}", "print forloop.counter"},
		{"unknown key of the loop", "{% for x in input.files %}{{ forloop.x }}{% endfor %}", "forloop has counter, counter0"},

		{"division by zero", "{{ 5/0 }}", "division by zero"},
		{"remainder by zero", "{{ 5 % 0 }}", "division by zero"},
		{"division by zero as a float", "{{ 5 / 0.0 }}", "division by zero"},
		{"not finite", "{{ 10 ^ 400 }}", "not a finite number"},
		{"not finite by minus", "{{ (0-8) ^ 0.5 }}", "not a finite number"},
		{"arithmetic on text", `{{ "5" * 2 }}`, `"*" needs two numbers, not a string and a number; |integer and |float make a number of a string`},
		{"order of unlike kinds", `{{ "5" > 2 }}`, `">" needs two numbers or two strings`},
		{"in a number", "{{ 1 in 2 }}", `"in" needs a list`},
		{"minus on an object", "{{ -input.object }}", "needs two numbers"},
		{"for over text", "{% for c in input.name %}{% endfor %}", "needs a list or an object, not a string"},
		{"two names over a list", "{% for a, b in input.list %}{% endfor %}", "a for with two names needs an object"},
		{"sort of unlike kinds", "{% for a in input.list sorted %}{% endfor %}", "sorted needs"},

		{"unknown filter", "{{ 1|nope }}", `there is no filter "nope"; there are add, `},
		{"call with brackets", `{{ nope|default(value="x") }}`, `a filter takes its argument after a colon, as in |default:"none"`},
		{"function", "{{ now() }}", "there are no function calls here"},
		{"method", "{{ input.name.String() }}", "there are no function calls here"},
		{"needs an argument", "{{ nope|default }}", `the filter "default" needs an argument: |default:"…"`},
		{"takes no argument", `{{ 1|upper:"x" }}`, `the filter "upper" takes no argument`},
		{"filter on the wrong kind", "{{ 1|length }}", `the filter "length" needs a list or a string, not a number`},
		{"join of an object", `{{ input.object|join:"," }}`, "not an object"},
		{"no integer", `{{ "abc"|integer }}`, `the filter "integer" needs a number or a string that holds one, not this string`},
		{"too large an integer", `{{ "1e300"|integer }}`, "does not fit 64 bits"},
		{"NUL in a shell word", `{{ nul|shellquote }}`, "NUL byte"},
		{"bad slice", `{{ "abc"|slice:"1" }}`, `the filter "slice"`},

		{"empty", "{{ }}", "expected a value instead of the end of the expression"},
		{"no closing brace", "a {{ b", `"}}" is missing at the end`},
		{"no closing tag brace", "{% if x", `"%}" is missing at the end`},
		{"no closing comment", "{# b", `"#}" is missing`},
		{"open string", `{{ "b }}`, "the string that begins here is not closed"},
		{"bad escape", `{{ "\x" }}`, "unknown escape in a string"},
		{"odd character", "{{ a ? b }}", `unexpected character '?'`},
		{"two values", "{{ input.n input.n }}", `unexpected "input"`},
		{"single equals", "{% if input.n = 1 %}{% endif %}", `to compare write "=="`},
		{"chained comparison", "{{ 1 < 2 < 3 }}", `join them with "and"`},
		{"dot at the end", "{{ input. }}", `expected a key behind "."`},
		{"open bracket", "{{ input[1 }}", `expected "]" instead of`},
		{"keyword as a value", "{{ in }}", `expected a value instead of "in"`},
		{"huge number", "{{ 99999999999999999999 }}", "is too large"},
		{"bind a keyword", "{% set true = 1 %}", `expected a name instead of "true"`},
		{"no tag name", "{% %}", "expected the name of a tag"},
		{"quoted tag name", `{% "if" 1 %}{% endif %}`, "expected the name of a tag"},
		{"tag of ours by its inner name", "{% template_print 0 %}", `there is no tag "template_print"`},

		{"not closed", "a\n{% if 1 %}x", "{% if 1 %} (line 2, column 1): {% if %} is not closed; {% endif %} is missing"},
		{"verbatim not closed", "{% verbatim %}x", "{% endverbatim %} is missing"},
		{"comment not closed", "{% comment %}x{% endcomment a %}", "{% endcomment %} is missing"},
		{"end without a beginning", "{% endif %}", "{% endif %} stands outside of a {% if %}"},
		{"wrong end", "{% if 1 %}\n{% endfor %}", "the innermost open block is the {% if %} in line 1"},
		{"two else", "{% if 1 %}{% else %}{% else %}{% endif %}", "{% endif %} is due"},
		{"else in a for", "{% for x in input.list %}{% else %}{% endfor %}", "the innermost open block is the {% for %}"},
		{"argument behind else", "{% if 1 %}{% else x %}{% endif %}", `unexpected "x"`},
		{"stray option of for", "{% for x in input.list backwards %}{% endfor %}", "only reversed and sorted can stand"},
		{"control character", "a\x01b{{ 1 }}", "U+0001"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			vars := decoded(t, sample)
			vars["nul"] = "a\x00b"
			got, err := template.RenderString(t.Context(), tc.source, vars)
			require.Empty(t, got)
			require.ErrorContains(t, err, tc.want)
			require.False(t, template.IsPanic(err))
			var typed *template.Error
			require.ErrorAs(t, err, &typed)
			require.Positive(t, typed.Line)
			require.Positive(t, typed.Column)
		})
	}
}

func TestTagsOutsideTheAllowList(t *testing.T) {
	t.Parallel()
	for _, source := range []string{
		`{% ssi "/etc/passwd" %}`, `{% include "/etc/passwd" %}`, `{% include nope %}`, `{% import "x" y %}`, `{% extends "x" %}`, `{% lorem %}`, `{% lorem 999999999 %}`,
		`{% now "2006" %}`, `{% cycle %}`, `{% cycle "a" "b" %}`, `{% block a %}{% endblock %}`, `{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}`,
		`{% autoescape off %}{% endautoescape %}`, `{% templatetag openblock %}`, `{% widthratio 1 0 1 %}`, `{% ifequal 1 1 %}{% endifequal %}`, `{% ifchanged %}{% endifchanged %}`,
	} {
		_, err := template.RenderString(t.Context(), source, nil)
		require.ErrorContains(t, err, "there is no tag", source)
		require.ErrorContains(t, err, "there are if, for, set", source)
	}
}

// Each of these must end soon and with an error, whatever it tries to use up.
func TestHostileTemplates(t *testing.T) {
	t.Parallel()
	numbers := make([]any, 1000)
	for i := range numbers {
		numbers[i] = i
	}
	many := make([]any, 200_000)
	vars := template.Context{"l": numbers, "many": many, "big": strings.Repeat("x<\\ ", 1<<18), "x": map[string]any{}}
	loops := func(n int, body string) string {
		return strings.Repeat("{% for a in l %}", n) + body + strings.Repeat("{% endfor %}", n)
	}
	for name, source := range map[string]string{
		"wide padding":                       `{{ "a"|ljust:99999999 }}`,
		"wide padding to right":              `{{ "a"|rjust:99999999 }}`,
		"wide padding around":                `{{ "a"|center:99999999 }}`,
		"negative width":                     `{{ "a"|rjust:-5 }}`,
		"many decimals":                      `{{ 1|floatformat:999999999 }}`,
		"negative truncation":                `{{ "abc"|truncatechars:-1 }}`,
		"format":                             `{{ 1|stringformat:"%999999999d" }}`,
		"regular expression":                 `{{ "a"|removetags:"(" }}`,
		"word wrap":                          `{{ "a b c d e"|wordwrap:3 }}`,
		"random":                             `{{ "abc"|random }}`,
		"date":                               `{{ "abc"|date:"2006" }}`,
		"loops in loops":                     loops(4, ""),
		"loops that print":                   loops(2, "{{ big }}"),
		"text in loops":                      loops(1, strings.Repeat("text ", 10_000)),
		"expressions in loops":               loops(1, strings.Repeat("{% if 1 + 2 * 3 > 4 and a != 5 %}{% endif %}", 5000)),
		"one large loop":                     "{% for a in many %}{% endfor %}",
		"doubling":                           "{% set s = big %}" + loops(1, "{% set s = s + s %}"),
		"long sum":                           "{{ big" + strings.Repeat("+big", 900) + " == 1 }}",
		"growing filters":                    "{{ big" + strings.Repeat("|addslashes", 300) + " }}",
		"work without output":                "{% if big" + strings.Repeat("|upper", 600) + " %}{% endif %}",
		"growing join":                       `{{ l|join:big }}`,
		"search":                             loops(1, `{% if "nope" in big %}{% endif %}`),
		"comparison":                         loops(1, `{% if l == l %}{% endif %}`) + loops(1, `{% if l == l %}{% endif %}`),
		"nested filter blocks":               "{{ big }}{% filter upper %}{{ big }}{% filter lower %}{{ big }}{{ big }}{% endfilter %}{% endfilter %}{{ big }}{{ big }}",
		"spaceless":                          "{% spaceless %}{{ big }}{{ big }}{{ big }}{% endspaceless %}",
		"deep brackets":                      "{{ " + strings.Repeat("(", 1000) + "1" + strings.Repeat(")", 1000) + " }}",
		"deep subscripts":                    "{{ " + strings.Repeat("x[", 1000) + "1" + strings.Repeat("]", 1000) + " }}",
		"deep signs":                         "{{ " + strings.Repeat("- ", 1000) + "1 }}",
		"deep powers":                        "{{ 1" + strings.Repeat("^1", 1000) + " }}",
		"deep not":                           "{{ " + strings.Repeat("not ", 1000) + "1 }}",
		"deep blocks":                        strings.Repeat("{% if 1 %}", 65) + strings.Repeat("{% endif %}", 65),
		"very deep blocks":                   strings.Repeat("{% if 1 %}", 20_000),
		"long expression":                    "{{ 1" + strings.Repeat("+1", 2100) + " }}",
		"long string":                        `{{ "` + strings.Repeat("a", 5000) + `" }}`,
		"long white space":                   "{{ " + strings.Repeat(" ", 250_000) + " }}",
		"long source":                        strings.Repeat("a", template.MaxSource) + "{{ 1 }}",
		"recursive macro":                    "{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}",
		"many tags, then an end":             strings.Repeat("{{1}}", 50_000) + "{% endif %}",
		"comment that ends with an argument": "{% comment %}{% endcomment foo %}",
		"many vals":                          loops(1, `{{ "ref+echo://x"|vals }}`),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := template.RenderString(t.Context(), source, vars)
			var typed *template.Error
			require.ErrorAs(t, err, &typed)
			require.False(t, template.IsPanic(err), "%v", errors.Unwrap(err))
			require.Less(t, len(err.Error()), 1200)
		})
	}
}

func TestLargestTemplatesStillRender(t *testing.T) {
	t.Parallel()
	started := time.Now()
	source := strings.Repeat("{{1}}", template.MaxSource/5)
	got, err := template.RenderString(t.Context(), source, nil)
	require.NoError(t, err)
	require.Len(t, got, template.MaxSource/5)
	nested := strings.Repeat("{% if 1 %}", template.MaxDepth) + "x" + strings.Repeat("{% endif %}", template.MaxDepth)
	got, err = template.RenderString(t.Context(), nested, nil)
	require.NoError(t, err)
	require.Equal(t, "x", got)
	t.Log(time.Since(started))
}

func TestCancelledContextEndsTheRendering(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	numbers := make([]any, 10_000)
	_, err := template.RenderString(ctx, "{% for a in l %}{{ 1 }}{% endfor %}", template.Context{"l": numbers})
	require.ErrorIs(t, err, context.Canceled)
}

func TestErrorsHoldNoValues(t *testing.T) {
	t.Parallel()
	const secret = "hunter2-hunter2"
	vars := template.Context{"secret": map[string]any{"key": secret, "list": []any{secret}}}
	for _, source := range []string{
		"{{ secret.nope }}", "{{ secret.key.x }}", "{{ secret.key|integer }}", "{{ secret.key * 2 }}", "{{ secret.key > 2 }}", "{{ secret.list.7 }}",
		"{{ secret.list|integer }}", "{% for a in secret.key %}{% endfor %}", `{{ "a"|ljust:secret.key }}`, `{{ "a"|slice:secret.key }}`, "{{ secret.key / 0 }}", `{{ true|yesno:secret.key }}`,
		"{{ secret[secret.key] }}",
	} {
		_, err := template.RenderString(t.Context(), source, vars)
		require.Error(t, err, source)
		require.NotContains(t, err.Error(), "hunter2", source)
	}
}
