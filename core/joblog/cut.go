package joblog

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strconv"
	"strings"
)

// Attempt is how far the lines of an attempt of a step go.
type Attempt struct {
	Step    string
	Attempt int
	Next    int64 // number behind the last line
}

// Attempts returns how far the segment has the lines of each attempt.
func (l SegmentLog) Attempts(context.Context) ([]Attempt, error) {
	j, err := l.store.acquire(l.id)
	if err != nil {
		return nil, err
	}
	defer l.store.release(j)
	j.mu.Lock()
	defer j.mu.Unlock()
	var list []Attempt
	for header, next := range j.next {
		list = append(list, Attempt{Step: stepOf(header), Attempt: attemptOf(header), Next: next})
	}
	return list, nil
}

// attemptOf returns the attempt in a header.
func attemptOf(header string) int {
	_, rest, _ := strings.Cut(header, `","attempt":`)
	n, err := strconv.Atoi(strings.TrimSuffix(rest, ","))
	if err != nil {
		return 1
	}
	return n
}

// Cut removes the lines of the given attempts from Next on, and returns how many lines are left. Nobody may append meanwhile; who
// reads sees the segment as it was. What a crash leaves is the old segment or the new one.
func (l SegmentLog) Cut(_ context.Context, attempts []Attempt) (lines int64, err error) {
	j, err := l.store.acquire(l.id)
	if err != nil {
		return 0, err
	}
	defer l.store.release(j)
	j.mu.Lock()
	defer j.mu.Unlock()
	ends, needed := map[string]int64{}, false
	for _, a := range attempts {
		header := string(appendHeader(nil, a.Step, a.Attempt))
		ends[header] = a.Next
		needed = needed || j.next[header] > a.Next
	}
	if !needed || j.file == nil {
		return j.lines.index.Lines, nil
	}
	if err := j.cut(ends); err != nil {
		return 0, fmt.Errorf("cut log: %w", err)
	}
	return j.lines.index.Lines, nil
}

// cut writes the file anew; j.mu is held.
func (j *jobFile) cut(ends map[string]int64) error {
	draft := "." + j.id.file() + ".cut" // which is no log
	to, err := j.root.OpenFile(draft, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o640)
	if err != nil {
		return err
	}
	err = copyBefore(to, io.NewSectionReader(j.file, 0, j.lines.index.Size), ends)
	if err == nil {
		err = to.Sync()
	}
	if err = errors.Join(err, to.Close()); err == nil {
		err = j.root.Rename(draft, j.id.file())
	}
	if err != nil {
		if gone := j.root.Remove(draft); !errors.Is(gone, fs.ErrNotExist) {
			err = errors.Join(err, gone)
		}
		return err
	}
	_ = j.file.Close() // nothing is buffered
	j.file, j.loaded = nil, false
	if j.changed != nil {
		close(j.changed)
		j.changed = nil
	}
	return j.read()
}

// copyBefore copies lines but for those of the given attempts from a number on.
func copyBefore(to io.Writer, from io.Reader, ends map[string]int64) error {
	numbers := jobFile{next: map[string]int64{}}
	reader, writer := bufio.NewReaderSize(from, readAhead), bufio.NewWriterSize(to, readAhead)
	for {
		line, err := reader.ReadBytes('\n')
		if len(line) > 0 && !numbers.beyond(line, ends) {
			if _, err := writer.Write(line); err != nil {
				return err
			}
		}
		if errors.Is(err, io.EOF) {
			return writer.Flush()
		}
		if err != nil {
			return err
		}
	}
}

// beyond counts a line and tells whether it, or the next one of which it says the number, is at the end of its attempt or behind.
func (j *jobFile) beyond(line []byte, ends map[string]int64) bool {
	header := string(j.count(line))
	if header != serverHeader {
		end, ok := ends[header]
		return ok && j.next[header] > end
	}
	r, _ := parse(bytes.TrimSuffix(line, []byte("\n")))
	attempt, next, ok := parseGap(decodeString(r.line))
	end, cut := ends[attempt]
	return ok && cut && next >= end
}
