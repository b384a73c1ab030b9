package joblog

import (
	"container/list"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/stroem/stroem/core"
	"github.com/stroem/stroem/core/failpoint"
	"github.com/stroem/stroem/core/mask"
	"github.com/stroem/stroem/core/tally"
)

// ServerStep is the step of lines that the server itself writes; workers cannot.
const ServerStep = "_server"

// maxOpen is how many jobs a [Store] keeps open; each has a file and an index in memory.
const maxOpen = 256

// ErrClosed is returned when the store is closed.
var ErrClosed = errors.New("log store is closed")

// Store keeps the logs of jobs in a directory, one file each. All methods may be called concurrently; readers and
// waiters never hold up writers. One process owns the directory.
type Store struct {
	// Tally counts what is appended. To be set before the first append, or not at all.
	Tally *tally.Logs
	// Logger hears of what cannot be written. To be set likewise.
	Logger *slog.Logger

	root   *os.Root
	mask   MaskFunc
	closed chan struct{}

	mu     sync.Mutex
	jobs   map[uuid.UUID]*list.Element // of *jobFile
	recent *list.List                  // least recently used last

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
		jobs: map[uuid.UUID]*list.Element{}, recent: list.New(),
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

// Append stores a run of lines of one attempt of a step; first is the number of its first line within the attempt, or 0
// for lines that are not numbered. Lines that are stored already are left out, so repeating a call is harmless. Every
// line is checked: one that is not in storage format with exactly this step and attempt refuses the whole batch with
// [core.CodeInvalid]. Where lines are missing before first, a line of the server says so.
func (s *Store) Append(ctx context.Context, job uuid.UUID, step string, attempt int, first int64, ndjson []byte) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if step == "" || step == ServerStep {
		return core.Errorf(core.CodeInvalid, "log_invalid", "%q is not a step that a worker can write for", step)
	}
	header := appendHeader(nil, step, attempt)
	lines, err := verify(ndjson, header)
	if err != nil || lines == 0 {
		return err
	}
	failpoint.Hit("log.received")
	err = s.append(ctx, job, batch{step: step, attempt: attempt, header: header, first: first, lines: lines, ndjson: ndjson})
	failpoint.Hit("log.stored")
	return err
}

// Event stores a line that the server says about a job.
func (s *Store) Event(ctx context.Context, job uuid.UUID, text string) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	line := eventLine(text)
	return s.append(ctx, job, batch{header: appendHeader(nil, ServerStep, 1), lines: 1, ndjson: line})
}

func eventLine(text string) []byte {
	text = strings.ToValidUTF8(text, "\uFFFD")
	return AppendLine(nil, ServerStep, 1, Stderr, string(appendTime(nil, time.Now())), text)
}

func (s *Store) append(ctx context.Context, job uuid.UUID, b batch) error {
	secrets, err := s.mask(ctx, job)
	if err != nil {
		return err
	}
	if !secrets.Empty() {
		b.ndjson = maskLines(secrets, b.ndjson)
	}
	j, err := s.acquire(job)
	if err != nil {
		return err
	}
	defer s.release(j)
	lines, size, err := j.append(b)
	if err != nil {
		s.Tally.Failures.Add(1)
		s.warn("lines, with which workers wait", job, err)
		return err
	}
	if lines > 0 {
		s.Tally.Lines.Add(int(lines))
		s.Tally.Bytes.Add(int(size))
		s.keep(j, false)
	}
	return nil
}

// View returns the log of a job as it is now. A job without one has an empty one. The caller closes it.
func (s *Store) View(_ context.Context, job uuid.UUID) (*View, error) {
	j, err := s.acquire(job)
	if err != nil {
		return nil, err
	}
	defer s.release(j)
	v, _, err := j.view("")
	return v, err
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

// Wait returns when the log has lines after the given number, when ctx ends or when the store is closed.
func (s *Store) Wait(ctx context.Context, job uuid.UUID, after int64) error {
	j, err := s.acquire(job)
	if err != nil {
		return err
	}
	defer s.release(j)
	for {
		changed := j.changedAfter(after)
		if changed == nil {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		case <-s.closed:
			return ErrClosed
		}
	}
}

// Remove deletes the log of a job. A job without one is not an error. Whoever reads or waits at the moment sees the old
// one.
func (s *Store) Remove(_ context.Context, job uuid.UUID) error {
	s.mu.Lock()
	var unused []*jobFile
	if e := s.jobs[job]; e != nil {
		e.Value.(*jobFile).removed.Store(true) //nolint:forcetypeassert // the list holds nothing else
		unused = s.drop(unused, e)
	}
	defer s.retire(unused)
	defer s.mu.Unlock()
	for _, name := range []string{checkpointName(job), unfinishedIndex(job), logName(job), legacyName(job)} {
		if err := s.root.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("remove log: %w", err)
		}
	}
	return nil
}

func logName(job uuid.UUID) string    { return job.String() + ".jsonl" }
func legacyName(job uuid.UUID) string { return job.String() + ".log" }

// acquire returns the state of a job's log, read from its file if need be; release must follow.
func (s *Store) acquire(job uuid.UUID) (*jobFile, error) {
	s.mu.Lock()
	select {
	case <-s.closed:
		s.mu.Unlock()
		return nil, ErrClosed
	default:
	}
	e := s.jobs[job]
	if e == nil {
		e = s.recent.PushFront(&jobFile{root: s.root, id: job})
		s.jobs[job] = e
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
	delete(s.jobs, j.id)
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
