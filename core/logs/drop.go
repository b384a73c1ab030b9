package logs

import (
	"context"
	"fmt"

	"github.com/google/uuid"

	"github.com/stroem/stroem/core"
	"github.com/stroem/stroem/core/joblog"
)

// Dropping is what Drop needs of the database.
type Dropping interface {
	// ContinueLog has a log go on in a new segment of its replica behind segment n, which has so many lines, if that is the last one.
	ContinueLog(ctx context.Context, job uuid.UUID, n int, lines int64) error
	// CloseLog corrects how many lines segment n has.
	CloseLog(ctx context.Context, job uuid.UUID, n int, lines int64) error
	// DropLog notes that the replica lets go of segment n, if the archive has all of it, and tells whether it has.
	DropLog(ctx context.Context, job uuid.UUID, n int, lines int64) (bool, error)
}

// Drop removes a segment of this replica's, if the archive has all of it: the log goes on in another segment then. It returns whether
// that was so. What a crash leaves is done by the next call. Two calls must not be for the same log at a time.
func (l *Logs) Drop(ctx context.Context, registry Dropping, id core.LocalLog) (bool, error) {
	segment := idOf(core.LogSegment{Job: id.Job, N: id.N})
	file := l.Local.Of(segment)
	lines, err := l.linesIn(ctx, segment)
	if err != nil {
		return false, err
	}
	if there, err := file.Exists(); err != nil || id.First-1+lines > id.Archived {
		return false, err
	} else if !there { // it was removed from under us, and the log goes on behind what the archive has
		lines = id.Archived - id.First + 1
	}
	if err := registry.ContinueLog(ctx, id.Job, id.N, lines); err != nil {
		return false, err
	}
	l.writing.Lock() // who has begun to append ends first, and everybody else asks the database again
	l.known.forget(id.Job)
	l.writing.Unlock()
	now, err := l.linesIn(ctx, segment)
	if err != nil {
		return false, err
	}
	if now > lines {
		return false, registry.CloseLog(ctx, id.Job, id.N, now)
	}
	if dropped, err := registry.DropLog(ctx, id.Job, id.N, lines); err != nil || !dropped {
		return false, err
	}
	l.known.forget(id.Job)
	if err := file.Remove(ctx); err != nil {
		return false, fmt.Errorf("remove an archived log: %w", err)
	}
	return true, nil
}

// linesIn is how many lines a segment of this replica's has.
func (l *Logs) linesIn(ctx context.Context, id joblog.Segment) (int64, error) {
	v, err := l.Local.Of(id).View(ctx)
	if err != nil {
		return 0, err
	}
	return v.Index.Lines, v.Close()
}
