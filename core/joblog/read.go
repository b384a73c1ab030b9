package joblog

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"time"
)

// Copy is [View.Read] that writes the lines to w.
func (v *View) Copy(ctx context.Context, w io.Writer, q Query) (Page, error) {
	from := max(q.From, 1)
	if v.Index.Lines == 0 || q.Tail <= 0 && from > v.Index.Lines {
		return Page{From: from, Next: from, Total: v.Index.Lines}, nil
	}
	r, err := newLineReader(ctx, v, &q)
	if err != nil {
		return Page{}, err
	}
	if q.Tail > 0 {
		if from, err = r.tailStart(q.Tail); err != nil {
			return Page{}, fmt.Errorf("read log: %w", err)
		}
		r.begin() // these lines were read already
	}
	page, done, err := r.copyBytes(w, from)
	if err == nil && !done {
		page, err = r.copy(w, from)
	}
	if err != nil {
		return Page{}, fmt.Errorf("read log: %w", err)
	}
	return page, nil
}

// lineReader reads the lines of a view.
type lineReader struct {
	ctx   context.Context //nolint:containedctx // lives for one call
	view  *View
	match *matcher
	query *Query
	until time.Time // when to give up; zero: never

	looked func(next int64) error // called once a block; nil: not
}

func newLineReader(ctx context.Context, v *View, q *Query) (*lineReader, error) {
	match, err := newMatcher(q, &v.Index)
	if err != nil {
		return nil, err
	}
	r := &lineReader{ctx: ctx, view: v, match: match, query: q}
	r.begin()
	return r, nil
}

// begin has the time that may be looked for lines begin.
func (r *lineReader) begin() {
	if r.query.Within > 0 {
		r.until = time.Now().Add(r.query.Within)
	}
}

// late tells whether it is over.
func (r *lineReader) late() bool { return !r.until.IsZero() && !time.Now().Before(r.until) }

// verdict is what becomes of reading after a line.
type verdict int

const (
	goOn verdict = iota
	stopBehind
	stopBefore // the line is not taken
)

// yieldFunc gets lines with their numbers and without their newlines.
type yieldFunc func(number int64, line []byte) (verdict, error)

// each calls yield for the lines from number from to number to, until it is told to stop or it is late; something is looked at in
// any case. Lines that cannot match may be passed over. next is behind the last line that was taken or passed over.
func (r *lineReader) each(from, to int64, yield yieldFunc) (next int64, err error) {
	index := &r.view.Index
	lines := lineScanner{view: r.view}
	next = from
	first := index.find(from)
	for i := first; i < index.Blocks() && next <= to; i++ {
		if err := r.ctx.Err(); err != nil {
			return next, err
		}
		if i > first && r.late() {
			return next, nil
		}
		if r.looked != nil {
			if err := r.looked(next); err != nil {
				return next, err
			}
		}
		block := index.Block(i)
		end := index.end(i)
		if !r.match.block(block) {
			next = min(end, to+1)
			continue
		}
		lines.seek(block)
		var more bool
		if next, more, err = r.block(&lines, i, from, to, yield); err != nil || !more {
			return next, err
		}
	}
	return next, nil
}

// block is each within one block, at whose first line the scanner is.
func (r *lineReader) block(lines *lineScanner, i int, from, to int64, yield yieldFunc) (next int64, more bool, err error) {
	index := &r.view.Index
	whole := to >= index.end(i)-1
	to = min(to, index.end(i)-1)
	for lines.next <= to {
		if whole && lines.next >= from && r.match.text != nil {
			if err := lines.pass(r.match, index.stop(i)); err != nil {
				return lines.next, false, err
			}
		}
		for taken := 0; taken < passBytes && lines.next <= to; {
			number := lines.next
			line, err := lines.scan()
			if err != nil {
				return max(number, from), false, err
			}
			taken += len(line) + 1
			if number < from {
				continue
			}
			switch what, err := yield(number, line); {
			case err != nil || what == stopBefore:
				return number, false, err
			case what == stopBehind:
				return number + 1, false, nil
			}
		}
		if lines.next > from && lines.next <= to && r.late() {
			return lines.next, false, nil
		}
	}
	return max(lines.next, from), true, nil
}

