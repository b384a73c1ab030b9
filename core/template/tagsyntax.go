package template

import "slices"

// allowedTags are named in the message about any other.
const allowedTags = "if, for, set, with, firstof, filter, spaceless, comment, verbatim"

// tag parses what stands behind the name of a tag.
func (p *parser) tag(name token) (*tag, error) {
	t := &tag{name: name.text}
	var err error
	switch name.text {
	case "if":
		t.exprs, err = p.one()
	case "spaceless":
	case "for":
		err = p.forTag(t)
	case "set":
		err = p.binding(t)
	case "with":
		err = p.with(t)
	case "firstof":
		for err == nil && (p.peek().kind != tokenEnd || len(t.exprs) == 0) {
			var e expr
			e, err = p.expression()
			t.exprs = append(t.exprs, e)
		}
	case "filter":
		t.filters, err = p.filters()
	default:
		return nil, errorAt(name.offset, "there is no tag %v; there are %s", name, allowedTags)
	}
	return t, err
}

func (p *parser) one() ([]expr, error) {
	e, err := p.expression()
	return []expr{e}, err
}

// binding parses name = expression.
func (p *parser) binding(t *tag) error {
	name, err := p.name()
	if err != nil {
		return err
	}
	if err := p.want("="); err != nil {
		return err
	}
	e, err := p.expression()
	t.names, t.exprs = append(t.names, name), append(t.exprs, e)
	return err
}

// with parses name=expression … or expression as name ….
func (p *parser) with(t *tag) error {
	old := slices.ContainsFunc(p.tokens, func(t token) bool { return t.kind == tokenName && t.text == "as" })
	for first := true; first || p.peek().kind != tokenEnd; first = false {
		if !old {
			if err := p.binding(t); err != nil {
				return err
			}
			continue
		}
		e, err := p.expression()
		if err != nil {
			return err
		}
		if err := p.want("as"); err != nil {
			return err
		}
		name, err := p.name()
		if err != nil {
			return err
		}
		t.names, t.exprs = append(t.names, name), append(t.exprs, e)
	}
	return nil
}

// forTag parses name[, name] in expression [reversed] [sorted].
func (p *parser) forTag(t *tag) error {
	for {
		name, err := p.name()
		if err != nil {
			return err
		}
		t.names = append(t.names, name)
		if _, ok := p.match(","); !ok || len(t.names) == 2 {
			break
		}
	}
	if err := p.want("in"); err != nil {
		return err
	}
	var err error
	if t.exprs, err = p.one(); err != nil {
		return err
	}
	for p.peek().kind == tokenName {
		switch option := p.take(); option.text {
		case "reversed":
			t.reversed = true
		case "sorted":
			t.sorted = true
		default:
			return errorAt(option.offset, "unexpected %v; behind the list only reversed and sorted can stand", option)
		}
	}
	return nil
}
