package logarchive

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"

	"github.com/google/uuid"
	"github.com/klauspost/compress/gzip"

	"github.com/stroem/stroem/core/joblog"
)

// maxCopies is how many bytes of lines the copies of objects without an index may have together, and each of them.
const maxCopies = 4 << 30

// copies are the lines of objects without an index, as files: such an object can only be read from its beginning.
type copies struct {
	dir string

	mu     sync.Mutex
	closed bool
	store  *joblog.Store // of the files; nil until there is one
	there  []*fileCopy   // most recently used last
}

// fileCopy is the lines of one object.
type fileCopy struct {
	key   string
	id    uuid.UUID     // of its file
	ready chan struct{} // closed when the rest is set
	size  int64
	err   error
}

var (
	errTooLarge = fmt.Errorf("a log without an index can be read up to %d GiB", int64(maxCopies>>30))
	errEnded    = errors.New("the archive is closed")
)

// view returns the log in an object, which is read as a whole unless that was done lately. Who asks for the same at a time waits.
func (c *copies) view(ctx context.Context, a *Archive, key string) (*joblog.View, error) {
	one, ours, err := c.find(key)
	if err != nil {
		return nil, err
	}
	if ours {
		one.size, one.err = c.fetch(a, one)
		c.fetched(ctx, one)
	}
	select {
	case <-one.ready:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	if one.err != nil {
		return nil, one.err
	}
	return c.store.View(ctx, one.id)
}

// find returns the copy of an object; ours: the caller has to make it.
func (c *copies) find(key string) (one *fileCopy, ours bool, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return nil, false, errEnded
	}
	for i, one := range c.there {
		if one.key == key {
			c.there = append(append(c.there[:i:i], c.there[i+1:]...), one)
			return one, false, nil
		}
	}
	if c.store == nil {
		if c.store, err = joblog.Open(c.dir, nil); err != nil {
			return nil, false, err
		}
	}
	one = &fileCopy{key: key, id: uuid.New(), ready: make(chan struct{})}
	c.there = append(c.there, one)
	return one, true, nil
}

// fetched notes that a copy has been made or not, and removes those for which there is no room any more. Who reads them goes on.
func (c *copies) fetched(ctx context.Context, one *fileCopy) {
	c.mu.Lock()
	defer c.mu.Unlock()
	close(one.ready)
	if one.err != nil {
		c.remove(ctx, one.key)
	}
	used := int64(0)
	for _, other := range c.there {
		used += other.done()
	}
	for i := 0; i < len(c.there) && used > maxCopies; {
		if size := c.there[i].done(); size > 0 && c.there[i] != one {
			used -= size
			c.remove(ctx, c.there[i].key)
			continue
		}
		i++
	}
}

// done is the size of a copy that has been made, else 0.
func (f *fileCopy) done() int64 {
	select {
	case <-f.ready:
		return f.size
	default:
		return 0
	}
}

// forget removes the copy of an object.
func (c *copies) forget(ctx context.Context, key string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.remove(ctx, key)
}

// remove forgets a copy; c.mu is held.
func (c *copies) remove(ctx context.Context, key string) {
	for i, one := range c.there {
		if one.key == key {
			_ = c.store.Remove(ctx, one.id) // what stays goes at the next start
			c.there = append(c.there[:i:i], c.there[i+1:]...)
			return
		}
	}
}

// fetch writes the lines of an object to the file of its copy.
func (c *copies) fetch(a *Archive, one *fileCopy) (size int64, err error) {
	object, err := a.get(a.life, one.key, 0, 0)
	if err != nil {
		return 0, err
	}
	defer func() { _ = object.Close() }() // only read from
	file, err := os.OpenFile(filepath.Join(c.dir, one.id.String()+".jsonl"), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return 0, fmt.Errorf("make a copy of an archived log: %w", err)
	}
	defer func() {
		if err = errors.Join(err, file.Close()); err != nil {
			_ = os.Remove(file.Name())
		}
	}()
	failed := &failure{r: object}
	z, err := gzip.NewReader(bufio.NewReaderSize(failed, 256<<10))
	if err == nil {
		size, err = copyLines(file, io.LimitReader(z, maxCopies+1))
	}
	switch {
	case failed.err != nil:
		return 0, failed.err
	case errors.Is(err, gzip.ErrHeader) || errors.Is(err, gzip.ErrChecksum) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF):
		return 0, fmt.Errorf("%w: %w", errBroken, err)
	case err != nil:
		return 0, fmt.Errorf("make a copy of an archived log: %w", err)
	case size > maxCopies:
		return 0, errTooLarge
	}
	return size, nil
}

// copyLines copies r, and ends a last line that lacks its newline.
func copyLines(w io.Writer, r io.Reader) (size int64, err error) {
	buf := make([]byte, 256<<10)
	last := byte('\n')
	for {
		n, err := r.Read(buf)
		if part := buf[:n]; n > 0 {
			if _, err := w.Write(part); err != nil {
				return size, err
			}
			size += int64(n)
			last = part[len(part)-1]
		}
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return size, err
		}
	}
	if last != '\n' {
		_, err = w.Write([]byte{'\n'})
		size++
	}
	return size, err
}

// close removes all copies.
func (c *copies) close() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closed = true
	if c.store == nil {
		return nil
	}
	return errors.Join(c.store.Close(), os.RemoveAll(c.dir))
}
