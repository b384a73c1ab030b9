// Package logs is where the server keeps and finds the log of a job, wherever its lines are.
//
// The log of a job is its segments, one after another. The replica that gets the first line of a job keeps the first segment, and
// with it the log as a whole: others hand it the lines that they get. Only if it is gone for long does another one go on in a
// segment of its own. When the first one is back, it closes its segment.
//
// # Every line once, in order
//
// A replica appends to its last segment only while it knows that nobody can have taken over: until its time, by the database, has
// run out (lease.go). Lines that it has stored are acknowledged only if that is still so. So the lines of an attempt that were
// acknowledged are in order, from segment to segment. Those that were stored and not acknowledged come again: to the next
// segment, perhaps. The database says with which line each attempt goes on there (log_start): whichever comes first, the attempt's
// line in the next segment, or the close of the one before. Lines from that on are cut from the segment before, and lines before
// it are left out of the next one.
package logs

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/stroem/stroem/core"
	"github.com/stroem/stroem/core/joblog"
)

// Registry is what the replicas know together: the database.
type Registry interface {
	SeeReplica(ctx context.Context, r core.Replica) (core.ReplicaNews, error)
	AdoptLogs(ctx context.Context, replica uuid.UUID, jobs []uuid.UUID) error
	LogsAdopted(ctx context.Context, replica uuid.UUID) error

	LogSegments(ctx context.Context, job uuid.UUID) ([]core.LogSegment, error)
	OpenLog(ctx context.Context, job, replica uuid.UUID) ([]core.LogSegment, error)
	TakeOverLog(ctx context.Context, job uuid.UUID, n int, replica uuid.UUID, first int64) ([]core.LogSegment, error)
	StartLog(ctx context.Context, job uuid.UUID, n int, start core.LogStart) (first int64, err error)
	LogStarts(ctx context.Context, job uuid.UUID, n int) ([]core.LogStart, error)
	SettleLog(ctx context.Context, job uuid.UUID, n int, ends []core.LogStart) ([]core.LogStart, error)
	CloseLog(ctx context.Context, job uuid.UUID, n int, lines int64) error
}

// Options are those of a replica.
type Options struct {
	ID       uuid.UUID
	Local    *joblog.Store
	Registry Registry
	Peers    Peers
	// Life is for how long nobody takes over after this replica was heard of; 0 is a minute.
	Life   time.Duration
	Logger *slog.Logger
}

// Logs are the logs of all jobs. All methods may be called concurrently.
type Logs struct {
	Options
	lease lease
	// writing is held by whoever appends to this replica's segments; alone, when some of them have been superseded.
	writing sync.RWMutex
	known   known
	remote  remotes
	opening sync.Mutex // held to begin a later segment
}

// New returns the logs of a replica; Join has to be called before anything else.
func New(o Options) *Logs {
	if o.Life == 0 {
		o.Life = time.Minute
	}
	return &Logs{Options: o, known: known{jobs: map[uuid.UUID]*knownLog{}}, remote: remotes{open: map[joblog.Segment]*remote{}}}
}
