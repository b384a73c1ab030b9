package joblog

import "io"

// Repeat is a view of so many lines that are all the same, of a step.
func Repeat(step string, line []byte, lines int64) *View {
	x := Index{Lines: lines, Size: lines * int64(len(line)), Steps: []string{step}}
	for n := int64(0); n < lines; n += blockLines {
		if n > 0 {
			x.blocks = append(x.blocks, x.last)
		}
		x.last = Block{Line: n + 1, Offset: n * int64(len(line)), Steps: []int32{0}}
	}
	return &View{Index: x, Bytes: repeated{line, x.Size}}
}

type repeated struct {
	line []byte
	size int64
}

// ReadAt implements [io.ReaderAt].
func (r repeated) ReadAt(p []byte, at int64) (n int, err error) {
	for n < len(p) {
		if at >= r.size {
			return n, io.EOF
		}
		part := r.line[at%int64(len(r.line)):]
		part = part[:min(int64(len(part)), r.size-at)]
		copied := copy(p[n:], part)
		n, at = n+copied, at+int64(copied)
	}
	return n, nil
}
