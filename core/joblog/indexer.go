package joblog

import (
	"bytes"
	"slices"
	"strings"
)

// indexer makes the index of a log, line by line.
type indexer struct {
	index  Index
	ids    map[string]int32 // by header: the place of its step
	header string           // of the line before
	open   []int32          // steps of the last block
	mixed  bool             // the last block may hold lines of steps that are not in open
	hazy   bool             // the time of a line of the last block is not known
	stamp  string           // time of the line before, if that is in the last block: many have the same
}

// resumed is an indexer that goes on behind an index.
func resumed(index Index) indexer {
	x := indexer{index: index, open: slices.Clone(index.last.Steps), mixed: index.last.Steps == nil, hazy: !index.last.timed()}
	x.index.last.Steps = nil // until the block ends
	return x
}

// whole is the index with the steps of its last block.
func (x *indexer) whole() Index {
	index := x.index
	if index.Lines > 0 && !x.mixed {
		index.last.Steps = slices.Clone(x.open)
	}
	return index
}

// add adds a line, given as it is or as far as its time. Its header is empty if its step is not known.
func (x *indexer) add(header, line []byte, size int64) {
	last := &x.index.last
	if x.index.Lines == 0 || x.index.Lines+1-last.Line >= blockLines || x.index.Size+size-last.Offset > blockBytes {
		x.begin()
	}
	x.index.Lines++
	x.index.Size += size
	x.time(header, line)
	if len(header) == 0 {
		x.mixed = true
	}
	if x.mixed || len(x.open) > 0 && string(header) == x.header {
		return
	}
	x.header = string(header)
	id := x.id(x.header)
	if slices.Contains(x.open, id) {
		return
	}
	if x.open = append(x.open, id); len(x.open) > blockSteps {
		x.mixed = true
	}
}

// begin ends the last block and begins another one.
func (x *indexer) begin() {
	if x.index.Lines > 0 {
		if !x.mixed {
			x.index.last.Steps = slices.Clone(x.open)
		}
		x.index.blocks = append(x.index.blocks, x.index.last)
	}
	x.index.last = Block{Line: x.index.Lines + 1, Offset: x.index.Size}
	x.open, x.mixed, x.hazy, x.stamp = x.open[:0], false, false, ""
}

// time adds the time of a line to the last block.
func (x *indexer) time(header, line []byte) {
	if x.hazy {
		return
	}
	last := &x.index.last
	at, ok := int64(0), false
	if len(header) > 0 {
		var ts []byte
		if ts, ok = timeOf(line[len(header):]); ok && string(ts) == x.stamp {
			return
		}
		x.stamp = string(ts)
		if ok {
			at, ok = moment(ts)
		}
	}
	switch {
	case !ok || at == 0:
		x.hazy = true
		last.Earliest, last.Latest = 0, 0
	case !last.timed():
		last.Earliest, last.Latest = at, at
	default:
		last.Earliest, last.Latest = min(last.Earliest, at), max(last.Latest, at)
	}
}

// timeOf finds the time in a line of which the header is left out.
func timeOf(line []byte) (ts []byte, ok bool) {
	start := len(streamKey) + len(Stdout) + len(tsKey)
	if len(line) < start || string(line[start-len(tsKey):start]) != tsKey {
		return nil, false
	}
	line = line[start:]
	end := bytes.IndexByte(line[:min(len(line), maxTime+1)], '"')
	if end <= 0 {
		return nil, false
	}
	return line[:end], true
}

// id returns the place of the step of a header.
func (x *indexer) id(header string) int32 {
	id, ok := x.ids[header]
	if ok {
		return id
	}
	name := stepOf(header)
	if id = x.index.step(name); id < 0 {
		id = int32(len(x.index.Steps)) //nolint:gosec // as many as the job has steps
		x.index.Steps = append(x.index.Steps, name)
	}
	if x.ids == nil {
		x.ids = map[string]int32{}
	}
	x.ids[header] = id
	return id
}

// stepOf returns the name of the step in a header.
func stepOf(header string) string {
	name, _, _ := strings.Cut(strings.TrimPrefix(header, stepKey), `",`)
	return decodeString([]byte(name))
}
