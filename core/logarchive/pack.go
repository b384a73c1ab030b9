package logarchive

import (
	"bytes"
	"context"
	"fmt"
	"io"

	"github.com/klauspost/compress/gzip"

	"github.com/stroem/stroem/core/joblog"
)

// packer is a log as the bytes of an object, made as they are read. It has one member in memory. Its index is complete at the end.
type packer struct {
	ctx    context.Context //nolint:containedctx // lives for one call
	view   *joblog.View
	size   int64 // of the lines in a member, at most
	blocks int   // that were read
	at     int64
	index  Index
	ready  bytes.Buffer // what was not read yet
	zipper *gzip.Writer
}

func newPacker(ctx context.Context, v *joblog.View, size int64) *packer {
	return &packer{ctx: ctx, view: v, size: size, index: Index{Log: v.Index}, zipper: gzip.NewWriter(nil)}
}

// Read implements [io.Reader].
func (p *packer) Read(b []byte) (int, error) {
	if p.ready.Len() == 0 {
		if p.at == p.view.Index.Size {
			return 0, io.EOF
		}
		if err := p.member(); err != nil {
			return 0, err
		}
	}
	return p.ready.Read(b)
}

// member makes the next one: as many blocks as fit, or a part of one that does not.
func (p *packer) member() error {
	if err := p.ctx.Err(); err != nil {
		return err
	}
	end := p.at
	for log := &p.view.Index; p.blocks < log.Blocks(); p.blocks++ {
		next := log.Size
		if p.blocks+1 < log.Blocks() {
			next = log.Block(p.blocks + 1).Offset
		}
		if next-p.at > p.size {
			break
		}
		end = next
	}
	if end == p.at {
		end += p.size // of a line that is longer
	}
	p.ready.Reset()
	p.zipper.Reset(&p.ready)
	if _, err := io.Copy(p.zipper, io.NewSectionReader(p.view.Bytes, p.at, end-p.at)); err != nil {
		return fmt.Errorf("read the log: %w", err)
	}
	if end == p.view.Index.Size {
		if err := p.finish(); err != nil {
			return err
		}
	}
	if err := p.zipper.Close(); err != nil {
		return fmt.Errorf("compress the log: %w", err)
	}
	p.index.Members = append(p.index.Members, Member{Offset: p.index.Size, Start: p.at})
	p.index.Size += int64(p.ready.Len())
	p.at = end
	return nil
}

// finish ends a last line that lacks its newline, so that others can follow.
func (p *packer) finish() error {
	var last [1]byte
	if n, err := p.view.Bytes.ReadAt(last[:], p.view.Index.Size-1); n == 0 {
		return fmt.Errorf("read the log: %w", err)
	}
	if last[0] == '\n' {
		return nil
	}
	p.index.Log.Size++
	_, err := p.zipper.Write([]byte{'\n'})
	return err
}
