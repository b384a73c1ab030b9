// Package template renders the {{ … }} and {% … %} of a workflow: Django's syntax, in a sandbox.
//
// pongo2 reads the document (text, blocks, white space control) and supplies the plain text filters. Names, operators
// and limits are ours, because pongo2 neither tells an undefined name from an empty one nor can be bounded: every
// expression is compiled here, and pongo2 only gets to see numbered tags of ours in its place. So nothing of pongo2 that
// reads files, calls methods or overflows can be reached from a template, whatever its text.
//
// What a template can rely on: an undefined name is an error (false in an if; replaced by the filter default), values
// print as JSON does, strings as they are, null as nothing; nothing is HTML-escaped. Rendering is pure, but for the
// filter vals, and it is bounded: see the Max constants.
package template

import (
	"context"
	"fmt"
	"strings"

	"github.com/flosch/pongo2/v6"
)

// Limits of one template and of one call of Render, RenderString or RenderValue. A template that passes one ends with
// an [Error].
const (
	MaxSource     = 256 << 10 // bytes of a template's text
	MaxExpression = 4 << 10   // bytes of one {{ … }} or {% … %}
	MaxDepth      = 64        // nested blocks, and nested brackets and operators of an expression
	MaxOutput     = 4 << 20   // bytes rendered, and bytes of any string on the way
	MaxIterations = 100_000   // rounds of all loops together
	MaxVals       = 32        // uses of the filter vals

	maxWork = 1_000_000 // operations; an operation on a string counts once more per 16 bytes
)

// Context holds what a template can name: plain values as they come from JSON or YAML (nil, bool, numbers, string,
// slices, maps with string keys). It is only read. A key that is no identifier is merely out of a template's reach.
type Context map[string]any

// Template is a compiled template. It is immutable; any number of goroutines may render it at once.
type Template struct {
	source  string
	program *pongo2.Template // nil: the source is a constant
	tags    []*tag           // by the number that stands for them in program
	markup  []markup         // in source order
	refs    []reference      // in source order
}

// HasTemplate tells whether s holds anything to render; a string that does not renders as itself.
func HasTemplate(s string) bool {
	return strings.Contains(s, "{{") || strings.Contains(s, "{%") || strings.Contains(s, "{#")
}

// StepKey is the name under which a step's output stands in a context: in a template "-" is a minus.
func StepKey(stepName string) string { return strings.ReplaceAll(stepName, "-", "_") }

// IsKeyword tells whether a name means something else in an expression, so that nothing of that name can be reached.
func IsKeyword(name string) bool {
	_, literal := literals[name]
	return literal || keywords[name] || name == loopName
}

// Compile checks and compiles source. It is slower than rendering: keep the result. The error is an [*Error].
func Compile(source string) (_ *Template, err error) {
	t := &Template{source: source}
	if !HasTemplate(source) {
		return t, nil
	}
	if len(source) > MaxSource {
		return nil, &Error{Line: 1, Column: 1, Message: fmt.Sprintf("the template has %d bytes, the limit is %d", len(source), MaxSource)}
	}
	defer recoverInto(&err)
	c := compiler{t: t}
	if err := c.compile(); err != nil {
		return nil, t.failure(span{c.start, c.lex.pos}, err)
	}
	if t.program, err = readDocument(c.program.String()); err != nil {
		return nil, &Error{Line: 1, Column: 1, Message: "the template cannot be read: " + err.Error(), Err: err}
	}
	return t, nil
}

// Render renders the template. The error is an [*Error]; the names, never the values, of vars appear in it. ctx ends
// the rendering early, in particular a running vals.
func (t *Template) Render(ctx context.Context, vars Context) (string, error) {
	return t.render(&budget{ctx: ctx}, vars)
}

// RenderString compiles and renders source.
func RenderString(ctx context.Context, source string, vars Context) (string, error) {
	t, err := Compile(source)
	if err != nil {
		return "", err
	}
	return t.Render(ctx, vars)
}

func (t *Template) render(b *budget, vars Context) (_ string, err error) {
	if t.program == nil {
		return t.source, nil
	}
	defer recoverInto(&err)
	out := &output{budget: b}
	r := &rendering{budget: b, template: t, vars: vars}
	if err := t.program.ExecuteWriterUnbuffered(pongo2.Context{renderingKey: r}, out); err != nil {
		return "", fault(err)
	}
	if b.err != nil {
		return "", t.failure(span{0, len(t.source)}, b.err)
	}
	b.output += len(out.text)
	return string(out.text), nil
}
