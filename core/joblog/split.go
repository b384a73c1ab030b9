package joblog

import (
	"bytes"
	"unicode/utf8"
)

const (
	// MaxLine is the length in bytes at which a line is cut.
	MaxLine = 64 << 10
	// splitMark ends every part of a cut line but the last.
	splitMark = " [line too long: continues below]"
)

// splitter cuts a stream of valid UTF-8 into lines without their ends (\n or \r\n). The result does not depend on how
// the stream is cut into chunks.
type splitter struct{ partial []byte }

// feed calls emit for every complete line, and for every part of a long one with cut set. The line is valid during the
// call.
func (s *splitter) feed(chunk []byte, emit func(line []byte, cut bool)) {
	for {
		i := bytes.IndexByte(chunk, '\n')
		if i < 0 {
			break
		}
		line := chunk[:i]
		if len(s.partial) > 0 {
			s.partial = append(s.partial, line...)
			line = s.partial
		}
		line = cutLong(bytes.TrimSuffix(line, []byte("\r")), MaxLine, emit)
		emit(line, false)
		s.partial = s.partial[:0]
		chunk = chunk[i+1:]
	}
	s.partial = append(s.partial, chunk...)
	if len(s.partial) > MaxLine+1 { // one more, which may be the \r of a line end
		rest := cutLong(s.partial, MaxLine+1, emit)
		s.partial = append(s.partial[:0], rest...)
	}
}

// flush emits what is left at the end of the stream.
func (s *splitter) flush(emit func(line []byte, cut bool)) {
	if rest := cutLong(s.partial, MaxLine, emit); len(rest) > 0 {
		emit(rest, false)
	}
	s.partial = nil
}

// cutLong emits parts of at most MaxLine bytes, whole characters each, until no more than limit bytes are left.
func cutLong(line []byte, limit int, emit func(line []byte, cut bool)) []byte {
	for len(line) > limit {
		n := MaxLine
		for !utf8.RuneStart(line[n]) {
			n--
		}
		emit(line[:n], true)
		line = line[n:]
	}
	return line
}
