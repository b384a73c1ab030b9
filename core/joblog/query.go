package joblog

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"
)

// Query selects lines of a job's log. The zero value selects all of them.
type Query struct {
	Step   string // "": every step, and lines of the server
	Stream string // "": both
	Q      string // text that a line contains, exactly

	From  int64 // number of the first line to look at; 0 is 1
	Limit int64 // of lines to return; 0: no limit
	Bytes int64 // of lines to return, at least one line; 0: no limit
	Tail  int64 // only the last so many lines that match; From is then ignored

	At Cursor // Page.At of the page before, if From is its Next: saves looking for the line
}

// Cursor is where a line begins. The zero value knows nothing.
type Cursor struct{ line, offset int64 }

// Page is what a query found.
type Page struct {
	Logs  []byte // lines in storage format, each with its newline; nil after [View.Copy]
	From  int64  // number of the first line in Logs, or Next if there is none
	Next  int64  // number from which to go on: behind the last line that was looked at
	Total int64  // lines in the log, whether they match or not
	At    Cursor // of Next, where it is known
}

// matcher tells which lines a query selects.
type matcher struct {
	query   Query
	step    int32  // place of the step in the index
	prefix  []byte // how a line of the step starts
	escaped []byte // Query.Q as it stands in a line
}

func newMatcher(q Query, index *Index) *matcher {
	m := &matcher{query: q, step: index.step(q.Step), escaped: appendEscaped(nil, []byte(q.Q))}
	if q.Step != "" {
		m.prefix = appendHeader(nil, q.Step, 1)
	}
	return m
}

// all tells that every line matches.
func (m *matcher) all() bool { return m.query.Step == "" && m.query.Stream == "" && m.query.Q == "" }

// block tells whether lines of a block may match.
func (m *matcher) block(b Block) bool {
	return m.query.Step == "" || b.Steps == nil || slices.Contains(b.Steps, m.step)
}

// match looks at a line without its newline.
func (m *matcher) match(line []byte) bool {
	if m.all() {
		return true
	}
	r, ok := parse(line)
	if !ok {
		return m.matchForeign(line)
	}
	if !bytes.HasPrefix(line, m.prefix) || m.query.Stream != "" && string(r.stream) != m.query.Stream {
		return false
	}
	if !bytes.Contains(r.line, m.escaped) {
		return false
	}
	// A backslash may make one text look like a part of another: \n and n.
	return bytes.IndexByte(r.line, '\\') < 0 || strings.Contains(decodeString(r.line), m.query.Q)
}

// matchForeign looks at a line in another form: keys in another order, or plain text, which belongs to no step.
func (m *matcher) matchForeign(line []byte) bool {
	var l struct{ Step, Stream, Line *string }
	if json.Unmarshal(line, &l) != nil || l.Step == nil || l.Stream == nil || l.Line == nil {
		return m.query.Step == "" && m.query.Stream == "" && bytes.Contains(line, []byte(m.query.Q))
	}
	return (m.query.Step == "" || m.query.Step == *l.Step) &&
		(m.query.Stream == "" || m.query.Stream == *l.Stream) && strings.Contains(*l.Line, m.query.Q)
}
