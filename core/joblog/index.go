package joblog

import (
	"slices"
	"sort"
)

const (
	// blockLines and blockBytes are how long a block of the index is at most; one long line is a block too.
	blockLines = 1024
	blockBytes = 256 << 10
	// blockSteps is how many steps a block knows at most. One with more may hold lines of any.
	blockSteps = 64
)

// Index tells where the lines of a log are, block by block, so that a part of it is read without reading what is before. It is a
// value: a log that grows gets another one.
type Index struct {
	Lines int64
	Size  int64    // in bytes
	Steps []string // with lines in the log; blocks name them by their place here

	blocks []Block // but for the last one, which may grow
	last   Block
}

// Block is a run of lines: those up to the next block.
type Block struct {
	Line   int64   `json:"line"`            // number of the first
	Offset int64   `json:"offset"`          // of the first, in bytes
	Steps  []int32 `json:"steps,omitempty"` // that have lines in it; nil: it may hold lines of any

	// The times of its lines, in microseconds since 1970; both are 0 if that of any is not known.
	Earliest int64 `json:"earliest,omitempty"`
	Latest   int64 `json:"latest,omitempty"`
}

// timed tells whether the times of the lines are known.
func (b *Block) timed() bool { return b.Earliest != 0 || b.Latest != 0 }

// Blocks returns how many there are.
func (x *Index) Blocks() int {
	if x.Lines == 0 {
		return 0
	}
	return len(x.blocks) + 1
}

// Block returns the block at a place, from 0.
func (x *Index) Block(i int) Block {
	if i == len(x.blocks) {
		return x.last
	}
	return x.blocks[i]
}

// end returns the number behind the last line of a block.
func (x *Index) end(i int) int64 {
	if i+1 >= x.Blocks() {
		return x.Lines + 1
	}
	return x.Block(i + 1).Line
}

// stop returns the offset of the end of a block.
func (x *Index) stop(i int) int64 {
	if i+1 >= x.Blocks() {
		return x.Size
	}
	return x.Block(i + 1).Offset
}

// find returns the place of the block that holds a line.
func (x *Index) find(line int64) int {
	return sort.Search(x.Blocks(), func(i int) bool { return x.Block(i).Line > line }) - 1
}

// step returns the place of a step in Steps, or -1.
func (x *Index) step(name string) int32 { return int32(slices.Index(x.Steps, name)) } //nolint:gosec // a job has 10,000 at most

// Concat returns the index of logs that follow one another.
func Concat(parts ...Index) Index {
	var all indexer
	for _, part := range parts {
		ids := make([]int32, len(part.Steps))
		for i, name := range part.Steps {
			ids[i] = all.id(string(appendHeader(nil, name, 1)))
		}
		for i := range part.Blocks() {
			b := part.Block(i)
			if all.index.last.Line > 0 {
				all.index.blocks = append(all.index.blocks, all.index.last)
			}
			all.index.last = Block{
				Line: b.Line + all.index.Lines, Offset: b.Offset + all.index.Size, Earliest: b.Earliest, Latest: b.Latest,
			}
			for _, id := range b.Steps {
				all.index.last.Steps = append(all.index.last.Steps, ids[id])
			}
		}
		all.index.Lines += part.Lines
		all.index.Size += part.Size
	}
	return all.index
}
