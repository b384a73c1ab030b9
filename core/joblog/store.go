package joblog

import (
	"container/list"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"sync"

	"github.com/google/uuid"

	"github.com/stroem/stroem/core/mask"
	"github.com/stroem/stroem/core/tally"
)

// ServerStep is the step of lines that the server itself writes; workers cannot.
const ServerStep = "_server"

// maxOpen is how many jobs a [Store] keeps open; each has a file and an index in memory.
const maxOpen = 256

// ErrClosed is returned when the store is closed.
var ErrClosed = errors.New("log store is closed")

// Store keeps the logs of jobs in a directory, one file for each [Segment]. All methods may be called concurrently; readers and
// waiters never hold up writers. One process owns the directory.
type Store struct {
	// Tally counts what is appended. To be set before the first append, or not at all.
	Tally *tally.Logs
	// Logger hears of what cannot be written. To be set likewise.
	Logger *slog.Logger
	// Grown is told each time that lines have come to the log of a job; nil: nobody is. To be set before the first append.
	Grown func(job uuid.UUID)

	root   *os.Root
	mask   MaskFunc
	closed chan struct{}

	mu     sync.Mutex
	open   map[Segment]*list.Element // of *jobFile
	recent *list.List                // least recently used last
	last   int                       // greatest number of a segment that was seen

	checkpointFirst, checkpointEvery int64      // see the constants; smaller in tests
	keeping                          sync.Mutex // held while a checkpoint is written
	warned                           warnings
}

// MaskFunc gives the secrets of a job, nil if there are none. It is called for each batch and should answer from memory.
type MaskFunc func(ctx context.Context, job uuid.UUID) (*mask.Masker, error)

// Open opens the store in dir, which is created if needed. Whatever is appended is masked with what secrets gives; nil
// masks nothing.
func Open(dir string, secrets MaskFunc) (*Store, error) {
	if err := os.MkdirAll(dir, 0o750); err != nil {
		return nil, fmt.Errorf("create log directory: %w", err)
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, fmt.Errorf("open log directory: %w", err)
	}
	if secrets == nil {
		secrets = func(context.Context, uuid.UUID) (*mask.Masker, error) { return nil, nil }
	}
	return &Store{
		Tally: &tally.Logs{}, Logger: slog.New(slog.DiscardHandler), checkpointFirst: checkpointFirst, checkpointEvery: checkpointEvery, root: root, mask: secrets, closed: make(chan struct{}),
		open: map[Segment]*list.Element{}, recent: list.New(), last: 1,
	}, nil
}

// Close ends all waits and closes the files. Calls under way finish.
func (s *Store) Close() error {
	s.mu.Lock()
	select {
	case <-s.closed:
		s.mu.Unlock()
		return nil
	default:
		close(s.closed)
	}
	var unused []*jobFile
	for e := s.recent.Back(); e != nil; e = s.recent.Back() {
		unused = s.drop(unused, e)
	}
	s.mu.Unlock()
	s.retire(unused)
	return s.root.Close()
}

// Append is [SegmentLog.Append] to a job's first segment.
func (s *Store) Append(ctx context.Context, job uuid.UUID, step string, attempt int, first int64, ndjson []byte) error {
	return s.Of(First(job)).Append(ctx, step, attempt, first, ndjson)
}

// Event is [SegmentLog.Event] of a job's first segment.
func (s *Store) Event(ctx context.Context, job uuid.UUID, text string) error {
	return s.Of(First(job)).Event(ctx, text)
}

// View is [SegmentLog.View] of a job's first segment.
func (s *Store) View(ctx context.Context, job uuid.UUID) (*View, error) {
	return s.Of(First(job)).View(ctx)
}

// Read returns the lines that q selects, see [View.Read].
func (s *Store) Read(ctx context.Context, job uuid.UUID, q Query) (Page, error) {
	v, err := s.View(ctx, job)
	if err != nil {
		return Page{}, err
	}
	defer func() { _ = v.Close() }() // only read from
	return v.Read(ctx, q)
}

// Wait is [SegmentLog.Wait] for a job's first segment.
func (s *Store) Wait(ctx context.Context, job uuid.UUID, after int64) error {
	return s.Of(First(job)).Wait(ctx, after)
}

// Remove deletes all that this store has of the log of a job. A job without one is not an error. Whoever reads or waits at the
// moment sees the old one.
func (s *Store) Remove(_ context.Context, job uuid.UUID) error {
	var unused []*jobFile
	defer func() { s.retire(unused) }()
	s.mu.Lock()
	defer s.mu.Unlock()
	for n := 1; n <= s.last; n++ {
		if err := s.remove(Segment{Job: job, N: n}, &unused); err != nil {
			return err
		}
	}
	return nil
}

// remove deletes a segment and adds it to the others that are to be retired if nobody uses it; s.mu is held.
func (s *Store) remove(id Segment, unused *[]*jobFile) error {
	if e := s.open[id]; e != nil {
		e.Value.(*jobFile).removed.Store(true) //nolint:forcetypeassert // the list holds nothing else
		*unused = s.drop(*unused, e)
	}
	names := []string{id.checkpoint(), id.unfinishedIndex(), id.file()}
	if id.N == 1 {
		names = append(names, legacyName(id.Job))
	}
	for _, name := range names {
		if err := s.root.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("remove log: %w", err)
		}
	}
	return nil
}

// acquire returns the state of a segment, read from its file if need be; release must follow.
func (s *Store) acquire(id Segment) (*jobFile, error) {
	s.mu.Lock()
	select {
	case <-s.closed:
		s.mu.Unlock()
		return nil, ErrClosed
	default:
	}
	e := s.open[id]
	if e == nil {
		e = s.recent.PushFront(&jobFile{root: s.root, id: id})
		s.open[id] = e
		s.last = max(s.last, id.N)
	}
	s.recent.MoveToFront(e)
	j := e.Value.(*jobFile) //nolint:forcetypeassert // the list holds nothing else
	j.users++
	unused := s.evict()
	s.mu.Unlock()
	s.retire(unused)
	if err := j.load(); err != nil {
		s.release(j)
		return nil, err
	}
	return j, nil
}

func (s *Store) release(j *jobFile) {
	s.mu.Lock()
	j.users--
	last := j.users == 0 && j.dropped
	s.mu.Unlock()
	if last {
		s.retire([]*jobFile{j})
	}
}

// evict forgets the least recently used jobs beyond maxOpen that nobody uses, and returns them; s.mu is held. One that could not
// be written is kept until that is told.
func (s *Store) evict() (unused []*jobFile) {
	for e := s.recent.Back(); e != nil && s.recent.Len() > maxOpen; {
		previous := e.Prev()
		if j := e.Value.(*jobFile); j.users == 0 && !j.stalled.Load() { //nolint:forcetypeassert // the list holds nothing else
			unused = s.drop(unused, e)
		}
		e = previous
	}
	return unused
}

// drop forgets a job, and adds it to the others if nobody uses it; else its last user closes it. s.mu is held.
func (s *Store) drop(unused []*jobFile, e *list.Element) []*jobFile {
	j := s.recent.Remove(e).(*jobFile) //nolint:forcetypeassert // the list holds nothing else
	delete(s.open, j.id)
	j.dropped = true
	if j.users == 0 {
		unused = append(unused, j)
	}
	return unused
}

// retire closes files that were dropped and that nobody uses. That may take a while, so s.mu is not held.
func (s *Store) retire(unused []*jobFile) {
	for _, j := range unused {
		s.keep(j, true)
		j.close()
	}
}
