package logkeep

import (
	"context"
	"time"

	"github.com/google/uuid"

	"github.com/stroem/stroem/core"
	"github.com/stroem/stroem/core/joblog"
)

const (
	// tidying is how often local copies are looked at.
	tidying = 10 * time.Minute
	// settledFor is how long a log has been archived when its copy goes for lack of room: nobody can have taken it for not archived since.
	settledFor = time.Minute
	// lookedAtOnce is of how many logs the database is asked at a time.
	lookedAtOnce = 500
	// mtimeSlack is how much earlier than it was a file may say that it has changed.
	mtimeSlack = 100 * time.Millisecond
)

// tidy lets go of local copies until ctx ends.
func (k *Keeper) tidy(ctx context.Context) {
	for ctx.Err() == nil {
		if err := k.Tidy(ctx); err != nil && ctx.Err() == nil {
			k.options.Logger.WarnContext(ctx, "local copies of archived logs are looked at again later", "error", err)
		}
		pause(ctx, tidying)
	}
}

// Tidy makes good what crashes have left, and lets go of the local copies for which there is no time or no room any more.
func (k *Keeper) Tidy(ctx context.Context) error {
	files, err := k.Local.Files(ctx)
	if err != nil {
		return err
	}
	if err := k.reconcile(ctx, files); err != nil {
		return err
	}
	dropped, err := k.dropOld(ctx)
	if err == nil && k.options.MaxLocal > 0 {
		var more int
		more, err = k.dropForRoom(ctx, files)
		dropped += more
	}
	if dropped > 0 {
		k.options.Logger.InfoContext(ctx, "local copies of archived logs were removed", "logs", dropped)
	}
	return err
}

// reconcile compares files with the database: those that were dropped are removed, those that have changed since they were archived
// are archived again, and those that somebody has removed count as dropped.
func (k *Keeper) reconcile(ctx context.Context, files []joblog.File) error {
	there := make(map[joblog.Segment]bool, len(files))
	for _, file := range files {
		there[file.Segment] = true
	}
	for len(files) > 0 {
		some := files[:min(len(files), lookedAtOnce)]
		files = files[len(some):]
		if err := k.compare(ctx, some); err != nil {
			return err
		}
	}
	for after := uuid.Nil; ; {
		list, err := k.options.Store.LocalLogsAfter(ctx, k.ID, after, lookedAtOnce)
		if err != nil {
			return err
		}
		for _, id := range list {
			after = id.Job
			if there[joblog.Segment{Job: id.Job, N: id.N}] {
				continue
			}
			if exists, err := k.local(id).Exists(); err != nil || exists {
				continue // it has come since
			}
			if _, err := k.Drop(ctx, id); err != nil {
				return err
			}
		}
		if len(list) < lookedAtOnce {
			return nil
		}
	}
}

func (k *Keeper) compare(ctx context.Context, files []joblog.File) error {
	jobs := make([]uuid.UUID, len(files))
	changed := make(map[joblog.Segment]time.Time, len(files))
	for i, file := range files {
		jobs[i] = file.Job
		changed[file.Segment] = file.Changed
	}
	list, err := k.options.Store.LocalLogs(ctx, k.ID, jobs)
	if err != nil {
		return err
	}
	for _, id := range list {
		at, here := changed[joblog.Segment{Job: id.Job, N: id.N}]
		switch {
		case !here:
		case id.Dropped:
			if err := k.local(id).Remove(ctx); err != nil {
				return err
			}
		case at.After(id.ArchivedAt.Add(-mtimeSlack)):
			k.grown.add(id.Job)
		}
	}
	return nil
}

// dropOld lets go of copies of logs that have been archived for long.
func (k *Keeper) dropOld(ctx context.Context) (dropped int, err error) {
	for k.options.Keep > 0 && ctx.Err() == nil {
		list, err := k.options.Store.DroppableLogs(ctx, k.ID, k.options.Keep, lookedAtOnce)
		if err != nil {
			return dropped, err
		}
		before := dropped
		for _, id := range list {
			ok, err := k.Drop(ctx, id)
			if err != nil {
				return dropped, err
			}
			if ok {
				dropped++
			}
		}
		if len(list) < lookedAtOnce || dropped == before {
			break
		}
	}
	return dropped, ctx.Err()
}

// dropForRoom lets go of copies until the files are not too large together.
func (k *Keeper) dropForRoom(ctx context.Context, files []joblog.File) (dropped int, err error) {
	used, sizes := int64(0), make(map[joblog.Segment]int64, len(files))
	for _, file := range files {
		if exists, err := k.Local.Of(file.Segment).Exists(); err == nil && exists {
			used += file.Size
			sizes[file.Segment] = file.Size
		}
	}
	for used > k.options.MaxLocal && ctx.Err() == nil {
		list, err := k.options.Store.DroppableLogs(ctx, k.ID, settledFor, lookedAtOnce)
		if err != nil {
			return dropped, err
		}
		before := dropped
		for _, id := range list {
			if used <= k.options.MaxLocal {
				break
			}
			ok, err := k.drop(ctx, id, sizes, &used)
			if err != nil {
				return dropped, err
			}
			if ok {
				dropped++
			}
		}
		if dropped == before {
			break
		}
	}
	return dropped, ctx.Err()
}

func (k *Keeper) drop(ctx context.Context, id core.LocalLog, sizes map[joblog.Segment]int64, used *int64) (bool, error) {
	ok, err := k.Drop(ctx, id)
	if ok {
		*used -= sizes[joblog.Segment{Job: id.Job, N: id.N}]
	}
	return ok, err
}
