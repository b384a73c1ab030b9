package template_test

import (
	"encoding/json"
	"math"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/stroem/stroem/core/template"
)

// decoded is a context as it comes from JSON.
func decoded(t testing.TB, text string) template.Context {
	t.Helper()
	var vars template.Context
	require.NoError(t, json.Unmarshal([]byte(text), &vars))
	return vars
}

const sample = `{
	"input": {"name": "World", "on": true, "off": false, "n": 42, "half": 1.5, "nothing": null, "empty": "",
		"html": "<a & b>", "list": ["a", 2, true, null, 1.5], "object": {"k": [1, {"x": "<"}], "a-b": "hyphen", "0": "zero"}, "files": ["b", "a"]},
	"build": {"output": {"version": "1.2.3"}},
	"first_one": {"output": "underscore"},
	"1st": {"output": "digit"},
	"my step": {}, "a.b": {}, "it's": 1, "": 2, "ünï": 3,
	"hook": {"is_success": true}
}`

func TestRender(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct{ name, source, want string }{
		{"constant", "echo $HOME {x}", "echo $HOME {x}"},
		{"text around", "a {{ input.name }} b", "a World b"},
		{"true", "{{ hook.is_success }}", "true"},
		{"false", "{{ input.off }}", "false"},
		{"integer", "{{ input.n }}", "42"},
		{"float", "{{ input.half }}", "1.5"},
		{"no escaping", "{{ input.html }}", "<a & b>"},
		{"null", "[{{ input.nothing }}]", "[]"},
		{"list", "{{ input.list }}", `["a",2,true,null,1.5]`},
		{"object", "{{ input.object }}", `{"0":"zero","a-b":"hyphen","k":[1,{"x":"<"}]}`},
		{"hyphen to underscore", "{{ first_one.output }}", "underscore"},
		{"name that begins with a digit", "{{ 1st.output }}", "digit"},
		{"index", "{{ input.list[1] }}{{ input.list.0 }}{{ input.object.k[1].x }}", "2a<"},
		{"key in brackets", `{{ input.object["a-b"] }} {{ input.object.0 }} {{ input.object[0] }}`, "hyphen zero zero"},
		{"computed key", `{% set k = "na" + "me" %}{{ input[k] }}`, "World"},
		{"nested brackets", `{{ input.list[input.list[1] - 2] }}`, "a"},

		{"precedence", "{{ 1 + 2 * 3 - 4 / 2 }}", "5"},
		{"brackets", "{{ (1 + 2) * 3 }}", "9"},
		{"left to right", "{{ 10 - 3 - 2 }} {{ 100 / 5 / 2 }}", "5 10"},
		{"division", "{{ 5 / 2 }} {{ 4 / 2 }} {{ 7 % 4 }}", "2.5 2 3"},
		{"power", "{{ 2 ^ 3 ^ 2 }} {{ 2 ^ -1 }} {{ -2 ^ 2 }}", "512 0.5 -4"},
		{"sign", "{{ -input.n }} {{ 1 - -1 }} {{ 1.5 + 1.5 }}", "-42 2 3"},
		{"beyond 64 bits", "{{ 9223372036854775807 + 1 }}", "9223372036854776000"},
		{"concatenation", `{{ "v" + 1.5 + true + input.nothing }}`, "v1.5true"},
		{"logic", "{{ true and not false }} {{ false or 0 }} {{ !true || 1 && 1 }}", "true false true"},
		{"and binds more than or", "{{ true or false and false }}", "true"},
		{"not binds less than ==", `{% if not input.name == "x" %}y{% endif %}`, "y"},
		{"comparison", `{{ 1 == 1.0 }} {{ "1" == 1 }} {{ 1 <> 2 }} {{ "a" < "b" }} {{ 2 >= 2.5 }}`, "true false true true false"},
		{"deep equality", "{{ input.object == input.object }} {{ input.list == input.files }}", "true false"},
		{"in", `{{ "a" in input.list }} {{ "k" in input.object }} {{ "or" in input.name }} {{ 3 not in input.list }}`, "true true true true"},
		{"null literal", "{{ input.nothing == null }} {{ input.n != None }}", "true true"},
		{"strings", `{{ 'it\'s' }} {{ "a\"b\\c\n" }}{{ "}}" }}{{ "%}" }}`, "it's a\"b\\c\n}}%}"},
		{"several lines", "{{ input.n\n  + 1\n}}", "43"},

		{"if", "{% if input.on %}yes{% else %}no{% endif %}", "yes"},
		{"elif", "{% if input.off %}1{% elif input.n > 41 %}2{% else %}3{% endif %}", "2"},
		{"what is true", "{% for v in input.list %}{% if v %}1{% else %}0{% endif %}{% endfor %}{% if input.object and input.list and 0.5 and input.name %}1{% endif %}{% if input.empty or 0 or 0.0 or null %}{% else %}0{% endif %}", "1110110"},
		{"if undefined", "{% if nope %}1{% elif input.nope.x %}2{% elif nope > 1 %}3{% elif nope == 1 %}4{% else %}5{% endif %}", "5"},
		{"if not undefined", `{% if not nope and nope != 1 and 1 not in nope %}y{% endif %}`, "y"},
		{"if undefined in an operation", "{% if nope|length > 3 or nope + 1 or -nope or input[nope] %}y{% else %}n{% endif %}", "n"},
		{"for", "{% for f in input.files %}{{ forloop.counter }}{{ f }}{% if not forloop.last %},{% endif %}{% endfor %}", "1b,2a"},
		{"for sorted", "{% for f in input.files sorted %}{{ f }}{% endfor %}", "ab"},
		{"for reversed sorted", "{% for f in input.files reversed sorted %}{{ f }}{% endfor %}", "ba"},
		{"for over an object", "{% for k, v in build.output %}{{ k }}={{ v }}{% endfor %}{% for k in build.output %}{{ k }}{% endfor %}", "version=1.2.3version"},
		{"for empty", `{% for f in "" | split:"," | slice:"1:" %}x{% empty %}none{% endfor %}{% for f in null %}x{% endfor %}`, "none"},
		{"nested for", "{% for a in input.files %}{% for b in input.files %}{{ forloop.parentloop.counter }}{{ forloop.revcounter }}{% endfor %}{% endfor %}", "12112221"},
		{"set", `{% set x = 1 %}{% if true %}{% set x = x + 1 %}{% endif %}{{ x }}`, "2"},
		{"set stays in a for", `{% set x = 1 %}{% for f in input.files %}{% set x = x + 1 %}{% endfor %}{{ x }}`, "1"},
		{"with", `{% with a=1 b=input.n %}{{ a + b }}{% endwith %}{% with 1 + 1 as c %}{{ c }}{% endwith %}`, "432"},
		{"a local name hides the context", "{% with input=1 %}{{ input }}{% endwith %}{{ input.n }}", "142"},
		{"firstof", `{% firstof nope input.off "" "d" %}`, "d"},
		{"filter", `{% filter upper|cut:"B" %}a{{ "b" }}c{% endfilter %}`, "AC"},
		{"spaceless", "{% spaceless %}<a> <b> x </b>\n</a>{% endspaceless %}", "<a><b> x </b></a>"},
		{"comments", "a{# {{ nope }} #}b{% comment %}{{ {% if %} don't{% endcomment %}c", "abc"},
		{"verbatim", "{% verbatim %}{{ x }}{% if %}{% endverbatim %}", "{{ x }}{% if %}"},
		{"verbatim with white space control", "a {%- verbatim -%} {{ x }} {%- endverbatim -%} b {% verbatim %} c {%endverbatim%}", "a{{ x }}b  c "},
		{"white space control", "a \n{{- 1 -}}\n b {%- if true -%} c {%- endif -%} d", "a1bcd"},
		{"tight braces", "{{input.n}}{%if 1%}x{%endif%}", "42x"},

		{"default", `{{ nope|default:"a" }}{{ input.x.y|default:"b" }}{{ input.nothing|default:"c" }}`, "abc"},
		{"default keeps what is there", `[{{ input.empty|default:"a" }}][{{ input.off|default:true }}]`, "[][false]"},
		{"default behind other filters", `{{ nope|upper|default:"a" }}`, "a"},
		{"default of a default", `{{ nope|default:nope2|default:"x" }} {{ input.n|default:1|default:2 }}`, "x 42"},
		{"default takes a name", `{{ nope|default:input.name|upper }} {{ nope|default:-1 }}`, "WORLD -1"},
		{"default_if_none", `{{ input.nothing|default_if_none:"x" }}`, "x"},
		{"tojson", "{{ input.html|tojson }} {{ input.nothing|tojson }} {{ input.n|tojson }}", `"<a & b>" null 42`},
		{"shellquote", `{{ "it's $HOME"|shellquote }} {{ ""|shellquote }} {{ input.n|shellquote }}`, `'it'\''s $HOME' '' '42'`},
		{"text filters", `{{ "aB c"|upper }} {{ "aB c"|lower }} {{ "ab cd"|title }} {{ "ab"|capfirst }} {{ true|upper }}`, "AB C ab c Ab Cd Ab TRUE"},
		{"padding", `[{{ "a"|ljust:3 }}][{{ "a"|rjust:3 }}][{{ "a"|center:3 }}]`, "[a  ][  a][ a ]"},
		{"list filters", `{{ input.list|join:"-" }} {{ input.files|first }}{{ input.files|last }} {{ input.files|length }} {{ "a,b"|split:","|slice:"1:" }}`, `a-2-true--1.5 ba 2 ["b"]`},
		{"number filters", `{{ "7"|integer + 1 }} {{ "1.5"|float * 2 }} {{ 3.14159|floatformat:2 }} {{ 1|add:2 }} {{ 4|divisibleby:2 }} {{ 1.9|integer }}`, "8 3 3.14 3 true 1"},
		{"other filters", `{{ true|yesno:"a,b" }} {{ 2|pluralize }} {{ "a b"|urlencode }} {{ "abcdef"|truncatechars:5 }} {{ "<"|escape }} {{ "<"|safe }} {{ ""|length_is:0 }}`, "a s a+b ab... &lt; < true"},
		{"vals leaves other values alone", `[{{ input.empty|vals }}{{ input.on|vals }}{{ input.nothing|vals }}{{ "x"|vals|upper }}]`, "[trueX]"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			got, err := template.RenderString(t.Context(), tc.source, decoded(t, sample))
			require.NoError(t, err)
			require.Equal(t, tc.want, got)
		})
	}
}

