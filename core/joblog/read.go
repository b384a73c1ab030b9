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
	page, err := r.copy(w, from)
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
	long   []byte
}

// seek goes to the first line of a block, unless it is the next one already.
func (s *lineScanner) seek(b Block) {
	if s.reader == nil || s.next != b.Line {
		s.reader = bufio.NewReaderSize(io.NewSectionReader(s.view.Bytes, b.Offset, s.view.Index.Size-b.Offset), readAhead)
		s.next = b.Line
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
	return bytes.TrimSuffix(line, []byte("\n")), nil
}
