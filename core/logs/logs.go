// Package logs is where the server keeps and finds the log of a job, wherever its lines are.
package logs

import (
	"context"

	"github.com/google/uuid"

	"github.com/stroem/stroem/core/joblog"
)

// Logs are the logs of all jobs. All methods may be called concurrently.
type Logs struct {
	Local *joblog.Store
}

// Append stores lines of an attempt of a step, see [joblog.Store.Append].
func (l *Logs) Append(ctx context.Context, job uuid.UUID, step string, attempt int, first int64, ndjson []byte) error {
	return l.Local.Append(ctx, job, step, attempt, first, ndjson)
}

// Event stores a line that the server says about a job.
func (l *Logs) Event(ctx context.Context, job uuid.UUID, text string) error {
	return l.Local.Event(ctx, job, text)
}

// View returns the log of a job as it is now. A job without one has an empty one. The caller closes it.
func (l *Logs) View(ctx context.Context, job uuid.UUID) (*joblog.View, error) {
	return l.Local.View(ctx, job)
}

// Wait returns when the log has lines after the given number, when ctx ends or when the store is closed.
func (l *Logs) Wait(ctx context.Context, job uuid.UUID, after int64) error {
	return l.Local.Wait(ctx, job, after)
}

// Position says how far the log of an attempt has come, see [joblog.Store.Position].
func (l *Logs) Position(ctx context.Context, job uuid.UUID, step string, attempt int) (joblog.Position, error) {
	return l.Local.Position(ctx, job, step, attempt)
}
