package retention

import (
	"context"
	"log/slog"
	"time"

	"github.com/google/uuid"
)

// Store removes rows; each method is one short transaction.
type Store interface {
	// RemoveJobs removes up to limit jobs that ended before a time, with all jobs below them, and returns how many in all.
	RemoveJobs(ctx context.Context, before time.Time, limit int) (int, error)
	// RemoveTriggerHistory removes up to limit fires and limit deliveries from before a time, and returns how many.
	RemoveTriggerHistory(ctx context.Context, before time.Time, limit int) (int, error)
	// RemoveWorkers removes up to limit workers that were last heard of before a time, and returns how many.
	RemoveWorkers(ctx context.Context, before time.Time, limit int) (int, error)
	// RemoveAudit removes up to limit entries of the audit log from before a time, and returns how many.
	RemoveAudit(ctx context.Context, before time.Time, limit int) (int, error)
	// RemoveSessions removes up to limit refresh tokens that were good until before a time, and returns how many.
	RemoveSessions(ctx context.Context, before time.Time, limit int) (int, error)
	// KnownJobs returns those of the given jobs that there are.
	KnownJobs(ctx context.Context, ids []uuid.UUID) ([]uuid.UUID, error)
}

// Logs are those that this replica keeps.
type Logs interface {
	// Jobs returns the jobs whose log has not changed since a time.
	Jobs(before time.Time) ([]uuid.UUID, error)
	Remove(ctx context.Context, job uuid.UUID) error
}

// Options say what is kept; a zero time is for good.
type Options struct {
	Jobs    time.Duration // after their end; also fires and deliveries
	Workers time.Duration // after they were last heard of
	Audit   time.Duration // entries of the audit log
	Store   Store
	Logs    Logs
	Logger  *slog.Logger
}

// Remover removes what is too old.
type Remover struct{ Options }

// New returns a remover; the caller calls its loops.
func New(o Options) *Remover { return &Remover{o} }

const (
	interval = time.Hour
	// batch is how much is removed in one transaction, and rest the pause after it.
	batch = 500
	rest  = 100 * time.Millisecond
	// settled is how long a log without a job has not changed when it is removed: no worker can still write it.
	settled = time.Hour
	// expired is how long a refresh token is kept that is not good any more: its user may still be told so.
	expired = 24 * time.Hour
)

// RunRows removes rows every hour until ctx ends; on one replica.
func (r *Remover) RunRows(ctx context.Context) { r.repeat(ctx, "rows", r.RemoveRows) }

// RunLogs removes this replica's logs of jobs that are gone, every hour until ctx ends.
func (r *Remover) RunLogs(ctx context.Context) { r.repeat(ctx, "logs", r.RemoveLogs) }

func (r *Remover) repeat(ctx context.Context, what string, remove func(context.Context, time.Time) (int, error)) {
	for ctx.Err() == nil {
		removed, err := remove(ctx, time.Now())
		switch {
		case err != nil && ctx.Err() == nil:
			r.Logger.WarnContext(ctx, "retention goes on in an hour", "what", what, "error", err)
		case removed > 0:
			r.Logger.InfoContext(ctx, "retention", "removed", removed, "what", what)
		}
		pause(ctx, interval)
	}
}

func pause(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}

// RemoveRows removes what is too old at a time, and returns how much that was.
func (r *Remover) RemoveRows(ctx context.Context, now time.Time) (removed int, err error) {
	for _, kind := range []struct {
		keep   time.Duration
		remove func(context.Context, time.Time, int) (int, error)
	}{
		{r.Jobs, r.Store.RemoveJobs},
		{r.Jobs, r.Store.RemoveTriggerHistory},
		{r.Workers, r.Store.RemoveWorkers},
		{r.Audit, r.Store.RemoveAudit},
		{expired, r.Store.RemoveSessions},
	} {
		if kind.keep == 0 {
			continue
		}
		n, err := inBatches(ctx, now.Add(-kind.keep), kind.remove)
		removed += n
		if err != nil {
			return removed, err
		}
	}
	return removed, nil
}

func inBatches(ctx context.Context, before time.Time, remove func(context.Context, time.Time, int) (int, error)) (removed int, err error) {
	for ctx.Err() == nil {
		n, err := remove(ctx, before, batch)
		if removed += n; err != nil || n < batch {
			return removed, err
		}
		pause(ctx, rest)
	}
	return removed, nil
}

// RemoveLogs removes the logs of jobs that there are no more, and returns how many.
func (r *Remover) RemoveLogs(ctx context.Context, now time.Time) (removed int, err error) {
	if r.Jobs == 0 {
		return 0, nil
	}
	jobs, err := r.Logs.Jobs(now.Add(-settled))
	if err != nil {
		return 0, err
	}
	for len(jobs) > 0 && ctx.Err() == nil {
		some := jobs[:min(len(jobs), batch)]
		jobs = jobs[len(some):]
		known, err := r.Store.KnownJobs(ctx, some)
		if err != nil {
			return removed, err
		}
		there := make(map[uuid.UUID]bool, len(known))
		for _, id := range known {
			there[id] = true
		}
		for _, id := range some {
			if there[id] {
				continue
			}
			if err := r.Logs.Remove(ctx, id); err != nil {
				return removed, err
			}
			removed++
		}
		pause(ctx, rest)
	}
	return removed, nil
}
