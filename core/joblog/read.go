package joblog

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
)

// Copy is [View.Read] that writes the lines to w.
func (v *View) Copy(ctx context.Context, w io.Writer, q Query) (Page, error) {
	from := max(q.From, 1)
	if v.Index.Lines == 0 || q.Tail <= 0 && from > v.Index.Lines {
		return Page{From: from, Next: from, Total: v.Index.Lines}, nil
	}
	r := &lineReader{ctx: ctx, view: v, match: newMatcher(q, &v.Index), query: q}
	if q.Tail > 0 {
		var err error
		if from, err = r.tailStart(q.Tail); err != nil {
			return Page{}, fmt.Errorf("read log: %w", err)
		}
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
	query Query
}

// readAhead is how much is read at a time. Where lines are far away, a read may be a request.
const readAhead = 64 << 10

// each calls yield for the lines from number from to number to, without their newlines, until it returns false. Blocks in which
// nothing matches are passed over. next is behind the last line that was taken or passed over.
func (r *lineReader) each(from, to int64, yield func(number int64, line []byte) (bool, error)) (next int64, err error) {
	index := &r.view.Index
	lines := lineScanner{view: r.view}
	next = from
	for i := index.find(from); i < index.Blocks() && next <= to; i++ {
		if err := r.ctx.Err(); err != nil {
			return next, err
		}
		block := index.Block(i)
		end := index.end(i)
		if !r.match.block(block) {
			next = min(end, to+1)
			continue
		}
		lines.seek(block)
		for number := block.Line; number < end && number <= to; number++ {
			line, err := lines.scan()
			if err != nil {
				return next, err
			}
			if number < from {
				continue
			}
			if more, err := yield(number, line); err != nil || !more {
				return number, err
			}
			next = number + 1
		}
	}
	return next, nil
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
	return Cursor{line, lines.offset}, nil
}

// copy writes what matches from line from on, as far as the query's limits allow.
func (r *lineReader) copy(w io.Writer, from int64) (page Page, err error) {
	page.Total = r.view.Index.Lines
	var lines, size int64
	page.Next, err = r.each(from, page.Total, func(number int64, line []byte) (bool, error) {
		if r.query.Limit > 0 && lines == r.query.Limit {
			return false, nil
		}
		if !r.match.match(line) {
			return true, nil
		}
		length := int64(len(line) + 1)
		if r.query.Bytes > 0 && lines > 0 && size+length > r.query.Bytes {
			return false, nil
		}
		if lines == 0 {
			page.From = number
		}
		lines++
		size += length
		if _, err := w.Write(line); err != nil {
			return false, err
		}
		_, err := w.Write([]byte{'\n'})
		return true, err
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
	for i := index.Blocks() - 1; i >= 0; i-- {
		end := index.end(i)
		var numbers []int64
		_, err := r.each(index.Block(i).Line, end-1, func(number int64, line []byte) (bool, error) {
			if r.match.match(line) {
				numbers = append(numbers, number)
			}
			return true, nil
		})
		if err != nil {
			return 0, err
		}
		if found := int64(len(numbers)); found >= n {
			return numbers[found-n], nil
		}
		n -= int64(len(numbers))
	}
	return 1, nil
}

// lineScanner reads the lines of a view one after another.
type lineScanner struct {
	view   *View
	reader *bufio.Reader
	next   int64 // line
	offset int64 // of it
	long   []byte
}

// seek goes to the first line of a block, unless it is the next one already.
func (s *lineScanner) seek(b Block) {
	if s.reader == nil || s.next != b.Line {
		s.reader = bufio.NewReaderSize(io.NewSectionReader(s.view.Bytes, b.Offset, s.view.Index.Size-b.Offset), readAhead)
		s.next, s.offset = b.Line, b.Offset
	}
}

// scan returns the next line without its newline; it is valid until the next call.
func (s *lineScanner) scan() ([]byte, error) {
	line, err := s.reader.ReadSlice('\n')
	for s.long = s.long[:0]; errors.Is(err, bufio.ErrBufferFull); line, err = s.reader.ReadSlice('\n') {
		s.long = append(s.long, line...)
	}
	if err != nil && (!errors.Is(err, io.EOF) || s.next != s.view.Index.Lines) { // the last one may lack its newline
		return nil, err
	}
	if len(s.long) > 0 {
		s.long = append(s.long, line...)
		line = s.long
	}
	s.next++
	s.offset += int64(len(line))
	return bytes.TrimSuffix(line, []byte("\n")), nil
}
