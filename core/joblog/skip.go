package joblog

import (
	"context"
	"fmt"
	"io"
)

// Skip returns the log behind its first n lines as one of its own, which owns v. After an error v is still the caller's.
func Skip(ctx context.Context, v *View, n int64) (*View, error) {
	index := &v.Index
	if n <= 0 {
		return v, nil
	}
	if n >= index.Lines {
		return &View{End: v.End}, nil
	}
	at := index.find(n + 1)
	offset, err := v.lineOffset(ctx, at, n+1)
	if err != nil {
		return nil, fmt.Errorf("read log: %w", err)
	}
	rest := Index{Lines: index.Lines - n, Size: index.Size - offset, Steps: index.Steps}
	for i := at; i < index.Blocks(); i++ {
		b := index.Block(i)
		if rest.last.Line > 0 {
			rest.blocks = append(rest.blocks, rest.last)
		}
		rest.last = Block{Line: max(b.Line-n, 1), Offset: max(b.Offset-offset, 0), Steps: b.Steps, Earliest: b.Earliest, Latest: b.Latest}
	}
	return &View{Index: rest, Bytes: io.NewSectionReader(v.Bytes, offset, rest.Size), End: v.End}, nil
}

// lineOffset returns where a line of a block begins.
func (v *View) lineOffset(ctx context.Context, block int, line int64) (int64, error) {
	b := v.Index.Block(block)
	lines := lineScanner{view: v}
	lines.seek(b)
	offset := b.Offset
	for number := b.Line; number < line; number++ {
		if err := ctx.Err(); err != nil {
			return 0, err
		}
		text, err := lines.scan()
		if err != nil {
			return 0, err
		}
		offset += int64(len(text)) + 1
	}
	return offset, nil
}
