package template

import (
	"regexp"
	"strconv"
	"strings"
)

// tag is a compiled {{ … }} or {% … %}.
type tag struct {
	span
	name     string // "print" for {{ … }}
	exprs    []expr
	names    []string // that for, set and with bind
	filters  []filterCall
	reversed bool
	sorted   bool
}

// markup is a piece of the source that is not text; tag is nil for comments and closing tags.
type markup struct {
	span
	tag *tag
}

// compiler goes through the source once. It compiles the expressions and writes the document for pongo2, in which
// {% template_if 7 %} stands for the tag number 7.
type compiler struct {
	t       *Template
	lex     lexer
	start   int // of the tag at hand
	program strings.Builder
	open    []block
	scope   scope
}

// block is a tag that waits for its end.
type block struct {
	name  string
	start int
	final bool // saw else or empty
	scope mark
}

var (
	blockTags = map[string]bool{"if": true, "for": true, "with": true, "filter": true, "spaceless": true}
	rawEnd    = map[string]*regexp.Regexp{
		"comment":  regexp.MustCompile(`\{%(-?)[ \t\r\n]*endcomment[ \t\r\n]*(-?)%\}`),
		"verbatim": regexp.MustCompile(`\{%(-?)[ \t\r\n]*endverbatim[ \t\r\n]*(-?)%\}`),
	}
)

func (c *compiler) compile() error {
	source := c.t.source
	c.lex.source = source
	if i := strings.IndexByte(source, 1); i >= 0 {
		c.start, c.lex.pos = i, i
		return errorAt(i, "the control character U+0001 cannot stand in a template")
	}
	for pos := 0; ; pos = c.lex.pos {
		c.start = nextMarkup(source, pos)
		c.program.WriteString(source[pos:c.start])
		if c.start == len(source) {
			break
		}
		c.lex.start, c.lex.pos = c.start, c.start+2
		if err := c.markup(); err != nil {
			return err
		}
	}
	if n := len(c.open); n > 0 {
		b := c.open[n-1]
		c.start, c.lex.pos = b.start, min(b.start+40, len(source))
		if end := strings.Index(source[b.start:], "%}"); end >= 0 {
			c.lex.pos = b.start + end + 2
		}
		return errorAt(b.start, "{%% %s %%} is not closed; {%% end%s %%} is missing", b.name, b.name)
	}
	return nil
}

// nextMarkup is the offset of the next opening brace, or the end.
func nextMarkup(source string, pos int) int {
	for {
		i := strings.IndexByte(source[pos:], '{')
		if i < 0 || pos+i+1 == len(source) {
			return len(source)
		}
		pos += i
		if strings.IndexByte("{%#", source[pos+1]) >= 0 {
			return pos
		}
		pos++
	}
}

func (c *compiler) markup() error {
	if c.t.source[c.start+1] == '#' {
		end := strings.Index(c.t.source[c.start:], "#}")
		if end < 0 {
			return errorAt(c.start, `"#}" is missing at the end of the comment`)
		}
		c.lex.pos = c.start + end + 2
		c.addMarkup(nil)
		return nil
	}
	trimLeft := strings.HasPrefix(c.t.source[c.lex.pos:], "-")
	if trimLeft {
		c.lex.pos++
	}
	closing := "%}"
	if c.t.source[c.start+1] == '{' {
		closing = "}}"
	}
	tokens, trimRight, err := c.lex.tag(closing)
	if err != nil {
		return err
	}
	p := &parser{tokens: tokens}
	if closing == "}}" {
		e, err := p.expression()
		if err == nil {
			err = p.end()
		}
		if err != nil {
			return err
		}
		c.emit(&tag{name: "print", exprs: []expr{e}}, trimLeft, trimRight)
		return nil
	}
	name := p.take()
	if name.kind != tokenName {
		return errorAt(name.offset, "expected the name of a tag instead of %v", name)
	}
	if rawEnd[name.text] != nil {
		return c.raw(p, name.text, trimLeft, trimRight)
	}
	if handled, err := c.blockPart(p, name, trimLeft, trimRight); handled || err != nil {
		return err
	}
	t, err := p.tag(name)
	if err == nil {
		err = p.end()
	}
	if err != nil {
		return err
	}
	if blockTags[t.name] {
		if len(c.open) == MaxDepth {
			return errorAt(c.start, "blocks are nested more than %d deep", MaxDepth)
		}
		c.open = append(c.open, block{name: t.name, start: c.start, scope: c.scope.mark()})
	}
	c.emit(t, trimLeft, trimRight)
	return nil
}

