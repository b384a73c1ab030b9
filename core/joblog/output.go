package joblog

import (
	"bytes"
	"encoding/json"
)

// MaxOutput is the greatest size of a step's output in bytes of JSON.
const MaxOutput = 1 << 20

const outputPrefix = "OUTPUT:"

// outputParser finds the lines of a stream that start with OUTPUT: and hold JSON. The last one wins; text that is not
// JSON is ignored, but a line beyond MaxOutput is an error, because it cannot be told what it holds.
type outputParser struct {
	line    []byte // the start of the current line, as far as it may still count
	skip    bool   // the current line does not count
	value   json.RawMessage
	tooLong bool
}

func (p *outputParser) feed(chunk []byte) {
	for len(chunk) > 0 {
		end := bytes.IndexByte(chunk, '\n')
		part := chunk
		if end >= 0 {
			part = chunk[:end]
		}
		p.take(part)
		if end < 0 {
			return
		}
		p.flush()
		chunk = chunk[end+1:]
	}
}

// take adds to the current line and stops as soon as it cannot count any more.
func (p *outputParser) take(part []byte) {
	if p.skip {
		return
	}
	n := min(max(len(outputPrefix)-len(p.line), 0), len(part))
	p.line = append(p.line, part[:n]...)
	if known := min(len(p.line), len(outputPrefix)); string(p.line[:known]) != outputPrefix[:known] {
		p.skip = true
		return
	}
	if len(p.line)+len(part)-n > len(outputPrefix)+MaxOutput+2 { // a blank and the \r of a line end
		p.skip, p.tooLong = true, true
		return
	}
	p.line = append(p.line, part[n:]...)
}

// flush ends the current line.
func (p *outputParser) flush() {
	if text, found := bytes.CutPrefix(p.line, []byte(outputPrefix)); found && !p.skip {
		text = bytes.TrimSpace(text)
		switch {
		case len(text) > MaxOutput:
			p.tooLong = true
		case json.Valid(text):
			p.value = bytes.Clone(text)
		}
	}
	p.line, p.skip = p.line[:0], false
}
