// Package logkeep takes the logs of jobs that have ended to the archive, finds them there, and lets go of local copies.
//
// What is to be done is in the database: a segment that is not archived, of a job that has ended. The replica that keeps the last
// segment of a log archives all of it. Lines that come later make it due again: the store tells of each log that grows, and what a
// crash has kept from being noted is found by the times of files. A local copy goes once the archive has all of it, and the database
// says so before the file is removed.
package logkeep

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/stroem/stroem/core"
	"github.com/stroem/stroem/core/joblog"
	"github.com/stroem/stroem/core/logarchive"
	"github.com/stroem/stroem/core/logs"
	"github.com/stroem/stroem/core/tally"
)

// Store is the database; its methods may be called concurrently.
type Store interface {
	logs.Dropping
	LogPlace(ctx context.Context, job uuid.UUID) (*core.LogPlace, error)
	DueUploads(ctx context.Context, replica uuid.UUID, fresh bool, limit int) ([]core.LogUpload, error)
	KeepUploadsFresh(ctx context.Context, replica uuid.UUID) error
	Archived(ctx context.Context, job uuid.UUID, n int, key string, lines int64, at time.Time) error
	NotArchived(ctx context.Context, job uuid.UUID, n int, again time.Duration, reason string) error
	LogsGrown(ctx context.Context, replica uuid.UUID, jobs []uuid.UUID) error
	LocalLogs(ctx context.Context, replica uuid.UUID, jobs []uuid.UUID) ([]core.LocalLog, error)
	LocalLogsAfter(ctx context.Context, replica, after uuid.UUID, limit int) ([]core.LocalLog, error)
	DroppableLogs(ctx context.Context, replica uuid.UUID, age time.Duration, limit int) ([]core.LocalLog, error)
}

// Options are those of a keeper.
type Options struct {
	Logs    *logs.Logs // of all replicas; the store of this one tells the keeper what grows
	Archive *logarchive.Archive
	Store   Store
	Tally   *tally.Archive
	Logger  *slog.Logger
	// Keep is for how long local copies of archived logs are kept; 0: for good.
	Keep time.Duration
	// MaxLocal is how many bytes logs may take here; beyond that local copies go, the oldest first. 0: any.
	MaxLocal int64
	// Poll is how often it is looked for something to do; 0: every two seconds.
	Poll time.Duration
}

// Keeper is the logs of all jobs, wherever they are. Its methods may be called concurrently; Run once.
type Keeper struct {
	*logs.Logs
	options Options
	grown   grown
	places  places
	state   state
	// marking is held to note that a log is archived; alone, to note that logs have grown.
	marking sync.RWMutex
}

// New returns a keeper. The caller calls Run before the first line is appended, or soon after.
func New(o Options) *Keeper {
	if o.Poll == 0 {
		o.Poll = 2 * time.Second
	}
	k := &Keeper{
		Logs: o.Logs, options: o, grown: grown{seen: map[uuid.UUID]bool{}},
		places: places{known: map[uuid.UUID]knownPlace{}}, state: state{busy: map[uuid.UUID]bool{}},
	}
	o.Logs.Local.Grown = k.grown.add
	return k
}

// Run archives logs and lets go of local copies until ctx ends.
func (k *Keeper) Run(ctx context.Context) {
	var group sync.WaitGroup
	defer group.Wait()
	group.Go(func() { k.archive(ctx) })
	group.Go(func() { k.tidy(ctx) })
}

// Drop lets go of the local copy of a segment, if the archive has all of it, and tells whether it has.
func (k *Keeper) Drop(ctx context.Context, id core.LocalLog) (bool, error) {
	return k.Logs.Drop(ctx, k.options.Store, id)
}

// local is a segment of this replica's.
func (k *Keeper) local(id core.LocalLog) joblog.SegmentLog {
	return k.Local.Of(joblog.Segment{Job: id.Job, N: id.N})
}

func pause(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}
