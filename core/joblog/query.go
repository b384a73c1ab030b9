package joblog

import (
	"bytes"
	"encoding/json"
	"slices"
	"time"
)

// Query selects lines of a job's log. The zero value selects all of them.
type Query struct {
	Step   string    // "": every step, and lines of the server
	Stream string    // "": both
	Since  time.Time // not before this time; zero: without a bound, as is
	Until  time.Time // before this time. Lines of which no time is known have none

	Q          string // text that a line contains, exactly
	Regexp     bool   // Q is a regular expression, in the syntax of RE2
	IgnoreCase bool   // of letters: of A to Z alone unless Q is a regular expression

	From  int64 // number of the first line to look at; 0 is 1
	Limit int64 // of lines to return; 0: no limit
	Bytes int64 // of lines to return, at least one line; 0: no limit
	Tail  int64 // only the last so many lines that match; From is then ignored

	At Cursor // Page.At of the page before, if From is its Next: saves looking for the line

	// Within is about how long may be looked for lines; 0: no limit. What was found until then is returned, which for Tail may
	// be too little.
	Within time.Duration
}

// Check tells whether the query can be asked: what cannot is a regular expression that is wrong, an error with
// [core.CodeInvalid].
func (q *Query) Check() error {
	_, err := newText(q)
	return err
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

// matcher tells which lines a query selects. It is for one goroutine.
type matcher struct {
	query        *Query
	step         int32  // place of the step in the index
	prefix       []byte // how a line of the step starts
	since, until int64  // in microseconds; see timed
	text         *text  // nil: any
	decoded      []byte
}

func newMatcher(q *Query, index *Index) (*matcher, error) {
	text, err := newText(q)
	if err != nil {
		return nil, err
	}
	m := &matcher{query: q, step: index.step(q.Step), text: text, since: minMoment, until: maxMoment}
	if q.Step != "" {
		m.prefix = appendHeader(nil, q.Step, 1)
	}
	if !q.Since.IsZero() {
		m.since = ceilMicro(q.Since)
	}
	if !q.Until.IsZero() {
		m.until = ceilMicro(q.Until)
	}
	return m, nil
}

const (
	minMoment = -1 << 62
	maxMoment = 1 << 62
)

// ceilMicro is the first microsecond that is not before t: lines have no finer times.
func ceilMicro(t time.Time) int64 {
	micros := t.UnixMicro()
	if time.UnixMicro(micros).Before(t) {
		micros++
	}
	return micros
}

func (m *matcher) timed() bool { return m.since != minMoment || m.until != maxMoment }

// all tells that every line matches.
func (m *matcher) all() bool {
	return m.query.Step == "" && m.query.Stream == "" && m.text == nil && !m.timed()
}

// block tells whether lines of a block may match.
func (m *matcher) block(b Block) bool {
	if b.timed() && (b.Latest < m.since || b.Earliest >= m.until) {
		return false
	}
	return m.query.Step == "" || b.Steps == nil || slices.Contains(b.Steps, m.step)
}

// mayBeIn tells whether any of some lines may match.
func (m *matcher) mayBeIn(lines []byte) bool { return m.text == nil || m.text.mayBeIn(lines) }

// match looks at a line without its newline.
func (m *matcher) match(line []byte) bool {
	if m.all() {
		return true
	}
	if !m.mayBeIn(line) {
		return false
	}
	r, ok := parse(line)
	if !ok {
		return m.matchForeign(line)
	}
	if !bytes.HasPrefix(line, m.prefix) || m.query.Stream != "" && string(r.stream) != m.query.Stream {
		return false
	}
	return m.matchTime(r.ts) && (m.text == nil || m.text.in(m.decode(r.line)))
}

func (m *matcher) matchTime(ts []byte) bool {
	if !m.timed() {
		return true
	}
	at, ok := moment(ts)
	return ok && m.since <= at && at < m.until
}

// decode is the text of the inside of a JSON string, valid until the next call.
func (m *matcher) decode(inside []byte) []byte {
	if bytes.IndexByte(inside, '\\') < 0 {
		return inside
	}
	m.decoded = appendUnescaped(m.decoded[:0], inside)
	return m.decoded
}

// matchForeign looks at a line in another form: keys in another order, or plain text, which belongs to no step.
func (m *matcher) matchForeign(line []byte) bool {
	l := parseForeign(line)
	return (m.query.Step == "" || m.query.Step == l.Step) && (m.query.Stream == "" || m.query.Stream == l.Stream) &&
		m.matchTime([]byte(l.TS)) && (m.text == nil || m.text.in([]byte(l.Text)))
}

// parseForeign takes a line in another form apart. What is not JSON is a text without a step.
func parseForeign(line []byte) Line {
	var l struct {
		Step, Stream, Line *string
		TS                 string
		Attempt            int
	}
	if json.Unmarshal(line, &l) != nil || l.Step == nil || l.Stream == nil || l.Line == nil {
		return Line{Attempt: 1, Text: string(bytes.ToValidUTF8(line, []byte("\uFFFD")))}
	}
	return Line{Step: *l.Step, Attempt: max(l.Attempt, 1), Stream: *l.Stream, TS: l.TS, Text: *l.Line}
}
