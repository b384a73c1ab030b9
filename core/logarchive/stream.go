package logarchive

import (
	"context"
	"io"
	"runtime"
	"sync"
)

// window is how many members are asked for at once when they are read one after another.
const window = 32

// stream reads members one after another, with one call, and unpacks some of them ahead of who takes them.
type stream struct {
	next, end int // members: the next to take, the first that is not read
	parts     chan chan part
	cancel    context.CancelFunc
	group     sync.WaitGroup
}

// part is a member, or why it could not be read.
type part struct {
	content []byte
	err     error
}

// stream begins to read from a member on.
func (r *reader) stream(from int) *stream {
	ctx, cancel := context.WithCancel(r.ctx)
	s := &stream{
		next: from, end: min(from+window, len(r.index.Members)), cancel: cancel,
		parts: make(chan chan part, min(runtime.GOMAXPROCS(0), 4)),
	}
	s.group.Go(func() {
		defer close(s.parts)
		if err := s.read(ctx, r, from); err != nil {
			failed := make(chan part, 1)
			failed <- part{err: err}
			s.put(ctx, failed)
		}
	})
	return s
}

func (s *stream) read(ctx context.Context, r *reader, from int) error {
	first, last := r.index.Members[from].Offset, r.index.end(s.end-1).Offset
	object, err := r.archive.get(ctx, r.key, first, last-first)
	if err != nil {
		return err
	}
	defer func() { _ = object.Close() }() // only read from
	content := &exactly{object, last - first}
	for i := from; i < s.end; i++ {
		m, end := r.index.Members[i], r.index.end(i)
		packed := make([]byte, end.Offset-m.Offset)
		if _, err := io.ReadFull(content, packed); err != nil {
			return err
		}
		one := make(chan part, 1)
		if !s.put(ctx, one) {
			return nil
		}
		s.group.Go(func() {
			content, err := unpack(packed, end.Start-m.Start)
			one <- part{content, err}
		})
	}
	return nil
}

// put hands on a member that will be there; it waits until there is room.
func (s *stream) put(ctx context.Context, one chan part) bool {
	select {
	case s.parts <- one:
		return true
	case <-ctx.Done():
		return false
	}
}

// take returns the next member.
func (s *stream) take() ([]byte, error) {
	one, ok := <-s.parts
	if !ok {
		return nil, context.Canceled
	}
	got := <-one
	s.next++
	return got.content, got.err
}

// close ends the reading and waits for it.
func (s *stream) close() {
	s.cancel()
	s.group.Wait()
}
