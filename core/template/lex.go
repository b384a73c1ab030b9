package template

import (
	"strings"
	"unicode/utf8"
)

type tokenKind int

const (
	tokenEnd tokenKind = iota // the closing brace of the tag
	tokenName
	tokenNumber
	tokenString
	tokenSymbol
)

type token struct {
	kind   tokenKind
	text   string // of a string: unquoted
	offset int
	end    int
}

func (t token) String() string {
	switch t.kind {
	case tokenEnd:
		return "the end of the expression"
	case tokenString:
		return "a string"
	default:
		return `"` + t.text + `"`
	}
}

var (
	symbols  = []string{"==", "!=", "<=", ">=", "<>", "&&", "||", "<", ">", "+", "-", "*", "/", "%", "^", "!", "(", ")", "[", "]", ".", ",", "|", ":", "="}
	keywords = map[string]bool{"in": true, "and": true, "or": true, "not": true, "as": true}
)

// lexer cuts the inside of one tag into tokens.
type lexer struct {
	source string
	start  int // of the tag
	pos    int
}

// tag reads from behind the opening brace to behind the closing one, which is "}}" or "%}", maybe with a "-" in front.
func (l *lexer) tag(closing string) (tokens []token, trim bool, err error) {
	for {
		l.skipSpace()
		rest := l.source[l.pos:]
		switch {
		case l.pos-l.start > MaxExpression:
			return nil, false, errorAt(l.start, "this is longer than %d bytes", MaxExpression)
		case rest == "":
			return nil, false, errorAt(l.start, "%q is missing at the end", closing)
		case strings.HasPrefix(rest, closing), strings.HasPrefix(rest, "-"+closing):
			trim = rest[0] == '-'
			tokens = append(tokens, token{kind: tokenEnd, offset: l.pos, end: l.pos})
			l.pos = l.pos + strings.Index(rest, closing) + len(closing)
			return tokens, trim, nil
		}
		afterDot := len(tokens) > 0 && tokens[len(tokens)-1].text == "." && tokens[len(tokens)-1].kind == tokenSymbol
		next, err := l.next(afterDot)
		if err != nil {
			return nil, false, err
		}
		tokens = append(tokens, next)
	}
}

func (l *lexer) skipSpace() {
	for l.pos < len(l.source) && strings.IndexByte(" \t\r\n", l.source[l.pos]) >= 0 {
		l.pos++
	}
}

func (l *lexer) next(afterDot bool) (token, error) {
	start := l.pos
	cut := func(kind tokenKind, end int) (token, error) {
		l.pos = end
		return token{kind: kind, text: l.source[start:end], offset: start, end: end}, nil
	}
	c := l.source[start]
	if c == '"' || c == '\'' {
		return l.string(c)
	}
	if isWord(c) {
		end := start
		kind := tokenNumber
		for end < len(l.source) && isWord(l.source[end]) {
			if !isDigit(l.source[end]) {
				kind = tokenName
			}
			end++
		}
		// "1.5" is one number, "list.1.5" two keys
		if kind == tokenNumber && !afterDot && end+1 < len(l.source) && l.source[end] == '.' && isDigit(l.source[end+1]) {
			for end++; end < len(l.source) && isDigit(l.source[end]); end++ {
			}
		}
		return cut(kind, end)
	}
	for _, symbol := range symbols {
		if strings.HasPrefix(l.source[start:], symbol) {
			return cut(tokenSymbol, start+len(symbol))
		}
	}
	r, size := utf8.DecodeRuneInString(l.source[start:])
	l.pos += size
	return token{}, errorAt(start, "unexpected character %q", r)
}

func (l *lexer) string(quote byte) (token, error) {
	start := l.pos
	var text strings.Builder
	for l.pos++; l.pos < len(l.source) && l.pos-l.start <= MaxExpression; l.pos++ {
		switch c := l.source[l.pos]; c {
		case quote:
			l.pos++
			return token{kind: tokenString, text: text.String(), offset: start, end: l.pos}, nil
		case '\\':
			l.pos++
			if l.pos == len(l.source) {
				break
			}
			i := strings.IndexByte(`"'\nrt`, l.source[l.pos])
			if i < 0 {
				return token{}, errorAt(l.pos-1, `unknown escape in a string; there are \" \' \\ \n \r \t`)
			}
			text.WriteByte("\"'\\\n\r\t"[i])
		default:
			text.WriteByte(c)
		}
	}
	return token{}, errorAt(start, "the string that begins here is not closed")
}

func isDigit(c byte) bool { return '0' <= c && c <= '9' }

func isWord(c byte) bool {
	return c == '_' || isDigit(c) || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z'
}