// raw copies verbatim and drops comment, without a look inside.
func (c *compiler) raw(p *parser, name string, trimLeft, trimInner bool) error {
	if err := p.end(); err != nil {
		return err
	}
	m := rawEnd[name].FindStringSubmatchIndex(c.t.source[c.lex.pos:])
	if m == nil {
		return errorAt(c.start, "{%% %s %%} is not closed; {%% end%s %%} is missing", name, name)
	}
	text := ""
	if name == "verbatim" {
		text = c.t.source[c.lex.pos : c.lex.pos+m[0]]
		if trimInner {
			text = strings.TrimLeft(text, blanks)
		}
		if m[3] > m[2] {
			text = strings.TrimRight(text, blanks)
		}
	}
	c.lex.pos += m[1]
	c.emit(&tag{name: "print", exprs: []expr{&literal{text}}}, trimLeft, m[5] > m[4])
	return nil
}

const blanks = " \t\r\n"

// blockPart handles the tags inside and at the end of a block.
func (c *compiler) blockPart(p *parser, name token, trimLeft, trimRight bool) (handled bool, err error) {
	opener := strings.TrimPrefix(name.text, "end")
	isEnd := opener != name.text && blockTags[opener]
	var inside string
	switch name.text {
	case "elif", "else":
		inside = "if"
	case "empty":
		inside = "for"
	default:
		if !isEnd {
			return false, nil
		}
		inside = opener
	}
	if len(c.open) == 0 {
		return true, errorAt(name.offset, "{%% %s %%} stands outside of a {%% %s %%}", name.text, inside)
	}
	b := &c.open[len(c.open)-1]
	if b.name != inside {
		return true, errorAt(name.offset, "{%% %s %%} does not fit: the innermost open block is the {%% %s %%} in line %d", name.text, b.name, c.line(b.start))
	}
	if b.final && !isEnd {
		return true, errorAt(name.offset, "{%% %s %%} cannot follow here; {%% end%s %%} is due", name.text, inside)
	}
	var condition expr
	if name.text == "elif" {
		if condition, err = p.expression(); err != nil {
			return true, err
		}
	}
	if err := p.end(); err != nil {
		return true, err
	}
	c.scope.leave(b.scope, b.name == "if")
	if condition != nil {
		c.emit(&tag{name: "elif", exprs: []expr{condition}}, trimLeft, trimRight)
		return true, nil
	}
	b.final = !isEnd
	if isEnd {
		c.open = c.open[:len(c.open)-1]
	}
	c.write(name.text, "", trimLeft, trimRight)
	c.addMarkup(nil)
	return true, nil
}

func (c *compiler) line(offset int) int {
	line, _ := c.t.position(offset)
	return line
}

// emit adds a finished tag to the template and to the document for pongo2.
func (c *compiler) emit(t *tag, trimLeft, trimRight bool) {
	t.span = span{c.start, c.lex.pos}
	name := t.name
	if name != "elif" { // which is no tag of its own to pongo2
		name = tagPrefix + name
	}
	c.write(name, strconv.Itoa(len(c.t.tags)), trimLeft, trimRight)
	c.t.tags = append(c.t.tags, t)
	c.t.refs = c.scope.references(c.t.refs, t)
	c.addMarkup(t)
}

func (c *compiler) write(name, number string, trimLeft, trimRight bool) {
	opening, closing := "{% ", " %}"
	if trimLeft {
		opening = "{%- "
	}
	if trimRight {
		closing = " -%}"
	}
	c.program.WriteString(opening + name + " " + number + closing)
}

func (c *compiler) addMarkup(t *tag) {
	c.t.markup = append(c.t.markup, markup{span{c.start, c.lex.pos}, t})
}
