package template

import (
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/flosch/pongo2/v6"
)

// Error says which expression is wrong, where, why, and how to mend it.
type Error struct {
	Path       string // where in the value the template stands, as in env[2].name; "" outside RenderValue
	Line       int    // from 1
	Column     int    // from 1, in characters
	Expression string // the tag with its braces, shortened; "" if no single one is to blame
	Message    string
	Err        error // the cause, where there is one: a cancelled context, a failed vals
}

func (e *Error) Error() string {
	var b strings.Builder
	if e.Path != "" {
		b.WriteString(e.Path + ": ")
	}
	if e.Expression != "" {
		b.WriteString(e.Expression + " ")
	}
	fmt.Fprintf(&b, "(line %d, column %d): %s", e.Line, e.Column, e.Message)
	return b.String()
}

func (e *Error) Unwrap() error { return e.Err }

// located is an error at an offset of the source.
type located struct {
	offset int
	msg    string
	err    error // the cause, or nil
}

func (e *located) Error() string { return e.msg }
func (e *located) Unwrap() error { return e.err }

func errorAt(offset int, format string, args ...any) error {
	return &located{offset: offset, msg: fmt.Sprintf(format, args...)}
}

type span struct{ start, end int }

// failure makes an Error of what went wrong in the tag at s.
func (t *Template) failure(s span, err error) error {
	if e, ok := errors.AsType[*Error](err); ok {
		return e
	}
	e := &Error{Message: err.Error()}
	offset := s.start
	if at, ok := errors.AsType[*located](err); ok {
		offset, e.Err = at.offset, at.err
	} else {
		e.Err = err
	}
	if strings.HasPrefix(t.source[s.start:], "{") {
		e.Expression = shorten(t.source[s.start:min(s.end, len(t.source))])
	}
	e.Line, e.Column = t.position(offset)
	return e
}

func (t *Template) position(offset int) (line, column int) {
	before := t.source[:min(offset, len(t.source))]
	return strings.Count(before, "\n") + 1, utf8.RuneCountInString(before[strings.LastIndexByte(before, '\n')+1:]) + 1
}

func shorten(s string) string {
	s = strings.ToValidUTF8(strings.Join(strings.Fields(s), " "), "\uFFFD")
	const limit = 100
	if utf8.RuneCountInString(s) <= limit {
		return s
	}
	return string([]rune(s)[:limit]) + "…"
}

// fault takes our error out of pongo2's, which does not unwrap.
func fault(err error) error {
	if e, ok := errors.AsType[*pongo2.Error](err); ok {
		return e.OrigError
	}
	return err
}

// panicError is a defect of this package or of pongo2 that a template brought to light.
type panicError struct{ value any }

func (e *panicError) Error() string { return fmt.Sprintf("panic: %v", e.value) }

func recoverInto(err *error) {
	if v := recover(); v != nil {
		*err = &Error{Line: 1, Column: 1, Message: "the template cannot be rendered (internal error)", Err: &panicError{v}}
	}
}
