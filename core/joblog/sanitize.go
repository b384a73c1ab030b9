package joblog

import (
	"bytes"
	"unicode/utf8"
)

// sanitizer makes a stream valid UTF-8 without NUL: every byte that fits nowhere becomes U+FFFD. The result does not
// depend on how the stream is cut.
type sanitizer struct {
	partial []byte // the start of a character whose rest has not come yet
	joined  []byte
	out     []byte
}

// clean returns what is complete. The result is valid until the next call.
func (s *sanitizer) clean(chunk []byte) []byte {
	if len(s.partial) > 0 {
		s.joined = append(append(s.joined[:0], s.partial...), chunk...)
		chunk = s.joined
	}
	complete := len(chunk) - incomplete(chunk)
	s.partial = append(s.partial[:0], chunk[complete:]...)
	return s.replace(chunk[:complete])
}

// flush returns what is left at the end of the stream.
func (s *sanitizer) flush() []byte {
	rest := s.replace(s.partial)
	s.partial = nil
	return rest
}

func (s *sanitizer) replace(chunk []byte) []byte {
	if utf8.Valid(chunk) && bytes.IndexByte(chunk, 0) < 0 {
		return chunk
	}
	s.out = s.out[:0]
	for len(chunk) > 0 {
		r, size := utf8.DecodeRune(chunk)
		switch {
		case r == utf8.RuneError && size == 1:
			s.out = utf8.AppendRune(s.out, utf8.RuneError)
		case r != 0:
			s.out = append(s.out, chunk[:size]...)
		}
		chunk = chunk[size:]
	}
	return s.out
}

// incomplete is the number of bytes at the end that may be the start of a character.
func incomplete(chunk []byte) int {
	for n := 1; n < utf8.UTFMax && n <= len(chunk); n++ {
		if tail := chunk[len(chunk)-n:]; utf8.RuneStart(tail[0]) {
			if !utf8.FullRune(tail) {
				return n
			}
			break
		}
	}
	return 0
}
