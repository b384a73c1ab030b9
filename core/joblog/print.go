package joblog

import (
	"bytes"
	"context"
	"fmt"
	"io"
)

// Printing says what is printed of a line beside its text.
type Printing struct {
	Times bool // before the text, as they were sent
	Steps bool // likewise, after the time
}

// Print writes the lines that q selects as they were printed, each with a newline. Query.Tail means nothing to it.
func (v *View) Print(ctx context.Context, w io.Writer, q Query, p Printing) error {
	from := max(q.From, 1)
	r, err := newLineReader(ctx, v, &q)
	if err != nil || from > v.Index.Lines {
		return err
	}
	var printed int64
	var out []byte
	_, err = r.each(from, v.Index.Lines, func(_ int64, line []byte) (verdict, error) {
		if !r.match.match(line) {
			return goOn, nil
		}
		out = append(r.match.appendPrinted(out[:0], line, p), '\n')
		if _, err := w.Write(out); err != nil {
			return stopBefore, err
		}
		if printed++; printed == q.Limit {
			return stopBehind, nil
		}
		return goOn, nil
	})
	if err != nil {
		return fmt.Errorf("print log: %w", err)
	}
	return nil
}

// appendPrinted appends a line without its newline.
func (m *matcher) appendPrinted(dst, line []byte, p Printing) []byte {
	r, ok := parse(line)
	var step string
	var ts, text []byte
	if ok {
		ts, text = r.ts, bytes.ToValidUTF8(m.decode(r.line), []byte("\uFFFD"))
		if p.Steps {
			step = stepOf(string(r.header))
		}
	} else {
		l := parseForeign(line)
		step, ts, text = l.Step, []byte(l.TS), []byte(l.Text)
	}
	if p.Times && len(ts) > 0 {
		dst = append(append(dst, ts...), ' ')
	}
	if p.Steps && step != "" {
		dst = append(append(dst, step...), " | "...)
	}
	return append(dst, text...)
}
