package joblog

import (
	"context"
	"errors"
	"io"
)

// View is a log as it is at one moment, wherever it is kept: what is added later is not in it. It is for one reader.
type View struct {
	Index Index
	Bytes io.ReaderAt  // at least Index.Size of them; nil if that is 0
	End   func() error // lets go of what Bytes needs; nil: nothing

	// Version is another one if a segment is not what it was before, with more lines.
	Version uint64
	Starts  []Start // of its parts, if these may move; see Follow
}

// Start is where a part of a view begins.
type Start struct {
	Line    int64
	Offset  int64
	Version uint64 // of the part
}

// Close has to be called when the view is not read from any more.
func (v *View) Close() error {
	if v.End == nil {
		return nil
	}
	return v.End()
}

// Read returns the lines that q selects. Memory is bounded by Query.Limit and Query.Bytes.
func (v *View) Read(ctx context.Context, q Query) (Page, error) {
	var logs writeBuffer
	page, err := v.Copy(ctx, &logs, q)
	page.Logs = logs
	return page, err
}

// writeBuffer is what was written to it.
type writeBuffer []byte

func (b *writeBuffer) Write(p []byte) (int, error) {
	*b = append(*b, p...)
	return len(p), nil
}

// Join returns the views, one after another, as one, which owns them.
func Join(views ...*View) *View {
	if len(views) == 1 {
		return views[0]
	}
	indexes := make([]Index, len(views))
	for i, v := range views {
		indexes[i] = v.Index
	}
	return &View{Index: Concat(indexes...), Bytes: joined(views), End: func() (err error) {
		for _, v := range views {
			err = errors.Join(err, v.Close())
		}
		return err
	}}
}

// joined reads views one after another.
type joined []*View

// ReadAt implements [io.ReaderAt].
func (j joined) ReadAt(p []byte, at int64) (n int, err error) {
	for _, v := range j {
		if at >= v.Index.Size {
			at -= v.Index.Size
			continue
		}
		part := p[n:min(int64(len(p)), int64(n)+v.Index.Size-at)]
		read, err := v.Bytes.ReadAt(part, at)
		n += read
		if read < len(part) {
			return n, err
		}
		if n == len(p) {
			return n, nil
		}
		at = 0
	}
	return n, io.EOF
}
