package template

import (
	"slices"
	"strconv"
	"strings"
)

var literals = map[string]any{"true": true, "false": false, "null": nil, "True": true, "False": false, "None": nil}

// parser builds expressions from the tokens of one tag. From loosest to tightest: or; and; not; comparisons and in;
// + -; * / %; signs and !; ^; filters.
type parser struct {
	tokens []token // ends with tokenEnd
	at     int
	depth  int
}

func (p *parser) peek() token { return p.tokens[p.at] }

func (p *parser) take() token {
	t := p.tokens[p.at]
	if t.kind != tokenEnd {
		p.at++
	}
	return t
}

// match takes the next token if it is one of these symbols or keywords.
func (p *parser) match(texts ...string) (token, bool) {
	t := p.peek()
	if t.kind != tokenSymbol && (t.kind != tokenName || !keywords[t.text]) {
		return token{}, false
	}
	if slices.Contains(texts, t.text) {
		return p.take(), true
	}
	return token{}, false
}

func (p *parser) want(text string) error {
	if _, ok := p.match(text); !ok {
		return errorAt(p.peek().offset, "expected %q instead of %v", text, p.peek())
	}
	return nil
}

// name takes an identifier that is to be bound.
func (p *parser) name() (string, error) {
	t := p.take()
	if t.kind != tokenName || IsKeyword(t.text) {
		return "", errorAt(t.offset, "expected a name instead of %v", t)
	}
	return t.text, nil
}

func (p *parser) end() error {
	t := p.peek()
	switch {
	case t.kind == tokenEnd:
		return nil
	case t.text == "(":
		return errorAt(t.offset, `there are no function calls here; a filter takes its argument after a colon, as in |default:"none"`)
	case t.text == "=":
		return errorAt(t.offset, `unexpected "="; to compare write "=="`)
	default:
		return errorAt(t.offset, "unexpected %v", t)
	}
}

// nested guards the recursion.
func (p *parser) nested(parse func() (expr, error)) (expr, error) {
	if p.depth++; p.depth > MaxDepth {
		return nil, errorAt(p.peek().offset, "the expression is nested more than %d deep", MaxDepth)
	}
	defer func() { p.depth-- }()
	return parse()
}

func (p *parser) expression() (expr, error) { return p.nested(p.or) }

// chain parses operands joined by operators of one precedence, grouped from the left.
func (p *parser) chain(operand func() (expr, error), op string, symbols ...string) (expr, error) {
	left, err := operand()
	for err == nil {
		t, ok := p.match(symbols...)
		if !ok {
			return left, nil
		}
		name := op
		if name == "" {
			name = t.text
		}
		tight := p.tokens[p.at-2].end == t.offset && t.end == p.peek().offset
		var right expr
		right, err = operand()
		left = &binary{op: name, left: left, right: right, offset: t.offset, tight: tight}
	}
	return nil, err
}

func (p *parser) or() (expr, error)  { return p.chain(p.and, "or", "or", "||") }
func (p *parser) and() (expr, error) { return p.chain(p.not, "and", "and", "&&") }

func (p *parser) not() (expr, error) {
	if t, ok := p.match("not"); ok {
		operand, err := p.nested(p.not)
		return &unary{"not", operand, t.offset}, err
	}
	return p.comparison()
}

func (p *parser) comparison() (expr, error) {
	left, err := p.sum()
	if err != nil {
		return nil, err
	}
	op, negated, err := p.comparator()
	if op.text == "" || err != nil {
		return left, err
	}
	right, err := p.sum()
	if err != nil {
		return nil, err
	}
	if next, _, _ := p.comparator(); next.text != "" {
		return nil, errorAt(next.offset, `comparisons cannot be chained; join them with "and"`)
	}
	var e expr = &binary{op: op.text, left: left, right: right, offset: op.offset}
	if negated {
		e = &unary{"not", e, op.offset}
	}
	return e, nil
}

func (p *parser) comparator() (op token, negated bool, err error) {
	if op, ok := p.match("==", "!=", "<>", "<=", ">=", "<", ">", "in"); ok {
		if op.text == "<>" {
			op.text = "!="
		}
		return op, false, nil
	}
	if _, ok := p.match("not"); ok {
		op := p.peek()
		return op, true, p.want("in")
	}
	return token{}, false, nil
}

func (p *parser) sum() (expr, error)     { return p.chain(p.product, "", "+", "-") }
func (p *parser) product() (expr, error) { return p.chain(p.sign, "", "*", "/", "%") }