// copyBytes is copy where every line counts and only their size is bounded: for whoever follows a log, frame by frame. Where it is
// not that, or where not even one line fits, it does nothing and is not done.
func (r *lineReader) copyBytes(w io.Writer, from int64) (page Page, done bool, err error) {
	if !r.match.all() || r.query.Limit > 0 || r.query.Tail > 0 || r.query.Bytes <= 0 {
		return page, false, nil
	}
	index := &r.view.Index
	at := r.query.At
	if at.line != from {
		if at, err = r.locate(from); err != nil {
			return page, false, err
		}
	}
	if at.offset >= index.Size {
		return page, false, nil
	}
	buffer := make([]byte, min(r.query.Bytes, index.Size-at.offset))
	if n, err := r.view.Bytes.ReadAt(buffer, at.offset); n < len(buffer) {
		return page, false, err
	}
	buffer = buffer[:bytes.LastIndexByte(buffer, '\n')+1]
	next := Cursor{at.line + int64(bytes.Count(buffer, []byte{'\n'})), at.offset + int64(len(buffer))}
	if next == at || (next.line > index.Lines) != (next.offset == index.Size) { // the last line may lack its newline
		return page, false, nil
	}
	_, err = w.Write(buffer)
	return Page{From: from, Next: next.line, Total: index.Lines, At: next}, true, err
}

// locate finds where a line begins.
func (r *lineReader) locate(line int64) (Cursor, error) {
	block := r.view.Index.Block(r.view.Index.find(line))
	lines := lineScanner{view: r.view}
	for lines.seek(block); lines.next < line; {
		if _, err := lines.scan(); err != nil {
			return Cursor{}, err
		}
	}
	return Cursor{line, lines.at()}, nil
}

// copy writes what matches from line from on, as far as the query's limits allow.
func (r *lineReader) copy(w io.Writer, from int64) (page Page, err error) {
	page.Total = r.view.Index.Lines
	var lines, size int64
	page.Next, err = r.each(from, page.Total, func(number int64, line []byte) (verdict, error) {
		if !r.match.match(line) {
			return goOn, nil
		}
		length := int64(len(line) + 1)
		if r.query.Bytes > 0 && lines > 0 && size+length > r.query.Bytes {
			return stopBefore, nil
		}
		if lines == 0 {
			page.From = number
		}
		lines++
		size += length
		if _, err := w.Write(line); err != nil {
			return stopBefore, err
		}
		if _, err := w.Write([]byte{'\n'}); err != nil {
			return stopBefore, err
		}
		if lines == r.query.Limit {
			return stopBehind, nil
		}
		return goOn, nil
	})
	if lines == 0 {
		page.From = page.Next
	}
	return page, err
}

// tailStart finds the number of the first of the last n lines that match. It goes backwards block by block, so that a
// short tail of a long log is found at once.
func (r *lineReader) tailStart(n int64) (int64, error) {
	index := &r.view.Index
	if r.match.all() {
		return max(index.Lines-n+1, 1), nil
	}
	start := index.Lines + 1
	for i := index.Blocks() - 1; i >= 0 && (start > index.Lines || !r.late()); i-- {
		end := index.end(i)
		var numbers []int64
		_, err := r.each(index.Block(i).Line, end-1, func(number int64, line []byte) (verdict, error) {
			if r.match.match(line) {
				numbers = append(numbers, number)
			}
			return goOn, nil
		})
		if err != nil {
			return 0, err
		}
		if found := int64(len(numbers)); found >= n {
			return numbers[found-n], nil
		}
		n -= int64(len(numbers))
		start = index.Block(i).Line
	}
	return start, nil
}
