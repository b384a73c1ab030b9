package joblog

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"

	"github.com/google/uuid"
)

// Read returns the lines that q selects. A job without a log has an empty one. The log is read as a stream, so memory
// is bounded by Query.Limit and Query.Bytes.
func (s *Store) Read(ctx context.Context, job uuid.UUID, q Query) (Page, error) {
	var logs bytes.Buffer
	page, err := s.Copy(ctx, &logs, job, q)
	page.Logs = logs.Bytes()
	return page, err
}

// Copy is [Store.Read] that writes the lines to w.
func (s *Store) Copy(ctx context.Context, w io.Writer, job uuid.UUID, q Query) (Page, error) {
	j, err := s.acquire(job)
	if err != nil {
		return Page{}, err
	}
	defer s.release(j)
	snap := j.snapshot()
	reader := &lineReader{ctx: ctx, snap: snap, match: newMatcher(q), query: q}
	from := max(q.From, 1)
	if snap.lines == 0 || q.Tail <= 0 && from > snap.lines {
		return Page{From: from, Next: from, Total: snap.lines}, nil
	}
	file, err := s.root.Open(snap.name)
	if errors.Is(err, fs.ErrNotExist) { // removed meanwhile
		return Page{From: from, Next: from}, nil
	}
	if err != nil {
		return Page{}, fmt.Errorf("open log: %w", err)
	}
	defer func() { _ = file.Close() }()
	reader.file = file
	if q.Tail > 0 {
		if from, err = reader.tailStart(q.Tail); err != nil {
			return Page{}, fmt.Errorf("read log: %w", err)
		}
	}
	page, err := reader.copy(w, from)
	if err != nil {
		return Page{}, fmt.Errorf("read log: %w", err)
	}
	return page, nil
}

// snapshot is the state of a log at one moment; what is appended later is not looked at.
type snapshot struct {
	name  string
	lines int64
	size  int64
	index []int64
}

func (j *jobFile) snapshot() snapshot {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.snapshotLocked()
}

// snapshotLocked is snapshot with j.mu held.
func (j *jobFile) snapshotLocked() snapshot {
	name := logName(j.id)
	if j.legacy {
		name = legacyName(j.id)
	}
	return snapshot{name: name, lines: j.lines, size: j.size, index: j.index}
}

// lineReader reads the lines of a snapshot.
type lineReader struct {
	ctx   context.Context //nolint:containedctx // lives for one call
	file  io.ReaderAt
	snap  snapshot
	match *matcher
	query Query
}

// each calls yield for the lines from number from to number to, without their newlines, until it returns false.
func (r *lineReader) each(from, to int64, yield func(number int64, line []byte) (bool, error)) error {
	block := (from - 1) / indexEvery
	offset := r.snap.index[block]
	reader := bufio.NewReaderSize(io.NewSectionReader(r.file, offset, r.snap.size-offset), 64<<10)
	var long []byte
	for number := block*indexEvery + 1; number <= to; number++ {
		if number%indexEvery == 0 && r.ctx.Err() != nil {
			return r.ctx.Err()
		}
		line, err := reader.ReadSlice('\n')
		for long = long[:0]; errors.Is(err, bufio.ErrBufferFull); line, err = reader.ReadSlice('\n') {
			long = append(long, line...)
		}
		if err != nil && (!errors.Is(err, io.EOF) || number != r.snap.lines) { // the last one may lack its newline
			return err
		}
		if len(long) > 0 {
			long = append(long, line...)
			line = long
		}
		if number < from {
			continue
		}
		if more, err := yield(number, bytes.TrimSuffix(line, []byte("\n"))); err != nil || !more {
			return err
		}
	}
	return nil
}

// copy writes what matches from line from on, as far as the query's limits allow.
func (r *lineReader) copy(w io.Writer, from int64) (Page, error) {
	page := Page{Next: from, Total: r.snap.lines}
	var lines, size int64
	err := r.each(from, r.snap.lines, func(number int64, line []byte) (bool, error) {
		if r.match.match(line) {
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
			if _, err := w.Write([]byte{'\n'}); err != nil {
				return false, err
			}
		}
		page.Next = number + 1
		return r.query.Limit <= 0 || lines < r.query.Limit, nil
	})
	if lines == 0 {
		page.From = page.Next
	}
	return page, err
}

// tailStart finds the number of the first of the last n lines that match. It goes backwards block by block, so that a
// short tail of a long log is found at once.
func (r *lineReader) tailStart(n int64) (int64, error) {
	if r.match.all() {
		return max(r.snap.lines-n+1, 1), nil
	}
	to := r.snap.lines
	for block := int64(len(r.snap.index)) - 1; block >= 0; block-- {
		from := block*indexEvery + 1
		var numbers []int64
		err := r.each(from, to, func(number int64, line []byte) (bool, error) {
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
		to = from - 1
	}
	return 1, nil
}
