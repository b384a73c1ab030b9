package joblog

import (
	"bytes"
	"fmt"
	"io"
)

const (
	// firstRead and longestRead are how much is read at a time: a page is found with little, and who reads on reads in large pieces,
	// for where lines are far away each may be a request.
	firstRead   = 64 << 10
	longestRead = 1 << 20
	// passBytes is about how many bytes are passed over at once.
	passBytes = 32 << 10
)

// lineScanner reads the lines of a view one after another.
type lineScanner struct {
	view   *View
	buffer []byte // what was read and is not used yet
	store  []byte // of which buffer is a part
	offset int64  // in the log, of the end of buffer
	read   int    // how much is read next
	next   int64  // line, with which buffer begins; 0: none
}

// seek goes to the first line of a block, unless it is the next one already.
func (s *lineScanner) seek(b Block) {
	if s.next == b.Line {
		return
	}
	s.next = b.Line
	if ahead := b.Offset - s.at(); s.read > 0 && ahead >= 0 && ahead <= int64(len(s.buffer)) {
		s.buffer = s.buffer[ahead:]
		return
	}
	s.buffer, s.offset, s.read = nil, b.Offset, firstRead
}

// at is the offset of the next line.
func (s *lineScanner) at() int64 { return s.offset - int64(len(s.buffer)) }

// scan returns the next line without its newline; it is valid until the next call.
func (s *lineScanner) scan() ([]byte, error) {
	for seen := 0; ; {
		if end := bytes.IndexByte(s.buffer[seen:], '\n'); end >= 0 {
			line := s.buffer[:seen+end]
			s.buffer = s.buffer[seen+end+1:]
			s.next++
			return line, nil
		}
		seen = len(s.buffer)
		if s.offset < s.view.Index.Size {
			if err := s.fill(); err != nil {
				return nil, err
			}
			continue
		}
		if seen == 0 || s.next != s.view.Index.Lines { // the last one may lack its newline
			return nil, fmt.Errorf("line %d: %w", s.next, io.ErrUnexpectedEOF)
		}
		line := s.buffer
		s.buffer = nil
		s.next++
		return line, nil
	}
}

// pass passes over whole lines, those of a block that stops at an offset, as long as none of them may match.
func (s *lineScanner) pass(m *matcher, stop int64) error {
	for {
		start := s.at()
		if start >= stop {
			return nil
		}
		lines := s.buffer[:min(int64(len(s.buffer)), stop-start, passBytes)]
		if int64(len(lines)) < min(stop-start, passBytes) {
			if err := s.fill(); err != nil {
				return err
			}
			continue
		}
		end := bytes.LastIndexByte(lines, '\n') + 1
		if end == 0 || m.mayBeIn(lines[:end]) {
			return nil
		}
		s.next += int64(bytes.Count(lines[:end], []byte{'\n'}))
		s.buffer = s.buffer[end:]
	}
}

// fill reads more behind what is there.
func (s *lineScanner) fill() error {
	more := int(min(int64(s.read), s.view.Index.Size-s.offset))
	have := len(s.buffer)
	if cap(s.store) < have+more {
		s.store = make([]byte, have+more, 2*have+more)
	}
	copy(s.store[:have+more], s.buffer)
	s.buffer = s.store[: have+more : cap(s.store)]
	n, err := s.view.Bytes.ReadAt(s.buffer[have:], s.offset)
	if n < more {
		if err == nil || err == io.EOF {
			err = io.ErrUnexpectedEOF
		}
		s.buffer = s.buffer[:have]
		return err
	}
	s.offset += int64(more)
	s.read = min(2*s.read, longestRead)
	return nil
}
