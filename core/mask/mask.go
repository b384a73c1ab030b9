// Package mask hides secrets in what is stored and shown: a [Masker] knows the values and the forms in which programs
// print them, and replaces each by [Mark] in texts, in streams however they are cut, and in JSON documents.
package mask

import (
	"bytes"
	"encoding/binary"
	"math/bits"
	"slices"
	"sort"
)

// Mark stands where a secret was.
const Mark = "••••••"

// MinLength is the length in bytes below which a value is too common to be hidden.
const MinLength = 4

// Masker replaces secrets by [Mark]: the values themselves and the forms in which programs print them. It never changes
// and may be shared. A nil Masker masks nothing.
//
// Where secrets overlap, all of them are covered and one mark stands for them together.
type Masker struct {
	numbers  bool            // one of the values is the text of a number
	patterns [][]byte        // sorted, unique, each at least MinLength long
	heads    []span          // a hash table, a quarter full at most; see slot
	shift    uint            // makes a place in heads of a hash
	filter   [1 << 10]uint64 // a bit for every hash of a pattern's head: nearly every position is dismissed here
}

// span is the range of patterns that start with the same MinLength bytes.
type span struct {
	head     uint32
	from, to int // to is 0 where there is none
}

// New returns a Masker for the values. Values shorter than four bytes, without blanks around them, are not masked.
func New(values []string) *Masker {
	m := &Masker{}
	for _, value := range values {
		m.numbers = m.numbers || isNumber([]byte(value))
		for _, form := range forms(value) {
			if len(form) >= MinLength {
				m.patterns = append(m.patterns, []byte(form))
			}
		}
	}
	slices.SortFunc(m.patterns, bytes.Compare)
	m.patterns = slices.CompactFunc(m.patterns, bytes.Equal)
	width := bits.Len(uint(4 * len(m.patterns)))
	m.heads, m.shift = make([]span, 1<<width), uint(32-width)
	for i, pattern := range m.patterns {
		head := binary.LittleEndian.Uint32(pattern)
		s := m.slot(head)
		if s.to == 0 {
			s.head, s.from = head, i
		}
		s.to = i + 1
		h := hash(head) >> 16
		m.filter[h>>6] |= 1 << (h & 63)
	}
	return m
}

func hash(head uint32) uint32 { return head * 0x9E3779B1 }

// slot is where the patterns are that start with head, or would be. Nothing is ever removed, so whoever is not there stands
// behind it, without a gap. A map takes several times as long.
func (m *Masker) slot(head uint32) *span {
	for i := int(hash(head) >> m.shift); ; i++ {
		if s := &m.heads[i&(len(m.heads)-1)]; s.head == head || s.to == 0 {
			return s
		}
	}
}

// Empty tells that there is nothing to mask.
func (m *Masker) Empty() bool { return m == nil || len(m.patterns) == 0 }

// String masks a whole text.
func (m *Masker) String(text string) string {
	if m.Empty() {
		return text
	}
	return string(m.Append(nil, []byte(text)))
}

// Append masks a whole text and appends the result to dst.
func (m *Masker) Append(dst, text []byte) []byte {
	s := Stream{masker: m}
	return s.Append(dst, text, true)
}

// Found tells whether data holds anything that would be masked.
func (m *Masker) Found(data []byte) bool {
	if m.Empty() {
		return false
	}
	for i := 0; i+MinLength <= len(data); i++ {
		if m.candidate(binary.LittleEndian.Uint32(data[i:])) {
			if length, _ := m.at(data[i:]); length > 0 {
				return true
			}
		}
	}
	return false
}

// candidate tells whether a pattern may start with head.
func (m *Masker) candidate(head uint32) bool {
	h := hash(head) >> 16
	return m.filter[h>>6]>>(h&63)&1 != 0
}

// at tells what stands at the start of data: the length of the longest pattern, and whether data ends inside of one.
func (m *Masker) at(data []byte) (length int, open bool) {
	if len(data) < MinLength {
		i := sort.Search(len(m.patterns), func(i int) bool { return bytes.Compare(m.patterns[i], data) >= 0 })
		return 0, i < len(m.patterns) && bytes.HasPrefix(m.patterns[i], data)
	}
	s := m.slot(binary.LittleEndian.Uint32(data))
	for _, pattern := range m.patterns[s.from:s.to] {
		switch {
		case len(pattern) <= len(data):
			if last := len(pattern) - 1; data[last] == pattern[last] && bytes.HasPrefix(data, pattern) {
				length = max(length, len(pattern))
			}
		case bytes.HasPrefix(pattern, data):
			open = true
		}
	}
	return length, open
}

// Stream masks a stream. What may be the start of a secret is held back until more has come, so the result does not
// depend on how the stream is cut.
type Stream struct {
	masker  *Masker
	held    []byte
	covered int // bytes at the start of held for which a mark was written
	joined  []byte
}

// NewStream returns a stream that is masked by m.
func NewStream(m *Masker) Stream { return Stream{masker: m} }

// HoldsLine tells whether the end of a line is held back.
func (s *Stream) HoldsLine() bool { return bytes.IndexByte(s.held, '\n') >= 0 }

// Append masks chunk and appends what is decided to dst; with final everything is.
func (s *Stream) Append(dst, chunk []byte, final bool) []byte {
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
		if i+MinLength <= len(data) && !s.masker.candidate(binary.LittleEndian.Uint32(data[i:])) {
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