func TestRenderTakesGoValues(t *testing.T) {
	t.Parallel()
	type named string
	vars := template.Context{
		"int": 7, "u8": uint8(8), "u64": uint64(math.MaxUint64), "f32": float32(0.5), "number": json.Number("12345678901234567"), "big": json.Number("1e3"),
		"strings": []string{"a"}, "map": map[string]string{"k": "v"}, "named": named("n"), "context": template.Context{"x": int32(1)}, "huge": 1e21,
	}
	got, err := template.RenderString(t.Context(),
		`{{ int + u8 }} {{ u64 > 0 }} {{ f32 }} {{ number }} {{ big }} {{ strings.0 }} {{ map.k }} {{ named }} {{ context.x }} {{ strings }} {{ huge }}`, vars)
	require.NoError(t, err)
	require.Equal(t, `15 true 0.5 12345678901234567 1000 a v n 1 ["a"] 1e+21`, got)

	_, err = template.RenderString(t.Context(), "{{ f }}", template.Context{"f": func() {}})
	require.ErrorContains(t, err, "func() cannot be used in a template")
}

func TestTemplateIsSafeForConcurrentUse(t *testing.T) {
	t.Parallel()
	tmpl, err := template.Compile("{% for f in input.files %}{% set x = f|upper %}{{ x }}{% endfor %}")
	require.NoError(t, err)
	vars := decoded(t, sample)
	for range 8 {
		t.Run("", func(t *testing.T) {
			t.Parallel()
			for range 50 {
				got, err := tmpl.Render(t.Context(), vars)
				require.NoError(t, err)
				require.Equal(t, "BA", got)
				_, err = template.Compile("{{ 1 }}{% if 1 %}{% endif %}")
				require.NoError(t, err)
			}
		})
	}
}

func TestNames(t *testing.T) {
	t.Parallel()
	require.Equal(t, "a_b_c", template.StepKey("a-b-c"))
	require.True(t, template.IsKeyword("in"))
	require.True(t, template.IsKeyword("forloop"))
	require.True(t, template.IsKeyword("null"))
	require.False(t, template.IsKeyword("build"))
	require.True(t, template.HasTemplate("a {# b"))
	require.False(t, template.HasTemplate("a { % b }"))
}

func BenchmarkRender(b *testing.B) {
	tmpl, err := template.Compile(`deploy {{ input.name }} {{ build.output.version|upper }} to {% if input.on %}production{% else %}staging{% endif %}`)
	require.NoError(b, err)
	vars := decoded(b, sample)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := tmpl.Render(b.Context(), vars); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkCompile(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		if _, err := template.Compile(`deploy {{ input.name }} {{ build.output.version|upper }} to {% if input.on %}production{% else %}staging{% endif %}`); err != nil {
			b.Fatal(err)
		}
	}
}
