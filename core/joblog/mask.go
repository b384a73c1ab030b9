package joblog

import (
	"bytes"
	"encoding/binary"
	"slices"
	"sort"
)

// Mark stands where a secret was.
const Mark = "••••••"

// minSecret is the length in bytes below which a value is too common to be hidden.
const minSecret = 4

// Masker replaces secrets by [Mark]: the values themselves and the forms in which programs print them. It never changes
// and may be shared. A nil Masker masks nothing.
//
// Where secrets overlap, all of them are covered and one mark stands for them together.
type Masker struct {
	patterns [][]byte // sorted, unique, each at least minSecret long
	heads    map[uint32]span
	filter   [1 << 10]uint64 // a bit for every hash of a pattern's head: nearly every position is dismissed here
}

// span is the range of patterns that start with the same minSecret bytes.
type span struct{ from, to int }

// NewMasker returns a Masker for the values. Values shorter than four bytes, without blanks around them, are not masked.
func NewMasker(values []string) *Masker {
	m := &Masker{heads: map[uint32]span{}}
	for _, value := range values {
		for _, form := range forms(value) {
			if len(form) >= minSecret {
				m.patterns = append(m.patterns, []byte(form))
			}
		}
	}
	slices.SortFunc(m.patterns, bytes.Compare)
	m.patterns = slices.CompactFunc(m.patterns, bytes.Equal)
	for i, pattern := range m.patterns {
		head := binary.LittleEndian.Uint32(pattern)
		s, found := m.heads[head]
		if !found {
			s.from = i
		}
		s.to = i + 1
		m.heads[head] = s
		h := hash(head)
		m.filter[h>>6] |= 1 << (h & 63)
	}
	return m
}

func hash(head uint32) uint32 { return head * 0x9E3779B1 >> 16 }

// Empty tells that there is nothing to mask.
func (m *Masker) Empty() bool { return m == nil || len(m.patterns) == 0 }

// String masks a whole text.
func (m *Masker) String(text string) string {
	if m.Empty() {
		return text
	}
	s := maskStream{masker: m}
	return string(s.append(nil, []byte(text), true))
}

// candidate tells whether a pattern may start with head.
func (m *Masker) candidate(head uint32) bool {
	h := hash(head)
	return m.filter[h>>6]>>(h&63)&1 != 0
}

// at tells what stands at the start of data: the length of the longest pattern, and whether data ends inside of one.
func (m *Masker) at(data []byte) (length int, open bool) {
	if len(data) < minSecret {
		i := sort.Search(len(m.patterns), func(i int) bool { return bytes.Compare(m.patterns[i], data) >= 0 })
		return 0, i < len(m.patterns) && bytes.HasPrefix(m.patterns[i], data)
	}
	s := m.heads[binary.LittleEndian.Uint32(data)]
	for _, pattern := range m.patterns[s.from:s.to] {
		switch {
		case len(pattern) <= len(data):
			if bytes.HasPrefix(data, pattern) {
				length = max(length, len(pattern))
			}
		case bytes.HasPrefix(pattern, data):
			open = true
		}
	}
	return length, open
}

// maskStream masks a stream. What may be the start of a secret is held back until more has come, so the result does not
// depend on how the stream is cut.
type maskStream struct {
	masker  *Masker
	held    []byte
	covered int // bytes at the start of held for which a mark was written
	joined  []byte
}

// holdsLine tells whether the end of a line is held back.
func (s *maskStream) holdsLine() bool { return bytes.IndexByte(s.held, '\n') >= 0 }

// append masks chunk and appends what is decided to dst; with final everything is.
func (s *maskStream) append(dst, chunk []byte, final bool) []byte {
	if s.masker.Empty() {
		return append(dst, chunk...)
	}
	data := chunk
	if len(s.held) > 0 {
		s.joined = append(append(s.joined[:0], s.held...), chunk...)
		data = s.joined
	}
	end := s.covered // of the masked run; equal to done while inside or right behind it
	done := end      // everything before is in dst
	i := 0
	for ; i < len(data); i++ {
		if i+minSecret <= len(data) && !s.masker.candidate(binary.LittleEndian.Uint32(data[i:])) {
			continue
		}
		length, open := s.masker.at(data[i:])
		if open && !final {
			break
		}
		if i+length <= end || length == 0 {
			continue
		}
		if i >= end {
			dst = append(append(dst, data[done:i]...), Mark...)
		}
		end = i + length
		done = end
	}
	if i > done {
		dst = append(dst, data[done:i]...)
	}
	s.covered = max(end-i, 0)
	s.held = append(s.held[:0], data[i:]...)
	return dst
}
