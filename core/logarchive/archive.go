package logarchive

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/stroem/stroem/core/joblog"
	"github.com/stroem/stroem/pluginapi"
)

const (
	// memberCache and indexCache are how much is kept in memory of what was read: bytes of lines, and of indexes roughly.
	memberCache = 64 << 20
	indexCache  = 16 << 20
)

// Archive is the logs in a log store. All methods may be called concurrently.
type Archive struct {
	store   pluginapi.LogStore
	life    context.Context //nolint:containedctx // ends what is read at Close, whoever began it
	end     context.CancelFunc
	indexes *cache[string, *Index]
	members *cache[memberKey, []byte]
	copies  copies
	size    int64 // of the lines in a member, at most

	patience, takingPatience time.Duration
}

// memberKey names lines by where they are: a log only grows, so that they are the same in all objects of its key.
type memberKey struct {
	key        string
	start, end int64
}

// New returns the archive that a log store is. Objects without an index are put into dir to be read, which is this process's own.
// The caller closes the archive.
func New(store pluginapi.LogStore, dir string) (*Archive, error) {
	if err := os.RemoveAll(dir); err != nil {
		return nil, fmt.Errorf("empty the directory for archived logs: %w", err)
	}
	a := &Archive{store: store, size: memberSize, patience: patience, takingPatience: takingPatience, indexes: newCache[string, *Index](indexCache), members: newCache[memberKey, []byte](memberCache)}
	a.life, a.end = context.WithCancel(context.Background())
	a.copies.dir = dir
	return a, nil
}

// Close ends all reading.
func (a *Archive) Close() error {
	a.end()
	return a.copies.close()
}

// Put stores a log, and returns how many lines of it are stored then. What is stored of it already stays; if that is more than v
// has, nothing else happens. Two calls must not be for the same key at a time.
func (a *Archive) Put(ctx context.Context, key string, v *joblog.View) (Stored, error) {
	old, err := a.fetchIndex(ctx, key)
	switch {
	case err == nil:
		return a.extend(ctx, key, old, v)
	case errors.Is(err, errNoObject) || errors.Is(err, errBroken):
		return a.replace(ctx, key, v)
	default:
		return Stored{}, err
	}
}

// Stored is what [Archive.Put] has done.
type Stored struct {
	Lines int64 // that the archive has of the log
	Bytes int64 // that were sent
}

// extend adds to an object what it lacks of a log.
func (a *Archive) extend(ctx context.Context, key string, old *Index, v *joblog.View) (Stored, error) {
	info, err := a.store.Stat(ctx, &pluginapi.StatRequest{Key: key})
	if err != nil && !absent(err) {
		return Stored{}, fmt.Errorf("look at the archived log: %w", err)
	}
	if absent(err) || info.Size < old.Size {
		return a.write(ctx, key, v, nil)
	}
	if old.Log.Lines >= v.Index.Lines {
		return Stored{Lines: old.Log.Lines}, nil
	}
	return a.write(ctx, key, v, old)
}

// replace stores a log in place of an object without a usable index: what a crash has left before the index was stored, or what
// another program has made.
func (a *Archive) replace(ctx context.Context, key string, v *joblog.View) (Stored, error) {
	there, err := a.copies.view(ctx, a, key)
	switch {
	case errors.Is(err, errNoObject) || errors.Is(err, errBroken):
		return a.write(ctx, key, v, nil)
	case err != nil:
		return Stored{}, err
	}
	lines := there.Index.Lines
	if err := there.Close(); err != nil {
		return Stored{}, err
	}
	if lines > v.Index.Lines {
		return Stored{Lines: lines}, nil
	}
	stored, err := a.write(ctx, key, v, nil)
	if err == nil {
		a.copies.forget(ctx, key)
	}
	return stored, err
}

