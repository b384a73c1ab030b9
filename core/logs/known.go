package logs

import (
	"context"
	"slices"
	"sync"

	"github.com/google/uuid"

	"github.com/stroem/stroem/core"
)

// maxKnown is of how many jobs it is remembered where their logs are.
const maxKnown = 10_000

// known is what this replica remembers of where logs are, so that it need not ask for each line.
type known struct {
	mu      sync.Mutex
	jobs    map[uuid.UUID]*knownLog
	changes int // how often something was forgotten
}

// knownLog is where a log was when the database was asked. Its segments do not change.
type knownLog struct {
	segments []core.LogSegment
	life     context.Context //nolint:containedctx // ends when it is forgotten
	end      context.CancelFunc

	mu     sync.Mutex
	starts map[attempt]int64 // in the last segment
}

type attempt struct {
	step string
	n    int
}

func newKnownLog(list []core.LogSegment) *knownLog {
	log := &knownLog{segments: list, starts: map[attempt]int64{}}
	log.life, log.end = context.WithCancel(context.Background())
	return log
}

// gone tells whether a replica that has a part of it was gone, which may be back.
func (k *knownLog) gone() bool {
	return slices.ContainsFunc(k.segments, func(s core.LogSegment) bool { return s.Gone && !s.Dropped })
}

func (k *knownLog) last() core.LogSegment { return k.segments[len(k.segments)-1] }

// kept is the place of the first segment behind those that were dropped; there is one.
func (k *knownLog) kept() int {
	for i := len(k.segments) - 2; i >= 0; i-- {
		if k.segments[i].Dropped {
			return i + 1
		}
	}
	return 0
}

// dropped is how many lines are in segments that were dropped, and in those before them.
func (k *knownLog) dropped() int64 {
	if kept := k.kept(); kept > 0 {
		return k.segments[kept].First - 1
	}
	return 0
}

func (k *known) get(job uuid.UUID) *knownLog {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.jobs[job]
}

func (k *known) forget(jobs ...uuid.UUID) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.changes++
	for _, job := range jobs {
		if log := k.jobs[job]; log != nil {
			log.end()
			delete(k.jobs, job)
		}
	}
}

// learn remembers what ask finds, unless something was forgotten meanwhile, which it may not know.
func (k *known) learn(ctx context.Context, job uuid.UUID, ask func(context.Context) ([]core.LogSegment, error)) (*knownLog, error) {
	for {
		k.mu.Lock()
		changes := k.changes
		k.mu.Unlock()
		list, err := ask(ctx)
		if err != nil {
			return nil, err
		}
		if len(list) == 0 {
			return nil, nil
		}
		log := newKnownLog(list)
		k.mu.Lock()
		if k.changes == changes {
			if len(k.jobs) >= maxKnown {
				for job, log := range k.jobs {
					log.end()
					delete(k.jobs, job)
				}
			}
			if before := k.jobs[job]; before != nil {
				if slices.Equal(before.segments, list) {
					k.mu.Unlock()
					log.end()
					return before, nil
				}
				before.end()
			}
			k.jobs[job] = log
			k.mu.Unlock()
			return log, nil
		}
		k.mu.Unlock()
	}
}

// where returns where the log of a job is, without asking if that is known; nil: there is none.
func (l *Logs) where(ctx context.Context, job uuid.UUID) (*knownLog, error) {
	if log := l.known.get(job); log != nil {
		return log, nil
	}
	return l.ask(ctx, job)
}

func (l *Logs) ask(ctx context.Context, job uuid.UUID) (*knownLog, error) {
	return l.known.learn(ctx, job, func(ctx context.Context) ([]core.LogSegment, error) { return l.Registry.LogSegments(ctx, job) })
}

// open is where that has the log begin here if there is none.
func (l *Logs) open(ctx context.Context, job uuid.UUID) (*knownLog, error) {
	if log := l.known.get(job); log != nil {
		return log, nil
	}
	return l.known.learn(ctx, job, func(ctx context.Context) ([]core.LogSegment, error) { return l.Registry.OpenLog(ctx, job, l.ID) })
}