func (p *parser) sign() (expr, error) {
	t, ok := p.match("-", "+", "!")
	if !ok {
		return p.power()
	}
	operand, err := p.nested(p.sign)
	if t.text == "!" {
		t.text = "not"
	}
	return &unary{t.text, operand, t.offset}, err
}

func (p *parser) power() (expr, error) {
	base, err := p.filtered()
	if err != nil {
		return nil, err
	}
	t, ok := p.match("^")
	if !ok {
		return base, nil
	}
	exponent, err := p.nested(p.sign)
	return &binary{op: "^", left: base, right: exponent, offset: t.offset}, err
}

func (p *parser) filtered() (expr, error) {
	input, err := p.atom()
	if err != nil {
		return nil, err
	}
	if _, ok := p.match("|"); !ok {
		return input, nil
	}
	filters, err := p.filters()
	return &filtered{input, filters}, err
}

// filters parses a chain of filters behind its first "|".
func (p *parser) filters() ([]filterCall, error) {
	var calls []filterCall
	for {
		name := p.take()
		if name.kind != tokenName {
			return nil, errorAt(name.offset, `expected the name of a filter behind "|" instead of %v`, name)
		}
		f, ok := filters[name.text]
		if !ok {
			return nil, errorAt(name.offset, "there is no filter %q; there are %s", name.text, filterNames())
		}
		call := filterCall{name: name.text, filter: f, offset: name.offset}
		if colon, ok := p.match(":"); ok {
			if f.arg.kind == argNone {
				return nil, errorAt(colon.offset, "the filter %q takes no argument", name.text)
			}
			var err error
			if call.arg, err = p.filterArgument(); err != nil {
				return nil, err
			}
		} else if t := p.peek(); t.text == "(" && t.kind == tokenSymbol {
			return nil, errorAt(t.offset, `a filter takes its argument after a colon, as in |default:"none"`)
		} else if f.arg.kind != argNone && !f.arg.optional {
			return nil, errorAt(name.offset, "the filter %q needs an argument: |%s:%s", name.text, name.text, f.arg.example())
		}
		calls = append(calls, call)
		if _, ok := p.match("|"); !ok {
			return calls, nil
		}
	}
}

func (p *parser) filterArgument() (expr, error) {
	if t, ok := p.match("-"); ok {
		operand, err := p.atom()
		return &unary{"-", operand, t.offset}, err
	}
	return p.atom()
}

func (p *parser) atom() (expr, error) {
	t := p.take()
	switch t.kind {
	case tokenString:
		return &literal{t.text}, nil
	case tokenNumber:
		return number(t)
	case tokenName:
		if value, ok := literals[t.text]; ok {
			return &literal{value}, nil
		}
		if !keywords[t.text] {
			return p.path(t)
		}
	case tokenSymbol:
		if t.text == "(" {
			e, err := p.expression()
			if err != nil {
				return nil, err
			}
			return e, p.want(")")
		}
	}
	return nil, errorAt(t.offset, "expected a value instead of %v", t)
}

func number(t token) (expr, error) {
	if strings.Contains(t.text, ".") {
		f, err := strconv.ParseFloat(t.text, 64)
		if err != nil {
			return nil, errorAt(t.offset, "the number %s is too large", shorten(t.text))
		}
		return &literal{f}, nil
	}
	i, err := strconv.ParseInt(t.text, 10, 64)
	if err != nil {
		return nil, errorAt(t.offset, "the number %s is too large", shorten(t.text))
	}
	return &literal{i}, nil
}

func (p *parser) path(name token) (expr, error) {
	e := &path{name: name.text, offset: name.offset}
	for {
		if _, ok := p.match("."); ok {
			t := p.take()
			if t.kind != tokenName && t.kind != tokenNumber {
				return nil, errorAt(t.offset, `expected a key behind "." instead of %v`, t)
			}
			e.keys = append(e.keys, key{name: t.text})
			continue
		}
		if _, ok := p.match("["); !ok {
			return e, nil
		}
		index, err := p.expression()
		if err != nil {
			return nil, err
		}
		if err := p.want("]"); err != nil {
			return nil, err
		}
		if l, ok := index.(*literal); ok {
			if s, ok := l.value.(string); ok {
				e.keys = append(e.keys, key{name: s})
				continue
			}
		}
		e.keys = append(e.keys, key{index: index})
	}
}