// write stores a log whose beginning is in the object that old is the index of, if there is one.
func (a *Archive) write(ctx context.Context, key string, v *joblog.View, old *Index) (Stored, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil) // ends the reading of the old object
	rest, before := v, io.Reader(bytes.NewReader(nil))
	if old != nil && old.Size > 0 {
		var err error
		later := &joblog.View{Index: v.Index, Bytes: v.Bytes} // the caller's, who closes it
		if rest, err = joblog.Skip(ctx, later, old.Log.Lines); err != nil {
			return Stored{}, err
		}
		reader, err := a.get(ctx, key, 0, old.Size)
		if err != nil {
			return Stored{}, err
		}
		defer func() { _ = reader.Close() }() // only read from
		before = &exactly{r: reader, left: old.Size}
	}
	pack := newPacker(ctx, rest, a.size)
	content := &taken{io.MultiReader(before, pack), time.AfterFunc(a.takingPatience, func() { cancel(errTaking) }), a.takingPatience}
	defer content.watch.Stop()
	if err := a.store.Put(ctx, &pluginapi.PutRequest{Key: key, Size: -1, ContentType: "application/gzip"}, content); err != nil {
		return Stored{}, fmt.Errorf("store the log: %w", because(ctx, err))
	}
	content.watch.Stop()
	index := &pack.index
	if old != nil {
		index = old.extend(index)
	}
	document, err := index.Encode()
	if err != nil {
		return Stored{}, err
	}
	put := &pluginapi.PutRequest{Key: key + suffix, Size: int64(len(document)), ContentType: "application/gzip"}
	if err := a.store.Put(ctx, put, bytes.NewReader(document)); err != nil {
		return Stored{}, fmt.Errorf("store the index of the log: %w", err)
	}
	a.indexes.put(key, index, index.cost())
	return Stored{Lines: index.Log.Lines, Bytes: index.Size + int64(len(document))}, nil
}

// View returns an archived log, with at least so many lines; they are read when they are asked for. ok is false if there is none.
// Errors, those of reading too, are of [core.CodeUnavailable] if the log cannot be read now.
func (a *Archive) View(ctx context.Context, key string, lines int64) (v *joblog.View, ok bool, err error) {
	index, known := a.indexes.get(key)
	if !known || index.Log.Lines < lines {
		index, err = a.fetchIndex(ctx, key)
	}
	if errors.Is(err, errNoObject) || errors.Is(err, errBroken) {
		v, err = a.copies.view(ctx, a, key)
		if errors.Is(err, errNoObject) && lines == 0 {
			return nil, false, nil
		}
	} else if err == nil {
		v = a.view(key, index)
	}
	if err == nil && v.Index.Lines < lines {
		err = errors.Join(fmt.Errorf("%w: it has %d lines of %d", errBroken, v.Index.Lines, lines), v.Close())
	}
	if err != nil {
		return nil, false, unreadable(key, err)
	}
	return v, true, nil
}

// view reads an object through its index.
func (a *Archive) view(key string, index *Index) *joblog.View {
	r := &reader{archive: a, key: key, index: index, last: -1}
	r.ctx, r.cancel = context.WithCancel(a.life)
	return &joblog.View{Index: index.Log, Bytes: r, End: r.close}
}

// fetchIndex reads the index of an object, and keeps it.
func (a *Archive) fetchIndex(ctx context.Context, key string) (*Index, error) {
	r, err := a.get(ctx, key+suffix, 0, 0)
	if err != nil {
		return nil, err
	}
	defer func() { _ = r.Close() }() // only read from
	failed := &failure{r: r}
	index, err := Decode(failed)
	switch {
	case failed.err != nil:
		return nil, failed.err
	case err != nil:
		return nil, fmt.Errorf("%w: %w", errBroken, err)
	}
	a.indexes.put(key, index, index.cost())
	return index, nil
}

// cost is roughly how much memory an index takes.
func (x *Index) cost() int64 {
	return int64(64*x.Log.Blocks() + 32*len(x.Members) + 64*len(x.Log.Steps))
}
