package logarchive

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"sync"

	"github.com/klauspost/compress/gzip"
)

// reader is the lines of an object as bytes, for one who reads them in any order, fastest from front to back.
type reader struct {
	archive *Archive
	key     string
	index   *Index
	ctx     context.Context //nolint:containedctx // lives until close
	cancel  context.CancelFunc

	mu      sync.Mutex
	last    int     // the member that was read last
	content []byte  // of it
	ahead   *stream // of the members that follow; nil unless they were read one after another
}

// ReadAt implements [io.ReaderAt].
func (r *reader) ReadAt(p []byte, at int64) (n int, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for n < len(p) {
		if at >= r.index.Log.Size {
			return n, io.EOF
		}
		i := r.index.find(at)
		content, err := r.member(i)
		if err != nil {
			return n, unreadable(r.key, err)
		}
		copied := copy(p[n:], content[at-r.index.Members[i].Start:])
		n += copied
		at += int64(copied)
	}
	return n, nil
}

// member returns the bytes of a member.
func (r *reader) member(i int) ([]byte, error) {
	if i == r.last {
		return r.content, nil
	}
	content, err := r.find(i)
	if err != nil {
		return nil, err
	}
	r.last, r.content = i, content
	return content, nil
}

func (r *reader) find(i int) ([]byte, error) {
	key := r.memberKey(i)
	if r.ahead != nil && r.ahead.next != i {
		r.stop()
	}
	if r.ahead == nil {
		if content, ok := r.archive.members.get(key); ok {
			return content, nil
		}
		if i == r.last+1 && i > 0 {
			r.ahead = r.stream(i)
		}
	}
	if r.ahead == nil {
		return r.load(i)
	}
	content, err := r.ahead.take()
	if err != nil || r.ahead.next == r.ahead.end {
		r.stop()
	}
	if err != nil { // who reads slowly may find that the log store has given up
		return r.load(i)
	}
	r.archive.members.put(key, content, int64(len(content)))
	return content, nil
}

// load reads one member, unless it is in memory.
func (r *reader) load(i int) ([]byte, error) {
	return r.archive.members.load(r.memberKey(i), func() ([]byte, int64, error) {
		content, err := r.fetch(i)
		return content, int64(len(content)), err
	})
}

func (r *reader) memberKey(i int) memberKey {
	return memberKey{r.key, r.index.Members[i].Start, r.index.end(i).Start}
}

// fetch reads one member.
func (r *reader) fetch(i int) ([]byte, error) {
	m, end := r.index.Members[i], r.index.end(i)
	object, err := r.archive.get(r.ctx, r.key, m.Offset, end.Offset-m.Offset)
	if err != nil {
		return nil, err
	}
	defer func() { _ = object.Close() }() // only read from
	packed := make([]byte, end.Offset-m.Offset)
	if _, err := io.ReadFull(&exactly{object, end.Offset - m.Offset}, packed); err != nil {
		return nil, err
	}
	return unpack(packed, end.Start-m.Start)
}

// unpack returns the content of a member, which has to have the size.
func unpack(packed []byte, size int64) ([]byte, error) {
	z, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errBroken, err)
	}
	content := make([]byte, size)
	if _, err := io.ReadFull(z, content); err != nil {
		return nil, fmt.Errorf("%w: %w", errBroken, err)
	}
	if n, err := z.Read(make([]byte, 1)); n > 0 || err != io.EOF { //nolint:errorlint // what follows is the checksum, or more than there should be
		return nil, fmt.Errorf("%w: a part of it has another size, or was changed", errBroken)
	}
	return content, nil
}

// stop ends the reading ahead.
func (r *reader) stop() {
	if r.ahead != nil {
		r.ahead.close()
		r.ahead = nil
	}
}

func (r *reader) close() error {
	r.cancel()
	r.mu.Lock()
	defer r.mu.Unlock()
	r.stop()
	r.content, r.last = nil, -1
	return nil
}
