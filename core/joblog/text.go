package joblog

import (
	"bytes"
	"errors"
	"regexp"
	"regexp/syntax"
	"strings"
	"unicode/utf8"

	"github.com/stroem/stroem/core"
)

const (
	// maxPattern is how long a regular expression may be, in bytes.
	maxPattern = 1 << 10
	// maxProgram is how many instructions it may be compiled to: each may be tried at each byte.
	maxProgram = 4096
	// maxMatches is how many matches in one line are told.
	maxMatches = 100
)

// text tells which texts a query looks for. It is for one goroutine.
type text struct {
	needles []needle       // each text that is found has one of them; none: nothing is known
	blind   bool           // a needle may stand in a line in more ways than two
	pattern *regexp.Regexp // nil: the texts that have the needle
	fold    bool           // the needles are in lower case, whatever the text is in
	folded  []byte
}

// needle is a text as it is, and as it stands in a line.
type needle struct{ plain, escaped []byte }

func (t *text) add(plain string) *text {
	t.needles = append(t.needles, needle{plain: []byte(plain), escaped: appendEscaped(nil, []byte(plain))})
	// Separators may be escaped or not, and U+FFFD is what bytes that are no text are taken for.
	t.blind = t.blind || strings.ContainsAny(plain, "\u2028\u2029\uFFFD")
	return t
}

// newText prepares for what a query looks for; nil if that is any text.
func newText(q *Query) (*text, error) {
	switch {
	case q.Q == "":
		return nil, nil
	case !q.Regexp && q.IgnoreCase:
		return (&text{fold: true}).add(string(appendLower(nil, []byte(q.Q)))), nil
	case !q.Regexp:
		return (&text{}).add(q.Q), nil
	case len(q.Q) > maxPattern:
		return nil, core.Errorf(core.CodeInvalid, "regexp_invalid", "The regular expression has %d bytes, at most %d are allowed", len(q.Q), maxPattern)
	}
	flags := syntax.Perl
	if q.IgnoreCase {
		flags |= syntax.FoldCase
	}
	tree, err := syntax.Parse(q.Q, flags)
	if err != nil {
		return nil, describePattern(q.Q, err)
	}
	source := q.Q
	if q.IgnoreCase {
		source = "(?i)" + source
	}
	pattern, err := regexp.Compile(source)
	if err != nil {
		return nil, describePattern(q.Q, err)
	}
	simple := tree.Simplify()
	if program, err := syntax.Compile(simple); err != nil || len(program.Inst) > maxProgram {
		return nil, core.Errorf(core.CodeInvalid, "regexp_invalid", "The regular expression is too large: it repeats too much")
	}
	t := &text{pattern: pattern}
	for _, literal := range required(simple) {
		t.add(literal)
	}
	return t, nil
}

// describePattern says what is wrong with a regular expression, and where.
func describePattern(pattern string, err error) error {
	wrong, ok := errors.AsType[*syntax.Error](err)
	if !ok {
		return core.Errorf(core.CodeInvalid, "regexp_invalid", "The regular expression cannot be used: %s", err)
	}
	where := max(strings.Index(pattern, wrong.Expr), 0)
	return core.Errorf(core.CodeInvalid, "regexp_invalid", "The regular expression is wrong at character %d: %s: %q",
		utf8.RuneCountInString(pattern[:where])+1, wrong.Code, wrong.Expr)
}

// mayBeIn tells whether any of some lines, with their newlines or without, may have such a text. It does not take them apart.
func (t *text) mayBeIn(lines []byte) bool {
	if len(t.needles) == 0 || t.blind {
		return true
	}
	escapes := bytes.IndexByte(lines, '\\') >= 0
	if escapes && !usual(lines) {
		return true
	}
	if t.fold {
		t.folded = appendLower(t.folded[:0], lines)
		lines = t.folded
	}
	for _, n := range t.needles {
		// A line in another form than ours may have the text without escapes.
		if bytes.Contains(lines, n.plain) || len(n.escaped) != len(n.plain) && bytes.Contains(lines, n.escaped) {
			return true
		}
	}
	return false
}

// usual tells whether all backslashes in lines begin an escape that stands where [appendEscaped] would write it.
func usual(lines []byte) bool {
	for {
		at := bytes.IndexByte(lines, '\\')
		if at < 0 {
			return true
		}
		if at+1 == len(lines) {
			return false
		}
		switch lines[at+1] {
		case '"', '\\', 'n', 'r', 't', 'b', 'f':
			lines = lines[at+2:]
			continue
		case 'u':
		default:
			return false
		}
		if len(lines) < at+6 {
			return false
		}
		switch digits := lines[at+2 : at+6]; {
		case string(digits) == "001b": // as in most logs that have any
		case string(digits) == "2028", string(digits) == "2029":
		case digits[0] != '0' || digits[1] != '0' || digits[2] != '0' && digits[2] != '1':
			return false
		default:
			c := hexRune(digits)
			if 'A' <= digits[3] && digits[3] <= 'F' || c == '\n' || c == '\r' || c == '\t' || c == '\b' || c == '\f' || c == utf8.RuneError {
				return false
			}
		}
		lines = lines[at+6:]
	}
}

// in tells whether a text is one of those.
func (t *text) in(text []byte) bool {
	if t.pattern != nil {
		return t.pattern.Match(text)
	}
	if t.fold {
		t.folded = appendLower(t.folded[:0], text)
		text = t.folded
	}
	return bytes.Contains(text, t.needles[0].plain)
}

// matches returns where in a text, as offsets in bytes.
func (t *text) matches(text []byte) (list [][2]int) {
	if t.pattern != nil {
		for _, m := range t.pattern.FindAllIndex(text, maxMatches) {
			list = append(list, [2]int{m[0], m[1]})
		}
		return list
	}
	if t.fold {
		t.folded = appendLower(t.folded[:0], text)
		text = t.folded
	}
	length := len(t.needles[0].plain)
	for at := 0; len(list) < maxMatches; {
		i := bytes.Index(text[at:], t.needles[0].plain)
		if i < 0 {
			break
		}
		list = append(list, [2]int{at + i, at + i + length})
		at += i + length
	}
	return list
}

// lower is the lower case of the letters A to Z, which keeps all offsets.
var lower = func() (table [256]byte) {
	for c := range table {
		table[c] = byte(c)
		if 'A' <= c && c <= 'Z' {
			table[c] += 'a' - 'A'
		}
	}
	return table
}()

func appendLower(dst, text []byte) []byte {
	start := len(dst)
	dst = append(dst, text...)
	for i, c := range dst[start:] {
		dst[start+i] = lower[c]
	}
	return dst
}
