package template

import (
	"errors"
	"io"
	"strconv"
	"sync"

	"github.com/flosch/pongo2/v6"
)

// tagPrefix sets our tags apart from pongo2's own, which no document of ours uses.
const tagPrefix = "template_"

// renderingKey is where nodes find the rendering that they belong to.
const renderingKey = "rendering"

// register adds our tags to pongo2, where tags are global.
var register = sync.OnceValue(func() error {
	var errs []error
	for name, parse := range map[string]pongo2.TagParser{
		"print":     parseSimple(printValue),
		"set":       parseSimple(setName),
		"firstof":   parseSimple(printFirst),
		"if":        parseIf,
		"for":       parseFor,
		"with":      parseBody("endwith", runWith),
		"filter":    parseBody("endfilter", runFilter),
		"spaceless": parseBody("endspaceless", runSpaceless),
	} {
		errs = append(errs, pongo2.RegisterTag(tagPrefix+name, parse))
	}
	return errors.Join(errs...)
})

// noFiles is the loader of a set that loads nothing.
type noFiles struct{}

func (noFiles) Abs(_, name string) string { return name }

func (noFiles) Get(string) (io.Reader, error) {
	return nil, errors.New("templates cannot read files")
}

// readDocument has pongo2 parse a document that compiler wrote. A set of its own for each, because pongo2 writes to it.
func readDocument(source string) (*pongo2.Template, error) {
	if err := register(); err != nil {
		return nil, err
	}
	return pongo2.NewSet("template", noFiles{}).FromString(source)
}

// tagNumber is the number of a tag in Template.tags.
type tagNumber int

func parseNumber(arguments *pongo2.Parser) (tagNumber, *pongo2.Error) {
	t := arguments.MatchType(pongo2.TokenNumber)
	if t == nil {
		return 0, arguments.Error("expected the number of a tag", nil)
	}
	n, err := strconv.Atoi(t.Val)
	if err != nil {
		return 0, arguments.Error(err.Error(), t)
	}
	return tagNumber(n), nil
}

// run calls f with the rendering and the tag, and gives its error the place of the tag.
func (n tagNumber) run(ctx *pongo2.ExecutionContext, f func(*rendering, *tag) error) *pongo2.Error {
	r, ok := ctx.Public[renderingKey].(*rendering)
	if !ok {
		return &pongo2.Error{OrigError: errors.New("no rendering")}
	}
	t := r.template.tags[n]
	if err := f(r, t); err != nil {
		return &pongo2.Error{OrigError: r.template.failure(t.span, fault(err))}
	}
	return nil
}

// body renders what a block wraps.
type body func(w pongo2.TemplateWriter) error

func bodyOf(wrapper *pongo2.NodeWrapper, ctx *pongo2.ExecutionContext) body {
	return func(w pongo2.TemplateWriter) error {
		if err := wrapper.Execute(ctx, w); err != nil {
			return err
		}
		return nil
	}
}

type simpleNode struct {
	tagNumber
	execute func(r *rendering, t *tag, w pongo2.TemplateWriter) error
}

func (n simpleNode) Execute(ctx *pongo2.ExecutionContext, w pongo2.TemplateWriter) *pongo2.Error {
	return n.run(ctx, func(r *rendering, t *tag) error { return n.execute(r, t, w) })
}

func parseSimple(execute func(*rendering, *tag, pongo2.TemplateWriter) error) pongo2.TagParser {
	return func(_ *pongo2.Parser, _ *pongo2.Token, arguments *pongo2.Parser) (pongo2.INodeTag, *pongo2.Error) {
		n, err := parseNumber(arguments)
		return simpleNode{n, execute}, err
	}
}

type bodyNode struct {
	tagNumber
	wrapper *pongo2.NodeWrapper
	execute func(r *rendering, t *tag, b body, w pongo2.TemplateWriter) error
}

func (n bodyNode) Execute(ctx *pongo2.ExecutionContext, w pongo2.TemplateWriter) *pongo2.Error {
	return n.run(ctx, func(r *rendering, t *tag) error { return n.execute(r, t, bodyOf(n.wrapper, ctx), w) })
}

func parseBody(end string, execute func(*rendering, *tag, body, pongo2.TemplateWriter) error) pongo2.TagParser {
	return func(doc *pongo2.Parser, _ *pongo2.Token, arguments *pongo2.Parser) (pongo2.INodeTag, *pongo2.Error) {
		n, err := parseNumber(arguments)
		if err != nil {
			return nil, err
		}
		wrapper, _, err := doc.WrapUntilTag(end)
		return bodyNode{n, wrapper, execute}, err
	}
}

// ifNode has one wrapper per condition, and maybe one more for else.
type ifNode struct {
	conditions []tagNumber
	wrappers   []*pongo2.NodeWrapper
}

func (n ifNode) Execute(ctx *pongo2.ExecutionContext, w pongo2.TemplateWriter) *pongo2.Error {
	for i, wrapper := range n.wrappers {
		holds := true
		if i < len(n.conditions) {
			err := n.conditions[i].run(ctx, func(r *rendering, t *tag) (err error) {
				holds, err = r.holds(t.exprs[0])
				return err
			})
			if err != nil {
				return err
			}
		}
		if holds {
			return wrapper.Execute(ctx, w)
		}
	}
	return nil
}

func parseIf(doc *pongo2.Parser, _ *pongo2.Token, arguments *pongo2.Parser) (pongo2.INodeTag, *pongo2.Error) {
	var n ifNode
	for {
		condition, err := parseNumber(arguments)
		if err != nil {
			return nil, err
		}
		n.conditions = append(n.conditions, condition)
		var wrapper *pongo2.NodeWrapper
		wrapper, arguments, err = doc.WrapUntilTag("elif", "else", "endif")
		if err != nil {
			return nil, err
		}
		n.wrappers = append(n.wrappers, wrapper)
		switch wrapper.Endtag {
		case "else":
			wrapper, _, err = doc.WrapUntilTag("endif")
			n.wrappers = append(n.wrappers, wrapper)
			return n, err
		case "endif":
			return n, nil
		}
	}
}

type forNode struct {
	tagNumber
	wrapper, empty *pongo2.NodeWrapper // empty may be nil
}

func (n forNode) Execute(ctx *pongo2.ExecutionContext, w pongo2.TemplateWriter) *pongo2.Error {
	return n.run(ctx, func(r *rendering, t *tag) error {
		empty := func(pongo2.TemplateWriter) error { return nil }
		if n.empty != nil {
			empty = bodyOf(n.empty, ctx)
		}
		return runFor(r, t, bodyOf(n.wrapper, ctx), empty, w)
	})
}

func parseFor(doc *pongo2.Parser, _ *pongo2.Token, arguments *pongo2.Parser) (pongo2.INodeTag, *pongo2.Error) {
	number, err := parseNumber(arguments)
	if err != nil {
		return nil, err
	}
	n := forNode{tagNumber: number}
	if n.wrapper, _, err = doc.WrapUntilTag("empty", "endfor"); err != nil {
		return nil, err
	}
	if n.wrapper.Endtag == "empty" {
		n.empty, _, err = doc.WrapUntilTag("endfor")
	}
	return n, err
}
